// output.hpp - all that `recto` prints. No other file of command/ writes to a descriptor or a stream (etc/dev/lint).
//
// What is printed may come from anywhere: the title of a post, the name of a file, a foreign line of a log. So each line is made printable
// (util/text.hpp) here, and a caller that means several lines prints several.
//
// Errors:   OutputLost as soon as standard output fails to take something; at the latest from finish_output(), which main calls before the
//           exit code. Standard error is tried only; has_lost_messages() tells.
// Threads:  for the one thread of the program.
#pragma once

#include <string_view>
#include <system_error>

namespace recto {

// The disk is full, the reader of the pipe has ended, or the descriptor was closed.
class OutputLost : public std::system_error {
public:
    explicit OutputLost(int reason);
    [[nodiscard]] bool has_no_reader() const { return code() == std::errc::broken_pipe; }
};

void print_line(std::string_view line);

// Text that is printable already but for its newlines and colours.
void print_raw(std::string_view text);

// Bytes that a client stored: as they are into a pipe or a file; on a terminal line by line, printable. A newline follows.
void print_value(std::string_view value);

// What was printed until now has been taken, or OutputLost.
void finish_output();

void complain(std::string_view line);  // a line on standard error

// Whether a line could not be written to standard error.
[[nodiscard]] bool has_lost_messages();

}  // namespace recto
