#include "log/rotating_file.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <ctime>
#include <exception>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "log/backups.hpp"
#include "util/shared_file.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kLookEvery = 100ms;
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

// From end to end of the lines, for there is mostly one: memchr is what takes no time beside the write.
std::uint64_t lines_in(std::string_view text) {
    std::uint64_t lines = 0;
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', end + 1)) ++lines;
    return lines;
}

// What somebody who isn't root may still use.
std::uint64_t free_space_of(const fs::path& folder) {
    struct statvfs status {};
    if (::statvfs(folder.c_str(), &status) != 0) throw io_error("cannot look at the file system of", folder);
    return std::uint64_t{status.f_bavail} * status.f_frsize;
}

// From the beginning of the line that the rest is of.
void show_lost(std::string_view lines, std::string_view rest) {
    const auto taken = lines.substr(0, lines.size() - rest.size());
    const auto whole = lines.substr(taken.rfind('\n') + 1);  // npos + 1 is 0
    (void)!::write(STDERR_FILENO, whole.data(), whole.size());
}

UniqueFd open_for_append(const fs::path& path) {
    return UniqueFd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, kFileMode));
}

}  // namespace

RotatingFile::RotatingFile(Options options, GapLine gap_line)
    : path_(fs::absolute(options.file)),
      lock_path_(rotation_lock_path(path_)),
      meter_path_(meter_path(path_, options.runtime_dir)),
      options_(std::move(options)),
      gap_line_(std::move(gap_line)),
      counters_(options_.counters),
      now_(coarse_now()) {
    assert(options_.max_bytes.bytes > 0 && options_.max_bytes.bytes <= Meter::kMaxBytes / 2 && options_.backup_count > 0);
    look();
}

RotatingFile::~RotatingFile() {
    const std::lock_guard lock(mutex_);
    looked_at_ = {};
    if (lost_ > 0) try_write({});
    if (lost_ == 0) return;
    quiet_until_ = {};
    complain("closed", 0);
}

void RotatingFile::write(std::string_view lines, bool has_error) noexcept {
    const auto written = write_and_count(lines, has_error && options_.sync_errors);
    // Without the mutex: the others go on meanwhile.
    if (written) sync(written.get());
}

void RotatingFile::sync(int fd) noexcept {
    if (::fdatasync(fd) != 0) counters_.failed(errno);
}

// The file that the lines are in, if it is asked for and still to be synced: soon the name may be another's.
UniqueFd RotatingFile::write_and_count(std::string_view lines, bool wants_file) noexcept {
    const std::lock_guard lock(mutex_);
    const auto rest = try_write(lines);
    const auto lost = lines_in(rest);
    if (lost > 0) {
        remember_lost(lost, now_);
        counters_.lost(lost);
        show_lost(lines, rest);
    }
    counters_.wrote(lines_in(lines) - lost);
    if (!wants_file || !fd_ || is_device_ || !rest.empty()) return UniqueFd();
    UniqueFd file(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!file) sync(fd_.get());  // no descriptor is free: the others have to wait
    return file;
}

void RotatingFile::lose(std::uint64_t lines, Clock::time_point since) noexcept {
    const std::lock_guard lock(mutex_);
    remember_lost(lines, since);
}

std::string_view RotatingFile::try_write(std::string_view lines) noexcept {
    try {
        now_ = coarse_now();
        if (now_ - looked_at_ >= kLookEvery) look();
        if (!fd_ || !has_room_ || (lost_ > 0 && !tell_gap())) return lines;
        return lines.empty() ? lines : append(lines);
    } catch (const std::exception& problem) {
        complain(problem);
        return lines;
    }
}

// A file that was renamed can take the lines until the new one can be opened; in one without a name they would vanish uncounted.
void RotatingFile::look() try {
    looked_at_ = now_;
    if (!fd_ || !is_current())
        open();
    else if (!is_device_)
        meter_->raise(inode_, size_);  // someone may write who doesn't know the meter
    keep_space_free();
} catch (const std::exception& problem) {
    complain(problem);
    if (fd_ && !has_name(fd_.get())) fd_.reset();
}

// One backup a look: a file system may take its time to count what was freed, and the disk isn't full yet.
void RotatingFile::keep_space_free() {
    has_room_ = options_.min_free_space.bytes == 0 || is_device_ || free_space_of(path_.parent_path()) >= options_.min_free_space.bytes ||
                free_a_backup();
    if (!has_room_) complain("less than min_free_space is left, and no backup", ENOSPC);
}

// True too when another process is at it.
bool RotatingFile::free_a_backup() const {
    const auto lock = FileLock::attempt(lock_path_, FileLock::Mode::exclusive);
    return !lock || free_space_of(path_.parent_path()) >= options_.min_free_space.bytes || remove_oldest_backup(path_);
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
    if (S_ISREG(status.st_mode)) open_meter();

    if (inode_ != 0) counters_.reopened();
    fd_ = std::move(fd);
    device_ = status.st_dev;
    inode_ = status.st_ino;
    is_device_ = !S_ISREG(status.st_mode);
    size_ = static_cast<std::uint64_t>(status.st_size);
    may_be_torn_ = size_ > 0;
    looked_at_ = now_;
}

// Again: it may have been removed. Where there can't be another, those who have the old one go on sharing it.
void RotatingFile::open_meter() try {
    if (!options_.runtime_dir.empty()) make_private_directory(options_.runtime_dir);
    meter_ = std::make_unique<Meter>(meter_path_);
} catch (const std::runtime_error&) {
    if (!meter_) throw;
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
    const auto lock = lock_rotation(path_);
    if (!lock) throw std::runtime_error("another process holds " + lock_path_.string());

    // Again, now that nobody else can: the one we waited for has rotated, most likely. And the meter may count lines that a process
    // died before writing.
    const auto seen = meter_->read();
    if (!is_current()) open();
    if (size_ > 0 && size_ + bytes > options_.max_bytes.bytes) {
        shift_backups(path_, options_.backup_count);
        counters_.rotated();
        open();
        if (options_.after_rotation) options_.after_rotation();
    }
    meter_->set(inode_, size_, seen);
    // With the lock still held: the others could fill the file before we come to it again.
    return enter_this_file(bytes);
} catch (const std::exception& problem) {
    rotate_from_ = now_ + kRotationRetry;
    complain(problem);
    return false;
}

std::string_view RotatingFile::append(std::string_view lines) {
    if (is_device_) return write_once(lines);
    const bool metered = enter(lines.size());
    const auto rest = may_be_torn_ && ends_torn() ? write_behind_torn(lines) : write_once(lines);
    const bool alone = metered && meter_->leave(inode_);
    if (!rest.empty()) return rest;

    may_be_torn_ = false;
    if (alone) return {};
    if (went_to_deleted_file()) {
        open();
        return append(lines);
    }
    // A process that is killed inside write(2) may leave half a line. Our first one hangs on it then, unreadable: once more, behind the
    // others, for they are whole.
    return follows_torn(lines.size()) ? write_once(lines.substr(0, lines.find('\n') + 1)) : std::string_view();
}

std::string_view RotatingFile::write_once(std::string_view lines) {
    auto written = ::write(fd_.get(), lines.data(), lines.size());
    while (written < 0 && errno == EINTR) written = ::write(fd_.get(), lines.data(), lines.size());
    if (written == static_cast<ssize_t>(lines.size())) return {};

    // The rest in a second write could land behind another process's line.
    may_be_torn_ = true;
    complain(written < 0 ? error_text(errno) : "the disk took half a line", written < 0 ? errno : ENOSPC);
    return lines.substr(written < 0 ? 0 : static_cast<std::size_t>(written));
}

std::string_view RotatingFile::write_behind_torn(std::string_view lines) {
    const auto rest = write_once('\n' + std::string(lines)).size();
    return lines.substr(lines.size() - std::min(rest, lines.size()));
}

// It was rotated away while we stood still between enter() and write(2), and its backup has gone since, or was compressed.
bool RotatingFile::went_to_deleted_file() const { return !meter_->is_of(inode_) && !has_name(fd_.get()); }

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

void RotatingFile::remember_lost(std::uint64_t lines, Clock::time_point since) {
    if (lost_ == 0) lost_since_ = since;
    lost_ += lines;
}

bool RotatingFile::tell_gap() {
    const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - lost_since_);
    if (!append(gap_line_({lost_, std::max(lasted, 0ms)})).empty()) return false;
    lost_ = 0;
    return true;
}

void RotatingFile::complain(const std::exception& problem) noexcept {
    const auto* const failure = dynamic_cast<const std::system_error*>(&problem);
    complain(problem.what(), failure == nullptr ? EAGAIN : failure->code().value());
}

void RotatingFile::complain(std::string_view problem, int code) noexcept try {
    if (code != 0) counters_.failed(code);
    if (now_ < quiet_until_) return;
    quiet_until_ = now_ + kComplainEvery;
    const auto sentence =
        printable("recto: log " + path_.string() + ": " + std::string(problem) + "; lines lost: " + std::to_string(lost_)) + '\n';
    (void)!::write(STDERR_FILENO, sentence.data(), sentence.size());
} catch (const std::exception&) {  // no memory for a complaint
}

}  // namespace recto
