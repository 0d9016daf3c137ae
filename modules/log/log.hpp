// log.hpp - loggers, handlers and formats; each line tied to its request.
//
// log_event writes `asctime pid tid {"ev":…,"data":…,"txid":…,"uid":…}`, log_message `asctime pid tid text txid=… uid=…` (or what the
// handler's format makes of it); asctime is UTC with microseconds and Z; txid and uid come from the current RequestContext and are left
// out when there is none (uid: when the user is anonymous).
//
// A logger is a dotted name: `recto.cache` has the level and the handlers of the nearest name above it that has any, in the end those of
// the log itself. Handlers are files, which several processes share, and standard error.
//
// Errors:   none after LogSession is made. A line that can't be written, now or from the start on, goes to standard error and is counted; a
//           `log.gap` event tells the count later. LogSession throws without room for its shared memory, or if a rule names no handler.
// Threads:  safe to call from any thread and any number of processes with the same files. A session is not for the child of a fork().
// Limits:   a record is cut to max_record bytes; files are max_bytes plus at most one record (or batch) per process. 64 handlers.
//           A program that may meet RLIMIT_FSIZE ignores SIGXFSZ; then it is a full disk.
// Source:   Python's logging for loggers, handlers, propagation and RotatingFileHandler's names (`recto.log.1` is the newest backup);
//           CWE-117 for what is escaped.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/json.hpp"
#include "util/units.hpp"

namespace recto {

enum class Level { debug, info, warning, error };
enum class Flush { record, batch };

[[nodiscard]] std::optional<Level> parse_level(std::string_view word);

struct LogHandler {
    // Empty: standard error, with the prefixes of sd-daemon(3) if that is journald. `%i` in the name: each worker has a file of its own
    // (instance.hpp); files_of() finds them all (files.hpp).
    std::filesystem::path file = {};
    Level level = Level::debug;
    std::string format = "verbose";  // as LineFormat::parse takes it
    Size max_bytes{10u << 20};
    int backup_count = 10;
    Size max_record{64u << 10};
    std::string name = "file";
    // Of files only.
    Flush flush = Flush::record;  // batch: lines are collected and written together (batch.hpp); a kill -9 loses the last 100 ms
    bool sync_errors = false;     // a line of level error is on the disk when the call returns (fdatasync)
    Size min_free_space{0};       // what is left to others on the file system: backups go for it, then lines are lost and counted; 0: no
    bool compress = false;        // backups from the second on, in the background
};

// What is said of a logger and those below it.
struct LoggerRule {
    std::string logger;
    std::optional<Level> level = {};         // empty: that of the name above
    std::vector<std::string> handlers = {};  // beside those of the name above
    bool propagate = true;                   // off: without those of the name above
};

struct LogOptions {
    Level level = Level::info;
    std::vector<std::string> root_handlers;  // names of handlers
    std::vector<LogHandler> handlers;
    std::vector<LoggerRule> loggers = {};
    std::filesystem::path runtime_dir = {};  // of LogLevels, LogCounters and the workers' numbers; empty: without them
};

// All of it to one file.
[[nodiscard]] LogOptions log_to(LogHandler file, Level level = Level::info);

// Logging works while it lives; before and after, what is logged goes to stderr from warning on. One at a time in a process.
class LogSession {
public:
    explicit LogSession(const LogOptions& options);
    ~LogSession();
    LogSession(const LogSession&) = delete;
    LogSession& operator=(const LogSession&) = delete;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

// While it lives, the lines that this thread logs with `flush = record` wait for its end, which writes those of each file with one system
// call; one of level error, or 64 KB of them, takes those before it along at once. A kill -9 meanwhile loses them, so it is for who does
// nothing that the lines tell of before its end. One at a time in a thread; the session must outlive it.
class LinesTogether {
public:
    LinesTogether();
    ~LinesTogether();
    LinesTogether(const LinesTogether&) = delete;
    LinesTogether& operator=(const LinesTogether&) = delete;
};

inline constexpr std::string_view kDefaultLogger = "recto";

// Under 20 ns when the answer is no: ask before building expensive data.
[[nodiscard]] bool log_enabled(Level level, std::string_view logger = kDefaultLogger);

// `event` is of [a-z0-9._-], 1 to 64 characters; anything else is logged as "invalid_event" with the name in the data.
void log_event(std::string_view event, const json::value& data = {}, std::string_view logger = kDefaultLogger, Level level = Level::info);
void log_message(Level level, std::string_view text, std::string_view logger = kDefaultLogger);

}  // namespace recto
