// file_tail.hpp - what is being written to a log's file, through rotation, renaming, removal and truncation of it.
//
// Errors:   std::system_error or std::runtime_error when the file is there but can't be read. That it isn't there, or not yet, is none.
// Threads:  one per thread.
// Limits:   lines as long as LineSplitter takes. A file that was rotated and packed between two looks is missed.
// Time:     as often as poll() is called. A file that lost its name is read for one more second: a process may still write to it.
#pragma once

#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <vector>

#include <sys/types.h>

#include "log/read_lines.hpp"

namespace recto {

class FileTail {
public:
    // Begins with the last lines there are, in the last 16 MB.
    FileTail(std::filesystem::path file, std::size_t last_lines);

    // Takes the lines that are new since the last call.
    void poll(const LineTaker& take);

    [[nodiscard]] bool is_there() const { return has_name_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Source {
        UniqueFd fd;
        FileId id;
        timespec modified;
        int number = 0;  // when it was opened
        off_t offset = 0;
        LineSplitter lines = {};
        Clock::time_point left = {};  // when it lost its name
    };

    static Source source_of(UniqueFd fd, int number);
    static void read(Source& source, const LineTaker& take);
    static bool is_in(const std::vector<Source>& sources, const Source& source);
    [[nodiscard]] std::vector<Source> successors() const;
    [[nodiscard]] std::vector<Source> newer_files() const;
    void forget_those_long_left();

    std::filesystem::path file_;
    timespec began_{};
    std::vector<Source> sources_;  // in the order they were written; the last is the one with the name, if any is
    bool has_name_ = false;
};

}  // namespace recto
