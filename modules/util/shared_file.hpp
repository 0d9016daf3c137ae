// shared_file.hpp - a file of fixed size that several processes map as shared memory.
//
// Nobody ever sees a half-made one: it is made under another name, its blocks allocated (a full tmpfs is an error at start, not a
// SIGBUS later), filled by the caller, then renamed into place.
//
// Errors:   std::system_error or std::runtime_error naming the path.
// Threads:  the object is one thread's; what is in the memory is the caller's affair (atomics, robust locks).
// Limits:   opened without following links; a file of another owner, open to others, or with more than one name is refused.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>

#include <sys/types.h>

#include "util/file.hpp"

namespace recto {

class SharedFile {
public:
    // Replaces whatever is at `path`; `fill` gets zeroed memory before anybody else can see it.
    [[nodiscard]] static SharedFile create(const std::filesystem::path& path, std::size_t size,
                                           const std::function<void(std::span<std::byte>)>& fill);

    // Empty when there is no such file. The size is the file's own: compare it before reading on.
    [[nodiscard]] static std::optional<SharedFile> attach(const std::filesystem::path& path);

    // An open file in which zeros are a start: made `size` bytes long unless it is. Any number of processes may do so at once.
    [[nodiscard]] static SharedFile of_zeros(UniqueFd fd, std::size_t size, const std::filesystem::path& path);

    SharedFile(SharedFile&& other) noexcept;
    SharedFile& operator=(SharedFile&& other) noexcept;
    ~SharedFile();  // unmaps; memory that holds robust locks in use must live as long as the process

    [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
    [[nodiscard]] int fd() const { return fd_.get(); }  // open as long as the object lives, for locks on bytes of the file

    // Whether `path` still names this very file.
    [[nodiscard]] bool is_still(const std::filesystem::path& path) const;

private:
    friend class SharedWindow;
    friend std::span<std::byte> keep_mapped(SharedFile file);
    SharedFile(UniqueFd fd, std::size_t size, const std::filesystem::path& path);

    UniqueFd fd_;
    std::span<std::byte> bytes_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

// A place in this process's memory where one shared file at a time is seen. Threads may read there while another file is laid in its
// place: each load sees the one or the other, and none faults. So nobody has to know when the last reader of a file is done with it; who
// needs several loads from the same file asks afterwards whether it was still there (as with a sequence lock).
class SharedWindow {
public:
    explicit SharedWindow(std::size_t size);
    ~SharedWindow();
    SharedWindow(const SharedWindow&) = delete;
    SharedWindow& operator=(const SharedWindow&) = delete;

    [[nodiscard]] const std::byte* address() const { return place_.data(); }  // not to be read before the first show()

    // A file of this size; it need not stay mapped elsewhere. By one thread at a time.
    void show(const SharedFile& file);

private:
    std::span<std::byte> place_;
};

// What makers of `path` left who were killed. Only where nobody can be making one: under the lock that all of them hold.
void remove_half_made(const std::filesystem::path& path);

// For memory that holds robust locks: the kernel would write through the address of one, when its owner dies, to whatever is mapped there
// by then. Never unmapped; the file is closed.
[[nodiscard]] std::span<std::byte> keep_mapped(SharedFile file);

// Makes `path` (mode 0700) if it isn't there; refuses one of another owner or that others may write to.
void make_private_directory(const std::filesystem::path& path);

}  // namespace recto
