// log_lines.hpp - what `recto log follow`, `grep` and `slow` share: which files to read, lines in order, how they are shown.
//
// Errors:   read_all() tells on standard error which file it could not read, and goes on with the next.
// Threads:  for the one thread of the program.
#pragma once

#include <string>
#include <vector>

#include "command/operator.hpp"
#include "log/line_reader.hpp"
#include "log/read_lines.hpp"

namespace recto {

struct FoundLine {
    LogLine line;
    std::string text;
};

// The handlers that write files, each file once.
[[nodiscard]] std::vector<LogHandler> file_handlers(const Config& config);

// nginx's access log as if it were a handler's: its backups have the same names.
[[nodiscard]] LogHandler nginx_access_log(const Config& config);

struct ReadFiles {
    std::size_t read = 0;
    std::size_t failed = 0;
};
// `take` gets each line of the handlers' files written to since `since`, the oldest of a handler first.
ReadFiles read_all(const std::vector<LogHandler>& handlers, TimePoint since, const LineTaker& take);

// After what could be read was printed: a command that could not read a file, or not to its end, ends with 1.
void stop_if_incomplete(std::size_t failed);

[[nodiscard]] std::string counted_files(std::size_t count);  // `1 file`, `2 files`

// By time. A line without one stays behind the line before it; a line that two handlers have written stays once.
void sort_by_time(std::vector<FoundLine>& lines);

// Colours for a terminal, unless $NO_COLOR is set (no-color.org) or $TERM is dumb; nothing but printable text otherwise.
class Ink {
public:
    [[nodiscard]] static Ink of_standard_output();
    [[nodiscard]] std::string line(const FoundLine& found) const;

private:
    explicit Ink(bool is_on) : is_on_(is_on) {}
    bool is_on_;
};

}  // namespace recto
