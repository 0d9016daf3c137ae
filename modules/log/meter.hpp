// meter.hpp - how full the log's file is and how many are writing to it: one word that all processes share.
//
// To ask the kernel costs as much as to write the line. So each writer adds its bytes here before it writes; one that dies in between
// leaves a count that is too high, never too low, and the rotation that follows from it looks at the file first. The word also names
// its file, so that whoever still has an older one open notices with the next line.
//
// Errors:   the constructor throws std::system_error; nothing else can fail.
// Threads:  safe to call from any thread and any process that maps the same file.
// Trap:     whoever truncates a mapped file kills all that use it (SIGBUS). So it lies with the other shared memory, in a private folder,
//           and not among the logs, which people do empty by hand.
// Limits:   files of 2^36 bytes, 4,095 writers at a time. Above, the word names no known file, and is set anew by the next rotation.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>

#include <sys/types.h>

namespace recto {

class Meter {
public:
    enum class Answer { go_on, full, other_file };

    static constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 36;

    explicit Meter(const std::filesystem::path& path);  // made if need be
    ~Meter();
    Meter(const Meter&) = delete;
    Meter& operator=(const Meter&) = delete;

    // Before a line is written to the file `inode`. After go_on comes leave().
    [[nodiscard]] Answer enter(ino_t inode, std::uint64_t bytes, std::uint64_t max_bytes);

    // True when nobody else has been writing since enter(), nor died while writing to this file.
    bool leave(ino_t inode);

    [[nodiscard]] bool is_of(ino_t inode) const;             // whether the word names this file
    [[nodiscard]] std::uint64_t writers(ino_t inode) const;  // between enter() and leave(), or dead there

    // With the rotation's lock held: this is the file, and this is its size. If it was the file before, only when nothing has been
    // counted since `seen`, which read() gave before the size was looked up.
    void set(ino_t inode, std::uint64_t size, std::uint64_t seen);
    [[nodiscard]] std::uint64_t read() const { return word_->load(); }

    void raise(ino_t inode, std::uint64_t size);  // if this is the file and it has more than we know

private:
    std::atomic<std::uint64_t>* word_;
};

// Of the log `file`, an absolute path. Without a `runtime_dir` beside the log: then nobody may truncate hidden files there.
[[nodiscard]] std::filesystem::path meter_path(const std::filesystem::path& file, const std::filesystem::path& runtime_dir);

}  // namespace recto
