// line_reader.hpp - what a line of the log says, whatever wrote it.
//
// The line itself shows its format, since a file may have lines of several: verbose, json, ecs, nginx's access log (the log_format in
// etc/nginx/upstreams.conf), or a pattern of the operator's, of which is taken what can be recognised: a time, a level, a logger of
// Recto's, an event, a transaction id.
//
// Errors:   none. What the line doesn't tell is absent; half a line, or what isn't a line of a log at all, is text.
// Threads:  pure functions.
// Limits:   JSON nested deeper than 32 is text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "log/log.hpp"
#include "util/json.hpp"
#include "util/time.hpp"

namespace recto {

struct LogLine {
    // A time told in whole seconds, as nginx does when a request has ended, is the end of that second: behind what happened within it.
    std::optional<TimePoint> time = {};
    std::optional<Level> level = {};
    std::string logger = {};  // `nginx` for a line of its access log
    std::optional<std::int64_t> pid = {};
    std::optional<std::int64_t> tid = {};
    std::string event = {};  // empty: it is a message
    json::value data = {};   // of an event; nginx's line as a whole
    std::string txid = {};
    std::optional<std::int64_t> uid = {};
    std::string text = {};  // of a message
};

[[nodiscard]] LogLine parse_log_line(std::string_view line);

// `2026-11-22 20:30:16.123456Z`, also with a T, with fewer digits or none, with an offset such as +01:00. `length` is what it takes.
struct TimeText {
    TimePoint time;
    std::size_t length;
};
[[nodiscard]] std::optional<TimeText> parse_log_time(std::string_view text);

}  // namespace recto
