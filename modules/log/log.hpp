// log.hpp - one rotating file that several processes share; each line tied to its request.
//
// log_event writes `asctime pid tid {"ev":…,"data":…,"txid":…,"uid":…}`, log_message `asctime pid tid text txid=… uid=…`; asctime is
// UTC with microseconds and Z; txid and uid come from the current RequestContext and are left out when there is none (uid: when the
// user is anonymous). A logger is a dotted name.
//
// Errors:   none after LogSession is made. A line that can't be written is counted; when writing works again a `log.gap` event says how
//           many were lost. LogSession throws when the folder can't be made or the file not opened at the start.
// Threads:  safe to call from any thread and any number of processes with the same file. A session is not for the child of a fork().
// Limits:   a record is cut to max_record bytes; files are max_bytes plus at most one record per process.
//           A program that may meet RLIMIT_FSIZE ignores SIGXFSZ; then it is a full disk.
// Source:   Python's RotatingFileHandler for names (`recto.log.1` is the newest backup); CWE-117 for what is escaped.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "util/json.hpp"
#include "util/units.hpp"

namespace recto {

enum class Level { debug, info, warning, error };

[[nodiscard]] std::optional<Level> parse_level(std::string_view word);

struct LogOptions {
    std::filesystem::path file;
    Level level = Level::info;
    Size max_bytes{10u << 20};
    int backup_count = 10;
    Size max_record{64u << 10};
};

// Logging works while it lives; before and after, what is logged goes to stderr from warning on. One at a time in a process.
class LogSession {
public:
    explicit LogSession(const LogOptions& options);
    ~LogSession();
    LogSession(const LogSession&) = delete;
    LogSession& operator=(const LogSession&) = delete;

private:
    struct Sink;
    std::unique_ptr<Sink> sink_;
};

inline constexpr std::string_view kDefaultLogger = "recto";

// Under 20 ns when the answer is no: ask before building expensive data.
[[nodiscard]] bool log_enabled(Level level);

// `event` is of [a-z0-9._-], 1 to 64 characters; anything else is logged as "invalid_event" with the name in the data.
void log_event(std::string_view event, const json::value& data = {}, std::string_view logger = kDefaultLogger, Level level = Level::info);
void log_message(Level level, std::string_view text, std::string_view logger = kDefaultLogger);

}  // namespace recto
