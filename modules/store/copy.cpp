#include "store/copy.hpp"

#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

bool is_busy(int code) { return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED; }
bool is_damage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

// More often than SQLite's own waiting asks, which sleeps up to 100 ms and can miss every gap between busy writers.
template <class Attempt>
int retry_while_busy(std::chrono::milliseconds patience, Attempt attempt) {
    const auto deadline = steady_clock::now() + patience;
    for (;;) {
        const int code = attempt();
        if (!is_busy(code) || steady_clock::now() > deadline) return code;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

void sync_folder_of(const fs::path& path) {
    const auto folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) throw io_error("cannot write the folder", folder);
}

// The file under the name it has while it is being made. A lock says that somebody still makes it; without one it is a dead one's.
class UnfinishedFile {
public:
    explicit UnfinishedFile(const fs::path& target) : path_(target.string() + ".unfinished") {
        remove_leftover();
        fd_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!fd_) throw io_error("cannot make", path_);
        ::flock(fd_.get(), LOCK_EX | LOCK_NB);
    }
    ~UnfinishedFile() {
        if (is_mine()) ::unlink(path_.c_str());
    }
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    [[nodiscard]] const fs::path& path() const { return path_; }

    void become(const fs::path& target) {
        if (::fsync(fd_.get()) != 0) throw io_error("cannot write", path_);
        if (!is_mine()) throw std::runtime_error(path_.string() + ": somebody else has replaced it meanwhile");
        if (::rename(path_.c_str(), target.c_str()) != 0) throw io_error("cannot make", target);
        sync_folder_of(target);
    }

private:
    void remove_leftover() const {
        const UniqueFd leftover(::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        if (!leftover) return;
        if (::flock(leftover.get(), LOCK_EX | LOCK_NB) != 0)
            throw std::runtime_error(path_.string() + ": another copy to there is being made");
        for (const auto* suffix : {"", "-wal", "-journal"}) ::unlink((path_.string() + suffix).c_str());
    }

    [[nodiscard]] bool is_mine() const {
        struct stat mine {
        }, there{};
        return ::fstat(fd_.get(), &mine) == 0 && ::stat(path_.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
               mine.st_dev == there.st_dev;
    }

    const fs::path path_;
    UniqueFd fd_;  // closed after every connection to it: closing drops the process's locks
};

// The pages say that a WAL belongs to them, as the source's does. Exclusive: then it needs no shared memory, which a network's file system
// may not have. A copy of a damaged database may have to stay with it.
void leave_the_log(Connection& copy) try {
    copy.run_script("PRAGMA locking_mode = EXCLUSIVE");
    auto mode = copy.query("PRAGMA journal_mode = DELETE");
    if (!mode.next() || mode.text(0) != "delete") copy.fail(SQLITE_ERROR, "its log can't be taken from it", "");
} catch (const DatabaseError& error) {
    if (!is_damage(error.code())) throw;
}

}  // namespace

// --- PageCopy

void PageCopy::Finish::operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }

void PageCopy::begin() {
    backup_.reset();
    backup_.reset(sqlite3_backup_init(target_.handle_.get(), "main", source_.handle_.get(), "main"));
    if (!backup_) target_.fail(sqlite3_extended_errcode(target_.handle_.get()), sqlite3_errmsg(target_.handle_.get()), "");
}

// A step of no pages takes the lock. It begins anew each time: some kinds of busy end an attempt for good.
void PageCopy::lock_target(std::chrono::milliseconds patience) {
    const auto code = retry_while_busy(patience, [&] {
        begin();
        return sqlite3_backup_step(backup_.get(), 0);
    });
    if (is_busy(code)) target_.fail(code, "others write to it for too long; try again", "");
    if (code != SQLITE_OK) target_.fail(code, sqlite3_errstr(code), "");
}

void PageCopy::finish(std::chrono::milliseconds patience) {
    if (!backup_) begin();
    const auto code = retry_while_busy(patience, [&] { return sqlite3_backup_step(backup_.get(), -1); });
    const auto end = sqlite3_backup_finish(backup_.release());
    if (code != SQLITE_DONE) fail(code);
    if (end != SQLITE_OK) fail(end);
}

void PageCopy::fail(int code) const {
    if (is_damage(code)) source_.fail(code, sqlite3_errstr(code), "");
    if (code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ) source_.fail(code, "cannot read it: disk I/O error", "");
    if (target_.is_temporary()) target_.fail(code, std::string("cannot copy it into TMPDIR or /var/tmp: ") + sqlite3_errstr(code), "");
    target_.fail(code, std::string("cannot write it: ") + sqlite3_errstr(code), "");
}

// --- files

namespace {

// A log or the shared memory of one means that a process has the database open, or was killed and left something in the log.
bool has_log(const fs::path& file) { return fs::exists(file.string() + "-wal") || fs::exists(file.string() + "-shm"); }

// Bytes 18 and 19 of the header (sqlite.org/fileformat2.html). Nothing else of this process has the file open, or closing it here would
// drop SQLite's locks.
bool is_in_wal_mode(const fs::path& file) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw io_error("cannot open", file);
    char modes[2] = {};
    return ::pread(fd.get(), modes, sizeof modes, 18) == sizeof modes && modes[0] == 2 && modes[1] == 2;
}

}  // namespace

std::unique_ptr<Connection> open_to_copy(const fs::path& file, std::chrono::milliseconds busy_timeout) {
    const bool is_alone = !has_log(file) && is_in_wal_mode(file);
    const auto mode = is_alone ? Connection::Mode::immutable : Connection::Mode::as_it_is_read_only;
    auto source = std::make_unique<Connection>(file, mode, busy_timeout);
    try {
        (void)source->integer("PRAGMA schema_version");  // SQLite opens the log now, so that what fails later is the target's fault
    } catch (const DatabaseError& error) {
        if ((error.code() & 0xff) != SQLITE_CANTOPEN && (error.code() & 0xff) != SQLITE_READONLY) throw;
        source->fail(
            error.code(),
            "its log (-wal) can't be read where nothing can be written; copy both files into another folder and take them from there", "");
    }
    return source;
}

void make_private_file(const fs::path& path) {
    make_directories(path.parent_path());
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    if (!fd && errno != EEXIST) throw io_error("cannot make", path);
}

void copy_database(Connection& source, const fs::path& path, const std::function<void(Connection&)>& finish) {
    UnfinishedFile unfinished(path);
    {
        Connection copy(unfinished.path(), Connection::Mode::as_it_is, std::chrono::milliseconds(0));
        copy.run_script("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");  // it has no name yet that anyone relies on
        PageCopy(source, copy).finish(std::chrono::milliseconds(0));
        leave_the_log(copy);
        finish(copy);
    }
    unfinished.become(path);
}

}  // namespace recto
