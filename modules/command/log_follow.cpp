#include "log/file_tail.hpp"

#include <algorithm>
#include <csignal>
#include <map>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command/commands.hpp"
#include "command/log_lines.hpp"
#include "command/output.hpp"
#include "log/line.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDefaultLines = 10;
constexpr int kLookEvery = 50;          // ms
constexpr int kLookForFilesEvery = 20;  // looks

struct Filter {
    std::string logger;  // and those below it; empty: all
    std::optional<Level> level;

    [[nodiscard]] bool is_of_all() const { return logger.empty() && !level; }

    // Whether lines of the format can be told from each other.
    [[nodiscard]] bool knows(std::string_view format) const {
        if (format == "json" || format == "ecs") return true;
        return (!level || format.find("{levelname}") != std::string_view::npos) &&
               (logger.empty() || format.find("{name}") != std::string_view::npos);
    }

    [[nodiscard]] bool passes(const LogLine& line) const {
        const bool is_below = line.logger.starts_with(logger) && line.logger.size() > logger.size() && line.logger[logger.size()] == '.';
        if (!logger.empty() && line.logger != logger && !is_below) return false;
        return !level || (line.level && *line.level >= *level);
    }
};

// Readable when the operator or the system wants us to end.
UniqueFd catch_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const auto number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
    if (!fd) throw io_error("cannot wait for", "signals");
    return fd;
}

// Waits a moment. A pipe that nobody reads any more is an error without our writing to it.
bool is_over(const UniqueFd& signals) {
    pollfd fds[] = {{signals.get(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    ::poll(fds, std::size(fds), kLookEvery);
    return fds[0].revents != 0 || fds[1].revents != 0;
}

// Leaves out the files whose lines don't tell what is asked for, and says so.
std::vector<LogHandler> followed_handlers(Operator& op, const Filter& filter) {
    auto handlers = file_handlers(op.config());
    std::erase_if(handlers, [&](const LogHandler& handler) {
        if (filter.knows(handler.format)) return false;
        complain("recto: the lines of " + handler.file.string() + " don't tell their " + (filter.level ? "level" : "logger") +
                 ": set format = json, ecs or a pattern with {levelname} and {name}");
        return true;
    });
    if (handlers.empty()) throw Stop{ExitCode::failed};
    return handlers;
}

class Tails {
public:
    Tails(std::vector<LogHandler> handlers, std::size_t lines) : handlers_(std::move(handlers)) { look_for_files(lines); }

    void tell_what_is_not_there() const {
        for (const auto& [path, tail] : tails_)
            if (!tail.is_there()) complain("recto: waiting for " + path.string());
    }

    std::vector<FoundLine> poll() {
        if (++looks_ % kLookForFilesEvery == 0) look_for_files(static_cast<std::size_t>(-1));
        std::vector<FoundLine> lines;
        for (auto& [path, tail] : tails_)
            tail.poll([&](std::string_view text) { lines.push_back({parse_log_line(text), std::string(text)}); });
        sort_by_time(lines);
        return lines;
    }

private:
    // A worker that has files of its own may be started later.
    void look_for_files(std::size_t lines) {
        for (const auto& handler : handlers_)
            for (const auto& file : current_files(handler))
                if (!tails_.contains(file)) tails_.emplace(file, FileTail(file, lines));
    }

    std::vector<LogHandler> handlers_;
    std::map<fs::path, FileTail> tails_;
    int looks_ = 0;
};

void print(const std::vector<FoundLine>& lines, const Filter& filter, const Ink& ink) {
    for (const auto& found : lines)
        if (filter.is_of_all() || filter.passes(found.line)) print_raw(ink.line(found) + '\n');
    finish_output();
}

void follow(Operator& op, const Filter& filter, std::size_t lines) {
    Tails tails(followed_handlers(op, filter), lines);
    tails.tell_what_is_not_there();
    const auto ink = Ink::of_standard_output();
    const auto signals = catch_signals();
    try {
        do print(tails.poll(), filter, ink);
        while (!is_over(signals));
    } catch (const OutputLost& lost) {
        if (!lost.has_no_reader()) throw;  // `recto log follow | head` ends like that
    }
}

}  // namespace

void add_log_follow(CLI::App& log, Operator& op) {
    auto* const command = log.add_subcommand("follow", "Prints the log as it is written, through rotations, until Ctrl-C");
    const auto filter = std::make_shared<Filter>();
    const auto level = std::make_shared<std::string>();
    command->add_option("--logger", filter->logger, "Only of this logger and those below it, such as recto.cache");
    command->add_option("--level", *level, "Only from this level on")->check(CLI::IsMember({"debug", "info", "warning", "error"}));
    auto* const lines = command->add_option("--lines", "How many of the last lines come first")
                            ->default_str(std::to_string(kDefaultLines))
                            ->force_callback()
                            ->check(CLI::Range(0, 100'000));
    command->final_callback([&op, filter, level, lines] {
        filter->level = parse_level(*level);
        follow(op, *filter, lines->as<std::size_t>());
    });
}

}  // namespace recto
