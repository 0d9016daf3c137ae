// file.hpp - file descriptors, whole files, directories and locks.
//
// Errors:   std::system_error whose text names the path, unless a function says otherwise.
// Threads:  one object a thread; the functions are safe to call from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace recto {

// Closes what it holds.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~UniqueFd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

// "cannot open /x/y: Permission denied", from errno.
[[nodiscard]] std::system_error io_error(std::string_view what, const std::filesystem::path& path);

[[nodiscard]] std::string read_file(const std::filesystem::path& path);

void write_all(int fd, std::string_view bytes, const std::filesystem::path& path);  // the path is for the error

// Whole or not at all: a new file under another name, then a rename.
void replace_file(const std::filesystem::path& path, std::string_view content, unsigned mode = 0640);

// Makes the folder and those above it. One that is there already is left as it is.
void make_directories(const std::filesystem::path& path, unsigned mode = 0750);

// An advisory lock (flock) on a file that is made if need be; ends with the object or the process, however it ends.
class FileLock {
public:
    enum class Mode { shared, exclusive };

    [[nodiscard]] static FileLock wait(const std::filesystem::path& path, Mode mode);
    [[nodiscard]] static std::optional<FileLock> attempt(const std::filesystem::path& path, Mode mode);  // empty: someone holds it

    // Between shared and exclusive. Not atomic: another process may come between (flock(2)).
    void convert(Mode mode);

private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace recto
