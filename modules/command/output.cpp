#include "command/output.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>

#include <unistd.h>

#include "command/progress.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

std::string line_of(std::string_view text) { return printable(text) + '\n'; }

}  // namespace

OutputLost::OutputLost(int reason) : std::system_error(reason, std::generic_category(), "cannot write to standard output") {}

void print_raw(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw OutputLost(errno);
}

void print_line(std::string_view line) { print_raw(line_of(line)); }

void print_value(std::string_view value) {
    if (::isatty(STDOUT_FILENO) == 0) {
        print_raw(value);
        return print_raw("\n");
    }
    for (;;) {
        const auto end = std::min(value.find('\n'), value.size());
        print_line(value.substr(0, end));
        if (end == value.size()) return;
        value.remove_prefix(end + 1);
    }
}

void finish_output() {
    if (std::fflush(stdout) != 0) throw OutputLost(errno);
}

// One write, so that lines of several processes on one terminal don't mix.
void complain(std::string_view line) {
    const auto text = line_of(line);
    std::fwrite(text.data(), 1, text.size(), stderr);
}

void show_progress(std::string_view line) {
    if (::isatty(STDERR_FILENO) == 0) return;
    const auto text = "\r" + printable(line) + "\x1b[K";
    std::fwrite(text.data(), 1, text.size(), stderr);
}

bool has_lost_messages() { return std::ferror(stderr) != 0; }

}  // namespace recto
