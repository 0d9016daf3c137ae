#include "util/shared_file.hpp"

#include <cassert>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/crypto.hpp"
#include "util/file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

std::span<std::byte> map(int fd, std::size_t size, const fs::path& path) {
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) throw io_error("cannot map", path);
    return {static_cast<std::byte*>(memory), size};
}

void allocate(int fd, std::size_t size, const fs::path& path) {
    errno = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
    if (errno != 0) throw io_error("no room for " + std::to_string(size) + " bytes of shared memory in", path);
}

struct stat status_of(int fd, const fs::path& path) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw io_error("cannot look at", path);
    return status;
}

void refuse_strangers(const struct stat& status, const fs::path& path) {
    const auto refuse = [&](const char* why) { throw std::runtime_error("refusing shared memory " + path.string() + ": " + why); };
    if (!S_ISREG(status.st_mode)) refuse("not a regular file");
    if (status.st_uid != ::geteuid()) refuse("it belongs to another user");
    if ((status.st_mode & 0077) != 0) refuse("other users may open it");
    if (status.st_nlink != 1) refuse("it has a second name");
}

}  // namespace

SharedFile SharedFile::create(const fs::path& path, std::size_t size, const std::function<void(std::span<std::byte>)>& fill) {
    const fs::path temporary = path.string() + '.' + std::to_string(random_number());  // as remove_half_made() expects it
    UniqueFd fd(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot make", temporary);
    try {
        allocate(fd.get(), size, temporary);
        SharedFile file(std::move(fd), size, temporary);
        fill(file.bytes());
        if (::rename(temporary.c_str(), path.c_str()) != 0) throw io_error("cannot replace", path);
        return file;
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
}

std::optional<SharedFile> SharedFile::attach(const fs::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) return {};
    if (!fd) throw io_error("cannot open", path);
    const auto status = status_of(fd.get(), path);
    // Replaced between our open and our look: what we hold has no name any more.
    if (status.st_nlink == 0) return attach(path);
    refuse_strangers(status, path);
    if (status.st_size == 0) throw std::runtime_error("shared memory " + path.string() + " is empty");
    return SharedFile(std::move(fd), static_cast<std::size_t>(status.st_size), path);
}

SharedFile SharedFile::of_zeros(UniqueFd fd, std::size_t size, const fs::path& path) {
    refuse_strangers(status_of(fd.get(), path), path);
    allocate(fd.get(), size, path);
    return {std::move(fd), size, path};
}

SharedFile::SharedFile(UniqueFd fd, std::size_t size, const fs::path& path) : fd_(std::move(fd)) {
    const auto status = status_of(fd_.get(), path);
    device_ = status.st_dev;
    inode_ = status.st_ino;
    bytes_ = map(fd_.get(), size, path);
}

SharedFile::SharedFile(SharedFile&& other) noexcept
    : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, {})), device_(other.device_), inode_(other.inode_) {}

SharedFile& SharedFile::operator=(SharedFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(bytes_, other.bytes_);
    std::swap(device_, other.device_);
    std::swap(inode_, other.inode_);
    return *this;
}

SharedFile::~SharedFile() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

bool SharedFile::is_still(const fs::path& path) const {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

// The address is ours before there is a file for it, so that no other mapping is ever replaced.
SharedWindow::SharedWindow(std::size_t size) {
    void* const place = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "no room for a mapping of shared memory");
    place_ = {static_cast<std::byte*>(place), size};
}

SharedWindow::~SharedWindow() { ::munmap(place_.data(), place_.size()); }

// mmap(MAP_FIXED) checks the kernel's limits before it removes what is there, and a thread that reads meanwhile waits in its page fault
// until the new file is in place. mremap() from an old size of 0 does the same without a descriptor, but valgrind refuses it.
void SharedWindow::show(const SharedFile& file) {
    assert(file.bytes().size() == place_.size());
    void* const shown = ::mmap(place_.data(), place_.size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.fd(), 0);
    if (shown == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot map shared memory");
}

void remove_half_made(const fs::path& path) {
    const auto begin = path.filename().string() + '.';
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(path.parent_path(), none)) {
        const auto name = entry.path().filename().string();
        const bool is_one = name.starts_with(begin) && name.size() > begin.size() &&
                            name.find_first_not_of("0123456789", begin.size()) == std::string::npos;
        if (is_one) fs::remove(entry.path(), none);
    }
}

std::span<std::byte> keep_mapped(SharedFile file) { return std::exchange(file.bytes_, {}); }

void make_private_directory(const fs::path& path) {
    make_directories(path, 0700);
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) throw io_error("cannot look at", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 0022) != 0)
        throw std::runtime_error("refusing the folder " + path.string() +
                                 ": it must be a folder of this user that no one else may write to");
}

}  // namespace recto
