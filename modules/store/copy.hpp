// copy.hpp - the pages of one database into another, through SQLite's backup API.
//
// Never by reading the file: closing another descriptor of it would drop SQLite's locks of this process, and what is in the log
// beside it would be missing.
//
// Errors:   DatabaseError naming the file that is at fault; std::system_error for what is no database's.
// Threads:  used by one thread at a time.
// Limits:   what is copied is one moment of the source. Who is killed leaves the target as it was, and perhaps an unfinished file beside
//           it, which the next copy to the same place removes.
// Source:   sqlite.org/c3ref/backup_finish.html; sqlite.org/howtocorrupt.html.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

#include "store/connection.hpp"

struct sqlite3_backup;

namespace recto {

// The target changes in one transaction of its own; others that have it open see the old or the new database.
class PageCopy {
public:
    // Nobody but us may write to the source before finish(). The target must have the source's page size if it has a WAL.
    PageCopy(Connection& source, Connection& target) : source_(source), target_(target) {}

    // From here on nobody else writes to the target, until finish() or the end of this object.
    void lock_target(std::chrono::milliseconds patience);
    void finish(std::chrono::milliseconds patience);

private:
    struct Finish {
        void operator()(sqlite3_backup* backup) const;  // undoes what isn't finished
    };
    void begin();
    [[noreturn]] void fail(int code) const;

    Connection& source_;
    Connection& target_;
    std::unique_ptr<sqlite3_backup, Finish> backup_;
};

// To copy from a database that others may be using; also where nothing can be written, as long as it has no log there: SQLite would need to
// make files beside a database in WAL mode even to read it, and a connection that only reads leaves them there.
[[nodiscard]] std::unique_ptr<Connection> open_to_copy(const std::filesystem::path& file, std::chrono::milliseconds busy_timeout);

// A new file, open to us alone, in place of what is at `path`: one that no log belongs to, so that it can be moved and be read from
// anywhere. It gets its name when it is complete, after `finish` was called with it, and on the disk.
void copy_database(Connection& source, const std::filesystem::path& path, const std::function<void(Connection&)>& finish);

// Makes an empty file that is open to us alone (tokens will be in it) unless there is one.
void make_private_file(const std::filesystem::path& path);

}  // namespace recto
