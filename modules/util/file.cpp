#include "util/file.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/crypto.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

UniqueFd open_lock_file(const fs::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot open the lock file", path);
    return fd;
}

int flock_word(FileLock::Mode mode) { return mode == FileLock::Mode::shared ? LOCK_SH : LOCK_EX; }

void flock_blocking(int fd, FileLock::Mode mode) {
    while (::flock(fd, flock_word(mode)) != 0)
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "cannot lock a file");
}

}  // namespace

void UniqueFd::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

std::system_error io_error(std::string_view what, const fs::path& path) {
    return {errno, std::generic_category(), std::string(what) + ' ' + path.string()};
}

std::string read_file(const fs::path& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw io_error("cannot open", path);
    std::string content;
    char buffer[65536];
    for (;;) {
        const auto got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw io_error("cannot read", path);
        if (got == 0) return content;
        content.append(buffer, static_cast<std::size_t>(got));
    }
}

void write_all(int fd, std::string_view bytes, const fs::path& path) {
    while (!bytes.empty()) {
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw io_error("cannot write", path);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

void replace_file(const fs::path& path, std::string_view content, unsigned mode) {
    const fs::path temporary = path.string() + '.' + std::to_string(random_number());
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) throw io_error("cannot make", temporary);
    try {
        write_all(fd.get(), content, temporary);
        if (::fsync(fd.get()) != 0) throw io_error("cannot write", temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0) throw io_error("cannot replace", path);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
}

void make_directories(const fs::path& path, unsigned mode) {
    if (path.empty() || ::mkdir(path.c_str(), mode) == 0) return;
    if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
        make_directories(path.parent_path(), mode);
        if (::mkdir(path.c_str(), mode) == 0) return;
    }
    const int problem = errno;
    std::error_code ignored;
    if (problem == EEXIST && fs::is_directory(path, ignored)) return;
    errno = problem == EEXIST ? ENOTDIR : problem;
    throw io_error("cannot make the folder", path);
}

FileLock FileLock::wait(const fs::path& path, Mode mode) {
    auto fd = open_lock_file(path);
    flock_blocking(fd.get(), mode);
    return FileLock(std::move(fd));
}

std::optional<FileLock> FileLock::attempt(const fs::path& path, Mode mode) {
    auto fd = open_lock_file(path);
    if (::flock(fd.get(), flock_word(mode) | LOCK_NB) == 0) return FileLock(std::move(fd));
    if (errno != EWOULDBLOCK) throw io_error("cannot lock", path);
    return {};
}

void FileLock::convert(Mode mode) { flock_blocking(fd_.get(), mode); }

}  // namespace recto
