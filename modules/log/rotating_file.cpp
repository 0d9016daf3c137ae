#include "log/rotating_file.hpp"

#include <cassert>
#include <cerrno>
#include <ctime>
#include <exception>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kLookEvery = 100ms;
constexpr auto kLockPatience = 500ms;
constexpr auto kLockPause = 500us;
constexpr auto kRotationRetry = 5s;
constexpr auto kComplainEvery = 10s;
constexpr int kRotationAttempts = 10;
constexpr mode_t kFileMode = 0640;

// A tick of some milliseconds, read without entering the kernel.
std::chrono::steady_clock::time_point coarse_now() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::chrono::steady_clock::time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

std::string error_text(int code) { return std::generic_category().message(code); }

bool has_name(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && status.st_nlink > 0;
}

std::int64_t size_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? status.st_size : 0;
}

bool is_taken(const fs::path& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

void rename_if_there(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) throw io_error("cannot rename", from);
}

UniqueFd open_for_append(const fs::path& path) {
    return UniqueFd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, kFileMode));
}

// Another process rotates for a fraction of a millisecond. One that was stopped meanwhile must not stop us.
std::optional<FileLock> lock_patiently(const fs::path& path) {
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    for (;;) {
        if (auto lock = FileLock::attempt(path, FileLock::Mode::exclusive)) return lock;
        if (std::chrono::steady_clock::now() >= deadline) return {};
        std::this_thread::sleep_for(kLockPause);
    }
}

}  // namespace

RotatingFile::RotatingFile(const Options& options, GapLine gap_line)
    : path_(fs::absolute(options.file)),
      lock_path_(path_.parent_path() / ('.' + path_.filename().string() + ".lock")),
      max_bytes_(options.max_bytes.bytes),
      backup_count_(options.backup_count),
      gap_line_(std::move(gap_line)),
      now_(coarse_now()) {
    assert(max_bytes_ > 0 && max_bytes_ <= Meter::kMaxBytes / 2 && backup_count_ > 0);
    open();
}

RotatingFile::~RotatingFile() {
    const std::lock_guard lock(mutex_);
    looked_at_ = {};
    if (lost_ == 0 || try_write({})) return;
    quiet_until_ = {};
    complain("closed");
}

void RotatingFile::write(std::string_view line) noexcept {
    const std::lock_guard lock(mutex_);
    if (!try_write(line)) count_lost();
}

bool RotatingFile::try_write(std::string_view line) noexcept {
    try {
        now_ = coarse_now();
        if (now_ - looked_at_ >= kLookEvery) look();
        return fd_ && (lost_ == 0 || tell_gap()) && (line.empty() || append(line));
    } catch (const std::exception& problem) {
        complain(problem.what());
        return false;
    }
}

// A file that was renamed can take the lines until the new one can be opened; in one without a name they would vanish uncounted.
void RotatingFile::look() try {
    looked_at_ = now_;
    if (!fd_ || !is_current()) return open();
    meter_->raise(inode_, size_);  // someone may write who doesn't know the meter
} catch (const std::system_error& problem) {
    complain(problem.what());
    if (fd_ && !has_name(fd_.get())) fd_.reset();
}

bool RotatingFile::is_current() {
    struct stat status {};
    if (::stat(path_.c_str(), &status) != 0 || status.st_ino != inode_ || status.st_dev != device_) return false;
    size_ = static_cast<std::uint64_t>(status.st_size);
    return true;
}

// The old file stays open until the new one is: a full disk may let us rename but not create.
void RotatingFile::open() {
    auto fd = open_for_append(path_);
    if (!fd && errno == ENOENT) {
        make_directories(path_.parent_path());
        fd = open_for_append(path_);
    }
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) throw io_error("cannot open the log", path_);
    auto meter = std::make_unique<Meter>(lock_path_);  // again: it may have gone with its folder

    fd_ = std::move(fd);
    meter_ = std::move(meter);
    device_ = status.st_dev;
    inode_ = status.st_ino;
    size_ = static_cast<std::uint64_t>(status.st_size);
    may_be_torn_ = size_ > 0;
    looked_at_ = now_;
}

// Where the file stays too full because it can't be rotated, the line is written all the same.
bool RotatingFile::enter(std::size_t bytes) {
    for (int i = 0; i < kRotationAttempts; ++i) {
        if (enter_this_file(bytes)) return true;
        if (now_ < rotate_from_) return false;
        if (enter_next_file(bytes)) return true;
    }
    return false;
}

bool RotatingFile::enter_next_file(std::size_t bytes) try {
    if (!is_current()) {
        open();
        return false;
    }
    const auto lock = lock_patiently(lock_path_);
    if (!lock) throw std::runtime_error("another process holds " + lock_path_.string());

    // Again, now that nobody else can: the one we waited for has rotated, most likely. And the meter may count lines that a process
    // died before writing.
    const auto seen = meter_->read();
    if (!is_current()) open();
    if (size_ > 0 && size_ + bytes > max_bytes_) {
        shift_backups();
        open();
    }
    meter_->set(inode_, size_, seen);
    // With the lock still held: the others could fill the file before we come to it again.
    return enter_this_file(bytes);
} catch (const std::exception& problem) {
    rotate_from_ = now_ + kRotationRetry;
    complain(problem.what());
    return false;
}

void RotatingFile::shift_backups() const {
    int free = 1;
    while (free < backup_count_ && is_taken(backup(free))) ++free;
    for (int number = free; number > 1; --number) rename_if_there(backup(number - 1), backup(number));
    rename_if_there(path_, backup(1));
}

fs::path RotatingFile::backup(int number) const { return path_.string() + '.' + std::to_string(number); }

bool RotatingFile::append(std::string_view line) {
    const bool metered = enter(line.size());
    const bool written = may_be_torn_ && ends_torn() ? write_once('\n' + std::string(line)) : write_once(line);
    const bool alone = metered && meter_->leave(inode_);
    if (!written) return false;

    may_be_torn_ = false;
    // A process that is killed inside write(2) may leave half a line. Ours hangs on it then, unreadable: once more.
    return alone || !follows_torn(line.size()) || write_once(line);
}

bool RotatingFile::write_once(std::string_view bytes) {
    auto written = ::write(fd_.get(), bytes.data(), bytes.size());
    while (written < 0 && errno == EINTR) written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written == static_cast<ssize_t>(bytes.size())) return true;

    // The rest in a second write could land behind another process's line.
    may_be_torn_ = true;
    complain(written < 0 ? error_text(errno) : "the disk took half a line");
    return false;
}

// Half a line may also be one that another process is writing: then the meter counts it, or the file is longer afterwards.
bool RotatingFile::ends_torn() const {
    const auto end = size_of(fd_.get());
    return !is_newline(end - 1) && meter_->writers(inode_) <= 1 && size_of(fd_.get()) == end;
}

// After write(2) with O_APPEND the offset is where the line ended.
bool RotatingFile::follows_torn(std::size_t bytes) const {
    const auto end = ::lseek(fd_.get(), 0, SEEK_CUR);
    return !is_newline(end - static_cast<std::int64_t>(bytes) - 1);
}

bool RotatingFile::is_newline(std::int64_t position) const {
    char byte = '\n';
    return position < 0 || ::pread(fd_.get(), &byte, 1, position) != 1 || byte == '\n';
}

void RotatingFile::count_lost() {
    if (lost_++ == 0) lost_since_ = now_;
}

bool RotatingFile::tell_gap() {
    const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - lost_since_);
    if (!append(gap_line_({lost_, lasted}))) return false;
    lost_ = 0;
    return true;
}

void RotatingFile::complain(std::string_view problem) noexcept try {
    if (now_ < quiet_until_) return;
    quiet_until_ = now_ + kComplainEvery;
    const auto sentence = "recto: log " + path_.string() + ": " + std::string(problem) + "; lines lost: " + std::to_string(lost_) + '\n';
    (void)!::write(STDERR_FILENO, sentence.data(), sentence.size());
} catch (const std::exception&) {  // no memory for a complaint
}

}  // namespace recto
