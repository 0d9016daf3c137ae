// rotating_file.hpp - a file that several processes append whole lines to, and that one of them rotates when it is full.
//
// A line is one write(2) with O_APPEND and nothing else, so the kernel keeps lines whole and in order, and what was written survives
// any death of the process. How full the file is stands in memory that the processes share (meter.hpp, mapped from the lock file).
// The full file becomes `name.1`, the others move one up as far as the first free number, the oldest goes when there is none: a chain
// that died half-way leaves a free number, and the next rotation fills it.
//
// Errors:   the constructor throws std::system_error. write() throws nothing: a line that can't be written is counted, standard error
//           hears of it (at most every 10 s), and the first line written again comes after one that tells the count.
// Threads:  safe to call from any thread, and from any process with a RotatingFile of its own. Not shared across fork().
// Limits:   a file has max_bytes (of 32 GB at most), plus at most one line per process. The folder is on this machine's disk (flock,
// O_APPEND: not NFS).
//           A process frozen while it rotates delays another's line by 500 ms every 5 s; the file grows meanwhile.
// Time:     a removed, renamed or replaced file or folder is noticed within 100 ms.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "log/meter.hpp"
#include "util/file.hpp"
#include "util/units.hpp"

namespace recto {

class RotatingFile {
public:
    struct Options {
        std::filesystem::path file;
        Size max_bytes;
        int backup_count;  // at least 1
    };
    struct Gap {
        std::uint64_t lost;
        std::chrono::milliseconds lasted;
    };
    using GapLine = std::function<std::string(const Gap&)>;

    RotatingFile(const Options& options, GapLine gap_line);
    ~RotatingFile();
    RotatingFile(const RotatingFile&) = delete;
    RotatingFile& operator=(const RotatingFile&) = delete;

    void write(std::string_view line) noexcept;  // with its newline

private:
    using Clock = std::chrono::steady_clock;

    bool try_write(std::string_view line) noexcept;
    void look();
    bool is_current();  // is the open file still the one with the name? Updates size_.
    void open();

    // Whether the meter counts us in, now or after a rotation.
    bool enter(std::size_t bytes);
    bool enter_this_file(std::size_t bytes) { return meter_->enter(inode_, bytes, max_bytes_) == Meter::Answer::go_on; }
    bool enter_next_file(std::size_t bytes);
    void shift_backups() const;
    std::filesystem::path backup(int number) const;

    bool append(std::string_view line);
    bool write_once(std::string_view bytes);
    bool ends_torn() const;
    bool follows_torn(std::size_t bytes) const;
    bool is_newline(std::int64_t position) const;

    void count_lost();
    bool tell_gap();
    void complain(std::string_view problem) noexcept;

    const std::filesystem::path path_;
    const std::filesystem::path lock_path_;
    const std::uint64_t max_bytes_;
    const int backup_count_;
    const GapLine gap_line_;

    std::mutex mutex_;
    // Guarded by mutex_.
    UniqueFd fd_;
    std::unique_ptr<Meter> meter_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    std::uint64_t size_ = 0;    // when we last looked
    bool may_be_torn_ = false;  // see what the last byte is before writing
    std::uint64_t lost_ = 0;
    Clock::time_point now_;  // coarse, read once a line
    Clock::time_point looked_at_;
    Clock::time_point rotate_from_;
    Clock::time_point lost_since_;
    Clock::time_point quiet_until_;
};

}  // namespace recto
