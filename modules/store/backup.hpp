// backup.hpp - a copy of the database made while it is in use, and a copy put in its place while it is in use.
//
// A copy has an epoch of its own, so that whoever puts it in place by other means starts with cold caches, not with wrong ones. restore()
// writes it into the live file, never over it: workers have that one open. They see the old or the new database and nothing in between,
// and once it has returned nothing that was cached before is served on this host.
//
// Errors:   std::runtime_error (DatabaseError from SQLite) naming the file and what to do; nothing has changed then, except where restore()
//           says that it is restored but the host could not be told: the followers of the workers notice it within 50 ms.
// Threads:  for the one thread of the operator's program; any number of readers and writers may be at work in this and other processes.
// Limits:   killed at any moment both leave the old or the new file. While restore() works, writers wait, at most their busy_timeout.
// Source:   sqlite.org/backup.html; sqlite.org/howtocorrupt.html sections 1.2 to 1.4 (files that are moved, or copied without their log).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "store/store.hpp"

namespace recto {

struct Schema;  // store/schema.hpp

struct Contents {
    std::int64_t posts = 0;
    std::int64_t users = 0;
    std::uint64_t seq = 0;     // of the last change
    std::int64_t orphans = 0;  // references to rows that aren't there (count_orphans): copied as they are
};

enum class Existing { refuse, replace };

// One file without a log beside it, checked before it gets its name. `target` may be any file but the database itself. The database may be
// on a read-only file system.
Contents back_up(const StoreOptions& options, const std::filesystem::path& target, Existing existing = Existing::refuse);

// What restore() will write: a checked copy of a backup, brought up to this program's schema, in a temporary file without a name. The
// backup itself is only read, and nothing is made beside it. May be made by another user (root) than restore() runs as.
class CheckedBackup {
public:
    CheckedBackup(const StoreOptions& options, const std::filesystem::path& file);
    CheckedBackup(const StoreOptions& options, const std::filesystem::path& file, const Schema& schema);
    ~CheckedBackup();
    CheckedBackup(const CheckedBackup&) = delete;
    CheckedBackup& operator=(const CheckedBackup&) = delete;

    [[nodiscard]] const std::vector<Migration>& applied() const { return applied_; }
    [[nodiscard]] const Contents& contents() const { return contents_; }

private:
    friend std::optional<std::filesystem::path> restore(const StoreOptions& options, CheckedBackup& backup, bool keep_present);

    std::unique_ptr<Connection> connection_;
    std::vector<Migration> applied_;
    Contents contents_;
};

// Makes the database if there is none. With `keep_present` what it was is kept beside it, with the last write that came before; says where.
std::optional<std::filesystem::path> restore(const StoreOptions& options, CheckedBackup& backup, bool keep_present = true);

}  // namespace recto
