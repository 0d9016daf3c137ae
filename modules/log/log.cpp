// The only file that includes Boost.Log, which takes seconds to compile.
#include "log/log.hpp"

#include <array>
#include <atomic>
#include <cassert>
#include <utility>

#include <unistd.h>
#include <boost/log/attributes/attribute_value_impl.hpp>
#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/unlocked_frontend.hpp>
#include <boost/log/sources/severity_channel_logger.hpp>
#include <boost/make_shared.hpp>

#include "log/line.hpp"
#include "log/rotating_file.hpp"
#include "util/context.hpp"

namespace recto {
namespace {

namespace front = boost::log;

// A process has one log, and a line can come from anywhere in it: the one place where the program keeps changing state for all.
constinit std::atomic<Level> lowest{Level::warning};
constinit std::atomic<std::size_t> max_record{0};  // 0: there is no session

const front::attribute_name& line_name() {
    static const front::attribute_name name("Line");
    return name;
}

std::string gap_line(const RotatingFile::Gap& gap) {
    const auto seconds = static_cast<double>(gap.lasted.count()) / 1000;
    return event_line("log.gap", {{"lost", gap.lost}, {"secs", seconds}}, nullptr, LogOptions{}.max_record.bytes);
}

// The sink takes records from several threads at once; the file has its own lock, held for less.
class Backend : public front::sinks::basic_sink_backend<front::sinks::concurrent_feeding> {
public:
    explicit Backend(const LogOptions& options) : file_({options.file, options.max_bytes, options.backup_count}, gap_line) {}

    void consume(const front::record_view& record) {
        if (const auto line = front::extract<std::string>(line_name(), record)) file_.write(*line);
    }

private:
    RotatingFile file_;
};

using Logger = front::sources::severity_channel_logger<Level, std::string>;

front::record open_record(Level level, std::string_view channel) {
    namespace keywords = front::keywords;
    thread_local Logger logger(keywords::channel = std::string(kDefaultLogger));
    thread_local std::string current(kDefaultLogger);

    if (channel == current) return logger.open_record(keywords::severity = level);
    current = channel;
    return logger.open_record((keywords::channel = current, keywords::severity = level));
}

void to_standard_error(Level level, std::string_view line) {
    if (level >= Level::warning) (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void submit(Level level, std::string_view channel, std::string line) {
    // Without the test Boost would use its default sink, which prints to the console.
    auto record = max_record.load(std::memory_order_acquire) == 0 ? front::record{} : open_record(level, channel);
    if (!record) return to_standard_error(level, line);

    record.attribute_values().insert(line_name(), front::attributes::make_attribute_value(std::move(line)));
    front::core::get()->push_record(std::move(record));
}

// What `make` makes of its limit is a line. A request goes on without one.
template <class MakeLine>
void log_line(Level level, std::string_view channel, const MakeLine& make) {
    if (!log_enabled(level)) return;
    try {
        const auto limit = max_record.load(std::memory_order_relaxed);
        submit(level, channel, make(limit == 0 ? LogOptions{}.max_record.bytes : limit));
    } catch (const std::exception&) {
        to_standard_error(Level::error, "recto: a line of the log could not be made\n");
    }
}

}  // namespace

struct LogSession::Sink {
    boost::shared_ptr<front::sinks::unlocked_sink<Backend>> frontend;
};

LogSession::LogSession(const LogOptions& options) {
    assert(max_record == 0 && options.max_record.bytes > 0);
    const auto frontend = boost::make_shared<front::sinks::unlocked_sink<Backend>>(boost::make_shared<Backend>(options));
    sink_ = std::make_unique<Sink>(Sink{frontend});
    front::core::get()->add_sink(frontend);
    front::core::get()->set_logging_enabled(true);
    max_record = options.max_record.bytes;
    lowest = options.level;
}

LogSession::~LogSession() {
    lowest = Level::warning;
    max_record = 0;
    // Before the sink goes: a thread that has passed the test in submit() gets an empty record, not the default sink.
    front::core::get()->set_logging_enabled(false);
    front::core::get()->remove_sink(sink_->frontend);
}

std::optional<Level> parse_level(std::string_view word) {
    constexpr std::array<std::pair<std::string_view, Level>, 4> kLevels{
        {{"debug", Level::debug}, {"info", Level::info}, {"warning", Level::warning}, {"error", Level::error}}};
    for (const auto& [name, level] : kLevels)
        if (name == word) return level;
    return {};
}

bool log_enabled(Level level) { return level >= lowest.load(std::memory_order_relaxed); }

void log_event(std::string_view event, const json::value& data, std::string_view logger, Level level) {
    log_line(level, logger, [&](std::size_t limit) { return event_line(event, data, current_context(), limit); });
}

void log_message(Level level, std::string_view text, std::string_view logger) {
    log_line(level, logger, [&](std::size_t limit) { return message_line(text, current_context(), limit); });
}

}  // namespace recto
