// read_lines.hpp - the lines of a log: of the files being written and of their backups, plain or gzip'ed (files.hpp has their names).
//
// Errors:   open_log() throws std::system_error or std::runtime_error for a file that can't be opened, read_lines() for one that
//           open_logs() could not open or that can't be read to its end; they name it. Files that aren't there are no error. The lines of a
//           damaged .gz before the damage were taken by then.
// Threads:  one object a thread.
// Limits:   a line of more than 2 MB is cut there, twice the longest that the log writes. A gzip'ed file may have any size.
#pragma once

#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "log/log.hpp"
#include "util/file.hpp"

namespace recto {

using LineTaker = std::function<void(std::string_view line)>;  // without its newline

// Bytes as they come, lines as they end.
class LineSplitter {
public:
    static constexpr std::size_t kMaxLine = std::size_t{2} << 20;

    void feed(std::string_view bytes, const LineTaker& take);
    void finish(const LineTaker& take);  // what has no newline is a line too

private:
    void add(std::string_view bytes);

    std::string begun_;  // a line whose end hasn't come
};

// A regular file, opened; without fd if there is none. A FIFO in a log's place must not stop the reader.
[[nodiscard]] UniqueFd open_log(const std::filesystem::path& path);

using FileId = std::pair<dev_t, ino_t>;

// Of the file that has the name now; {} when there is none.
[[nodiscard]] FileId id_of(const std::filesystem::path& path);

struct OpenedLog {
    std::filesystem::path path;  // its name then
    UniqueFd fd;
    std::exception_ptr problem = {};  // why it isn't open
};

// All files of a handler in the order of files_of(): each once and all of them, also while they are rotated.
[[nodiscard]] std::vector<OpenedLog> open_logs(const LogHandler& handler);

// Those that lines are written to now: one, there or not, or one a worker that is there.
[[nodiscard]] std::vector<std::filesystem::path> current_files(const LogHandler& handler);

void read_lines(const OpenedLog& log, const LineTaker& take);

}  // namespace recto
