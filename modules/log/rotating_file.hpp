// rotating_file.hpp - a file that several processes append whole lines to, and that one of them rotates when it is full.
//
// What is written is one write(2) with O_APPEND and nothing else, so the kernel keeps lines whole and in order, and what was written
// survives any death of the process. How full the file is stands in memory that the processes share (meter.hpp). The full file becomes
// `name.1`, the others move one up (backups.hpp).
//
// Errors:   none, not even if the file can't be opened at first. A line that can't be written goes to standard error and is counted; the reason
//           is told there (at most every 10 s), and the first line written again comes after one that tells the count.
//           While the file system has less than min_free_space the oldest backup goes, one every 100 ms; with none left lines are lost.
// Threads:  safe to call from any thread, and from any process with a RotatingFile of its own. Not shared across fork().
// Devices:  /dev/null, a terminal or a pipe takes the lines as they come; nothing is rotated, locked or looked at.
// Limits:   a file has max_bytes (of 32 GB at most), plus at most one write() per process. The folder is on this machine's disk (flock,
//           O_APPEND: not NFS). A disk that stands still holds its writers: Batch is for those who can't wait.
//           A process frozen while it rotates delays another's line by 500 ms every 5 s; the file grows meanwhile.
// Time:     a removed, renamed or replaced file or folder is noticed within 100 ms.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "log/log_counters.hpp"
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
        Size min_free_space{0};
        bool sync_errors = false;                // fdatasync after what has an error in it
        std::filesystem::path runtime_dir = {};  // of the meter; empty: beside the file
        HandlerCounters counters = {};
        std::function<void()> after_rotation = {};  // by us; while a line waits
    };
    struct Gap {
        std::uint64_t lost;
        std::chrono::milliseconds lasted;
    };
    using GapLine = std::function<std::string(const Gap&)>;

    RotatingFile(Options options, GapLine gap_line);
    ~RotatingFile();
    RotatingFile(const RotatingFile&) = delete;
    RotatingFile& operator=(const RotatingFile&) = delete;

    // Whole lines, each with its newline. A single one is written whole or not at all; of several the first ones may be.
    void write(std::string_view lines, bool has_error = false) noexcept;

    // Lines that never came here, and were counted: the next write() tells of them too.
    void lose(std::uint64_t lines, std::chrono::steady_clock::time_point since) noexcept;

private:
    using Clock = std::chrono::steady_clock;

    UniqueFd write_and_count(std::string_view lines, bool wants_file) noexcept;
    void sync(int fd) noexcept;
    std::string_view try_write(std::string_view lines) noexcept;  // what is left of them, as from append() and write_once()
    void look();
    void keep_space_free();
    bool free_a_backup() const;
    bool is_current();  // is the open file still the one with the name? Updates size_.
    void open();
    void open_meter();

    // Whether the meter counts us in, now or after a rotation.
    bool enter(std::size_t bytes);
    bool enter_this_file(std::size_t bytes) { return meter_->enter(inode_, bytes, options_.max_bytes.bytes) == Meter::Answer::go_on; }
    bool enter_next_file(std::size_t bytes);

    std::string_view append(std::string_view lines);
    std::string_view write_once(std::string_view lines);
    std::string_view write_behind_torn(std::string_view lines);
    bool went_to_deleted_file() const;
    bool ends_torn() const;
    bool follows_torn(std::size_t bytes) const;
    bool is_newline(std::int64_t position) const;

    void remember_lost(std::uint64_t lines, Clock::time_point since);
    bool tell_gap();
    void complain(std::string_view problem, int code) noexcept;
    void complain(const std::exception& problem) noexcept;

    const std::filesystem::path path_;
    const std::filesystem::path lock_path_;
    const std::filesystem::path meter_path_;
    const Options options_;
    const GapLine gap_line_;

    std::mutex mutex_;
    // Guarded by mutex_.
    UniqueFd fd_;
    std::unique_ptr<Meter> meter_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    bool is_device_ = false;    // or a pipe
    std::uint64_t size_ = 0;    // when we last looked
    bool may_be_torn_ = false;  // see what the last byte is before writing
    bool has_room_ = true;      // min_free_space
    std::uint64_t lost_ = 0;
    HandlerCounters counters_;
    Clock::time_point now_;  // coarse, read once a write
    Clock::time_point looked_at_;
    Clock::time_point rotate_from_;
    Clock::time_point lost_since_;
    Clock::time_point quiet_until_;
};

}  // namespace recto
