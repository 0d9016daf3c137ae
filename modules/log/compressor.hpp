// compressor.hpp - gives the backups of a log their compressed form, in the background: `compress = on`.
//
// `recto.log.1` stays as it is, for whoever reads on in it and for a process that was slow to notice the rotation; from 2 on a backup
// becomes `recto.log.2.gz`: members of 1 MiB each (RFC 1952 section 2.2; zcat reads them), so that memory stays small. One process at a
// time does it, under a lock of its own; the rotation's lock is held for a rename only. The result is made under another name, written
// to the disk (fsync), renamed, and only then the plain one removed: a process that dies leaves the one or the whole other.
//
// Errors:   none: what can't be compressed stays plain, standard error hears of it, and the next rotation tries again.
// Threads:  wake() is safe to call from any thread. The work is done by one thread of ours with the lowest priority, where we may set it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <thread>

#include <sys/types.h>

namespace recto {

class Compressor {
public:
    explicit Compressor(std::filesystem::path file);  // looks at once: someone may have died before the end
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    void wake() noexcept;  // there is a new backup

private:
    void run(const std::stop_token& stop);
    void try_all(const std::stop_token& stop) noexcept;
    bool compress_all(const std::stop_token& stop);  // false: another process is at it
    void compress(const std::filesystem::path& backup, const std::stop_token& stop);
    bool put_in_place(ino_t inode, off_t size) const;
    [[nodiscard]] std::filesystem::path beside(const char* ending) const;

    const std::filesystem::path file_;
    std::mutex mutex_;
    std::condition_variable_any woken_;
    bool has_work_ = true;  // guarded by mutex_
    std::jthread thread_;   // the last to be made, the first to go
};

}  // namespace recto
