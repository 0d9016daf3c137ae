// The only file that includes Boost.Log, which takes seconds to compile.
#include "log/log.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>
#include <boost/log/attributes/attribute_value_impl.hpp>
#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core.hpp>
#include <boost/log/sinks/basic_sink_backend.hpp>
#include <boost/log/sinks/unlocked_frontend.hpp>
#include <boost/log/sources/severity_channel_logger.hpp>
#include <boost/make_shared.hpp>

#include "log/batch.hpp"
#include "log/compressor.hpp"
#include "log/files.hpp"
#include "log/instance.hpp"
#include "log/levels.hpp"
#include "log/line.hpp"
#include "log/log_counters.hpp"
#include "log/rotating_file.hpp"
#include "log/routes.hpp"
#include "util/context.hpp"

namespace recto {
namespace {

namespace front = boost::log;

// A process has one log, and a line can come from anywhere in it: the one place where the program keeps changing state for all.
constinit std::atomic<Level> lowest{Level::warning};
constinit std::atomic<const Routes*> routes{nullptr};  // null: there is no session

// On its way to the handlers.
struct Submitted {
    const LogRecord* record;
    HandlerBits handlers;
};

const front::attribute_name& record_name() {
    static const front::attribute_name name("Record");
    return name;
}

timespec wall_clock() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
}

// A handler's lines, wherever they go. Called by several threads at once.
class Output {
public:
    virtual ~Output() = default;
    virtual void write(const std::string& line, Level level) = 0;
};

RotatingFile::Options file_options(const LogHandler& handler, const HandlerCounters& counters, const std::filesystem::path& runtime_dir) {
    RotatingFile::Options options{.file = handler.file,
                                  .max_bytes = handler.max_bytes,
                                  .backup_count = handler.backup_count,
                                  .min_free_space = handler.min_free_space,
                                  .sync_errors = handler.sync_errors,
                                  .runtime_dir = runtime_dir,
                                  .counters = counters};
    if (!handler.compress) return options;
    // Shared because a std::function is copied.
    options.after_rotation = [compressor = std::make_shared<Compressor>(std::filesystem::absolute(handler.file))] { compressor->wake(); };
    return options;
}

// What LinesTogether keeps back of a thread: nothing while there is none, so that no file is ever written to after its session.
class KeptLines {
public:
    void begin() { is_on_ = true; }
    void end() noexcept {
        is_on_ = false;
        for (auto& kept : files_) write(kept, false);
    }
    [[nodiscard]] bool is_on() const { return is_on_; }

    void add(RotatingFile& file, const std::string& line, bool is_error) {
        constexpr std::size_t kMost = 64u << 10;
        auto& kept = of(file);
        kept.lines += line;
        if (is_error || kept.lines.size() >= kMost) write(kept, is_error);
    }

private:
    struct Kept {
        RotatingFile* file;
        std::string lines;
    };
    Kept& of(RotatingFile& file) {
        const auto known = std::ranges::find(files_, &file, &Kept::file);
        return known != files_.end() ? *known : files_.emplace_back(Kept{&file, {}});
    }
    static void write(Kept& kept, bool has_error) noexcept {
        if (!kept.lines.empty()) kept.file->write(kept.lines, has_error);
        kept.lines.clear();
    }

    bool is_on_ = false;
    std::vector<Kept> files_;
};

thread_local KeptLines kept_lines;

class FileOutput : public Output {
public:
    FileOutput(const RotatingFile::Options& options, RotatingFile::GapLine gap_line, Flush flush)
        : file_(std::make_shared<RotatingFile>(options, std::move(gap_line))) {
        if (flush == Flush::batch) batch_.emplace(file_, options.counters);
    }
    void write(const std::string& line, Level level) override {
        const bool is_error = level >= Level::error;
        if (batch_)
            batch_->write(line, is_error);
        else if (kept_lines.is_on())
            kept_lines.add(*file_, line, is_error);
        else
            file_->write(line, is_error);
    }

private:
    std::shared_ptr<RotatingFile> file_;  // with the batch's thread
    std::optional<Batch> batch_;
};

// Whether the file descriptor is the stream that systemd says it gave us: systemd.exec(5), $JOURNAL_STREAM.
bool is_journal(int fd) {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    struct stat status {};
    return stream != nullptr && ::fstat(fd, &status) == 0 && std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino) == stream;
}

class ErrorOutput : public Output {
public:
    explicit ErrorOutput(HandlerCounters counters) : counters_(std::move(counters)) {}
    void write(const std::string& line, Level level) override {
        if (!is_journal_) return put(line);
        constexpr std::array kPriorities{"<7>", "<6>", "<4>", "<3>"};
        put(kPriorities[static_cast<std::size_t>(level)] + line);
    }

private:
    void put(const std::string& line) {
        if (::write(STDERR_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return counters_.wrote(1);
        counters_.failed(errno);
        counters_.lost(1);
    }

    HandlerCounters counters_;
    const bool is_journal_ = is_journal(STDERR_FILENO);
};

// The line that tells what was lost.
struct GapLine {
    LineFormat format;
    std::size_t max_record;

    std::string operator()(const RotatingFile::Gap& gap) const {
        const json::value data{{"lost", gap.lost}, {"secs", static_cast<double>(gap.lasted.count()) / 1000}};
        return format.line(
            {.level = Level::warning, .logger = "recto.log", .event = "log.gap", .data = &data, .text = {}, .time = wall_clock()},
            max_record);
    }
};

// The sink takes records from several threads at once.
class Backend : public front::sinks::basic_sink_backend<front::sinks::concurrent_feeding> {
public:
    Backend(const LogHandler& handler, std::size_t number, const HandlerCounters& counters, const std::filesystem::path& runtime_dir)
        : format_(LineFormat::parse(handler.format).value()),
          max_record_(handler.max_record.bytes),
          bit_(HandlerBits{1} << number),
          output_(output_of(handler, counters, runtime_dir)) {}

    void consume(const front::record_view& record) {
        const auto submitted = front::extract<Submitted>(record_name(), record);
        if (!submitted || (submitted->handlers & bit_) == 0) return;
        output_->write(format_.line(*submitted->record, max_record_), submitted->record->level);
    }

private:
    std::unique_ptr<Output> output_of(const LogHandler& handler, const HandlerCounters& counters,
                                      const std::filesystem::path& runtime_dir) const {
        if (handler.file.empty()) return std::make_unique<ErrorOutput>(counters);
        return std::make_unique<FileOutput>(file_options(handler, counters, runtime_dir), GapLine{format_, max_record_}, handler.flush);
    }

    const LineFormat format_;
    const std::size_t max_record_;
    const HandlerBits bit_;
    const std::unique_ptr<Output> output_;
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

void to_standard_error(const LogRecord& record) {
    static const auto verbose = LineFormat::parse("verbose").value();
    if (record.level < Level::warning) return;
    const auto line = verbose.line(record, LogHandler{}.max_record.bytes);
    (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void submit(LogRecord record) {
    const auto* const known = routes.load(std::memory_order_acquire);
    const auto handlers = known == nullptr ? 0 : known->handlers(record.logger, record.level);
    if (known != nullptr && handlers == 0) return;

    record.time = wall_clock();
    record.context = current_context();
    // Without the test Boost would use its default sink, which prints to the console.
    auto opened = known == nullptr ? front::record{} : open_record(record.level, record.logger);
    if (!opened) return to_standard_error(record);
    opened.attribute_values().insert(record_name(), front::attributes::make_attribute_value(Submitted{&record, handlers}));
    front::core::get()->push_record(std::move(opened));
}

// A request goes on without its line.
template <class Work>
void or_complain(const Work& work) {
    try {
        work();
    } catch (const std::exception&) {
        constexpr std::string_view kComplaint = "recto: a line of the log could not be made\n";
        (void)!::write(STDERR_FILENO, kComplaint.data(), kComplaint.size());
    }
}

// Threads may be reading the routes that were replaced, so none are ever destroyed; levels change seldom.
void replace_routes(const Routes* next) {
    static std::mutex mutex;
    static std::vector<std::unique_ptr<const Routes>> all;
    const std::lock_guard lock(mutex);
    if (next != nullptr) all.emplace_back(next);
    routes.store(next, std::memory_order_release);
    lowest = next == nullptr ? Level::warning : next->lowest();
}

}  // namespace

class LogSession::Impl {
public:
    explicit Impl(const LogOptions& options) : options_(options) {
        name_own_files();
        if (!options.runtime_dir.empty()) levels_.emplace(LogLevels::open(options.runtime_dir));
        if (!options.runtime_dir.empty()) counters_.emplace(LogCounters::open(options.runtime_dir, options.handlers));
        auto first = std::make_unique<Routes>(options_, changed_levels());
        for (std::size_t i = 0; i < options_.handlers.size(); ++i)
            sinks_.push_back(
                boost::make_shared<Sink>(boost::make_shared<Backend>(options_.handlers[i], i, counters_of(i), options.runtime_dir)));
        for (const auto& sink : sinks_) front::core::get()->add_sink(sink);
        front::core::get()->set_logging_enabled(true);
        replace_routes(first.release());
        if (levels_) watcher_ = std::jthread([this](const std::stop_token& stop) { watch_levels(stop); });
    }

    ~Impl() {
        watcher_ = {};
        replace_routes(nullptr);
        // Before the sinks go: a thread that has passed the test in submit() gets an empty record, not the default sink.
        front::core::get()->set_logging_enabled(false);
        for (const auto& sink : sinks_) front::core::get()->remove_sink(sink);
    }

private:
    using Sink = front::sinks::unlocked_sink<Backend>;

    void name_own_files() {
        for (auto& handler : options_.handlers) {
            if (!is_of_instances(handler.file)) continue;
            if (!instance_) instance_.emplace(Instance::claim(options_.runtime_dir));
            handler.file = file_of_instance(handler.file, instance_->number());
        }
    }

    HandlerCounters counters_of(std::size_t handler) const { return counters_ ? counters_->of(handler) : HandlerCounters(); }

    std::map<std::string, Level> changed_levels() {
        if (!levels_) return {};
        const auto generation = levels_->generation();  // before them: what comes between is read again
        auto levels = levels_->all();
        generation_ = generation;
        return levels;
    }

    void watch_levels(const std::stop_token& stop) {
        constexpr std::chrono::milliseconds kInterval{100};
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            woken_.wait_for(lock, stop, kInterval, [] { return false; });
            if (levels_->generation() != generation_) follow_levels();
        }
    }

    // Where they can't be read (no descriptor is free), those before hold, and it is tried again.
    void follow_levels() try {
        replace_routes(new Routes(options_, changed_levels()));
        if (std::exchange(is_behind_, false)) log_message(Level::info, "the changed levels are read", "recto.log");
    } catch (const std::exception& problem) {
        if (!std::exchange(is_behind_, true))
            log_message(Level::warning, std::string("the changed levels can't be read: ") + problem.what(), "recto.log");
    }

    LogOptions options_;  // the names of files without `%i`
    std::optional<Instance> instance_;
    std::optional<LogLevels> levels_;
    std::optional<LogCounters> counters_;
    std::uint64_t generation_ = 0;
    bool is_behind_ = false;
    std::vector<boost::shared_ptr<Sink>> sinks_;
    std::mutex mutex_;
    std::condition_variable_any woken_;
    std::jthread watcher_;
};

LinesTogether::LinesTogether() { kept_lines.begin(); }
LinesTogether::~LinesTogether() { kept_lines.end(); }

LogOptions log_to(LogHandler file, Level level) { return {.level = level, .root_handlers = {file.name}, .handlers = {std::move(file)}}; }

LogSession::LogSession(const LogOptions& options) {
    assert(routes == nullptr);
    impl_ = std::make_unique<Impl>(options);
}
LogSession::~LogSession() = default;

std::optional<Level> parse_level(std::string_view word) {
    for (const auto level : {Level::debug, Level::info, Level::warning, Level::error})
        if (word == word_of(level)) return level;
    return {};
}

bool log_enabled(Level level, std::string_view logger) {
    if (level < lowest.load(std::memory_order_relaxed)) return false;
    const auto* const known = routes.load(std::memory_order_acquire);
    return known == nullptr || known->handlers(logger, level) != 0;
}

void log_event(std::string_view event, const json::value& data, std::string_view logger, Level level) {
    if (level < lowest.load(std::memory_order_relaxed)) return;
    or_complain([&] {
        if (is_event_name(event)) return submit({.level = level, .logger = logger, .event = event, .data = &data, .text = {}});
        const json::value named{{"event", json::string(event)}, {"data", data}};
        submit({.level = level, .logger = logger, .event = "invalid_event", .data = &named, .text = {}});
    });
}

void log_message(Level level, std::string_view text, std::string_view logger) {
    if (level < lowest.load(std::memory_order_relaxed)) return;
    or_complain([&] { submit({.level = level, .logger = logger, .event = {}, .text = text}); });
}

}  // namespace recto
