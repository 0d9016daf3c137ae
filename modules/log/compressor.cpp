#include "log/compressor.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log/backups.hpp"
#include "log/files.hpp"
#include "util/file.hpp"
#include "util/gzip.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::size_t kMember = 1u << 20;
constexpr auto kTryAgain = 1s;  // where another process was at it

bool is_due(const LogBackup& backup) { return backup.number > 1 && !backup.is_compressed; }

// The unit may forbid it (SystemCallFilter=~@resources); then it is done all the same.
void take_the_lowest_priority() {
    constexpr int kLowest = 19, kOfThread = 1, kIdle = 3, kClassShift = 13;  // ioprio_set(2) has no header
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLowest);
    ::syscall(SYS_ioprio_set, kOfThread, 0, kIdle << kClassShift);
}

// The next bytes, fewer at the end.
std::string read_member(int fd, const fs::path& path) {
    std::string bytes(kMember, '\0');
    std::size_t size = 0;
    while (size < bytes.size()) {
        const auto got = ::read(fd, bytes.data() + size, bytes.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw io_error("cannot read", path);
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    bytes.resize(size);
    return bytes;
}

// What wasn't put in place would take the log's room, on a full disk above all.
struct Unfinished {
    fs::path path;

    ~Unfinished() { ::unlink(path.c_str()); }
};

// A rename is on the disk when the folder is.
void sync_folder(const fs::path& folder) {
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) throw io_error("cannot write", folder);
}

}  // namespace

Compressor::Compressor(fs::path file) : file_(std::move(file)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Compressor::wake() noexcept {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
    woken_.notify_one();
}

void Compressor::run(const std::stop_token& stop) {
    take_the_lowest_priority();
    std::unique_lock lock(mutex_);
    while (woken_.wait(lock, stop, [&] { return has_work_; })) {
        has_work_ = false;
        lock.unlock();
        try_all(stop);
        lock.lock();
    }
}

void Compressor::try_all(const std::stop_token& stop) noexcept try {
    while (!compress_all(stop)) {
        std::unique_lock lock(mutex_);
        woken_.wait_for(lock, stop, kTryAgain, [] { return false; });
        if (stop.stop_requested()) return;
    }
} catch (const std::exception& problem) {
    const auto sentence = printable(std::string("recto: a backup of the log is not compressed: ") + problem.what()) + '\n';
    (void)!::write(STDERR_FILENO, sentence.data(), sentence.size());
}

bool Compressor::compress_all(const std::stop_token& stop) {
    if (std::ranges::none_of(backups_of(file_), is_due)) return true;
    const auto lock = FileLock::attempt(beside(".gz.lock"), FileLock::Mode::exclusive);
    if (!lock) return false;
    const Unfinished unfinished{beside(".gz.new")};
    for (const auto& backup : backups_of(file_))
        if (!stop.stop_requested() && is_due(backup)) compress(backup.path, stop);
    return true;
}

void Compressor::compress(const fs::path& backup, const std::stop_token& stop) {
    const UniqueFd from(::open(backup.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!from && errno == ENOENT) return;  // it has moved on: the next time
    struct stat status {};
    if (!from || ::fstat(from.get(), &status) != 0) throw io_error("cannot open", backup);

    const auto path = beside(".gz.new");
    const UniqueFd to(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, status.st_mode & 0777));
    if (!to) throw io_error("cannot make", path);
    off_t size = 0;
    for (auto member = read_member(from.get(), backup); !member.empty(); member = read_member(from.get(), backup)) {
        if (stop.stop_requested()) return;
        write_all(to.get(), gzip(member), path);
        size += static_cast<off_t>(member.size());
    }
    if (::fsync(to.get()) != 0) throw io_error("cannot write", path);
    if (!put_in_place(status.st_ino, size)) return;
    sync_folder(file_.parent_path());
    const auto lock = lock_rotation(file_);
    if (lock) remove_compressed_twice(file_);
}

// Not if it grew meanwhile: a process that stood still during the rotation wrote to it.
bool Compressor::put_in_place(ino_t inode, off_t size) const {
    const auto lock = lock_rotation(file_);
    return lock && put_compressed(file_, beside(".gz.new"), inode, size);
}

fs::path Compressor::beside(const char* ending) const { return file_.parent_path() / ('.' + file_.filename().string() + ending); }

}  // namespace recto
