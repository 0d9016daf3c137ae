#include "store/backup.hpp"

#include <cerrno>
#include <ctime>

#include <sqlite3.h>
#include <unistd.h>

#include "store/changes.hpp"
#include "store/copy.hpp"
#include "store/schema.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& file, std::string_view why) { throw std::runtime_error(file.string() + ": " + std::string(why)); }

bool is_on_read_only_file_system(const fs::path& file) { return ::access(file.c_str(), W_OK) != 0 && errno == EROFS; }

bool is_same_file(const fs::path& one, const fs::path& other) {
    std::error_code missing;
    return fs::equivalent(one, other, missing);
}

void expect_another_file(const fs::path& file, const fs::path& live) {
    for (const auto* suffix : {"", "-wal", "-shm", "-journal"})
        if (is_same_file(file, live.string() + suffix) || file == live.string() + suffix)
            refuse(file, "it is the live database, give another file");
}

// A log that is found beside a database is taken for its own, whatever it was written for.
void expect_no_log_beside(const fs::path& target) {
    for (const auto* suffix : {"-wal", "-journal"})
        if (fs::exists(target.string() + suffix))
            refuse(target, "beside it is " + target.filename().string() + suffix +
                               ", which would get mixed with it; give another name or remove that file");
}

void expect_free(const fs::path& target, Existing existing) {
    const auto status = fs::symlink_status(target);
    if (fs::is_directory(target)) refuse(target, "it is a folder, give a file");
    if (!fs::exists(status)) return;
    if (existing == Existing::refuse) refuse(target, "it exists already; --force replaces it");
    if (!fs::is_regular_file(status)) refuse(target, "it is not a regular file, give another one");
}

Contents contents_of(Connection& connection) {
    return {.posts = connection.integer("SELECT count(*) FROM post"),
            .users = connection.integer("SELECT count(*) FROM user"),
            .seq = static_cast<std::uint64_t>(connection.integer("SELECT seq FROM clock WHERE id = 1")),
            .orphans = count_orphans(connection)};
}

// Where it can't be written nobody else writes to it either.
std::unique_ptr<Connection> open_live_to_copy(const StoreOptions& options) {
    if (is_on_read_only_file_system(options.file)) return open_to_copy(options.file, options.busy_timeout);
    return std::make_unique<Connection>(options.file, Connection::Mode::read, options.busy_timeout);
}

void copy_pages(const fs::path& file, Connection& target, std::chrono::milliseconds busy_timeout) {
    if (!fs::exists(file)) refuse(file, "there is no such file");
    if (fs::is_directory(file)) refuse(file, "it is a folder, give a file");
    PageCopy(*open_to_copy(file, busy_timeout), target).finish(busy_timeout);
}

// --- the live database

// Whether there is something to keep. A damaged one is taken as it is: to replace it is what backups are for.
bool prepare_live(const StoreOptions& options) try {
    make_private_file(options.file);
    Connection live(options.file, Connection::Mode::create, options.busy_timeout);
    const bool is_empty = live.integer("SELECT count(*) FROM sqlite_schema") == 0;
    if (!is_empty) expect_clock(live);
    return !is_empty;
} catch (const DatabaseError& error) {
    const auto kind = error.code() & 0xff;
    if (kind == SQLITE_NOTADB)
        refuse(options.file,
               "it is no database any more. Stop the workers, move it away together with its -wal and -shm, and restore again");
    if (kind != SQLITE_CORRUPT) throw;
    return true;
}

// A database with a WAL keeps the size of its pages, and SQLite doesn't change that of a temporary one.
void expect_same_page_size(Connection& backup, Connection& present) {
    (void)present.integer("PRAGMA schema_version");  // else nothing was read of it yet
    const auto needed = std::to_string(present.integer("PRAGMA page_size"));
    const auto has = std::to_string(backup.integer("PRAGMA page_size"));
    if (has == needed) return;
    refuse(backup.file(), "its pages have " + has + " bytes, those of " + present.file().string() + " have " + needed +
                              "; make a copy that fits: sqlite3 " + backup.file().string() + " \"PRAGMA page_size = " + needed +
                              "; VACUUM INTO 'fitting.db'\"");
}

std::uint64_t epoch_of_present(Connection& present) try {
    return static_cast<std::uint64_t>(present.integer("SELECT epoch FROM clock WHERE id = 1"));
} catch (const DatabaseError&) {
    return 0;  // damaged; a new epoch begins with the time, so that it is greater all the same
}

fs::path name_for_present(const fs::path& live) {
    const auto now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char time[32];
    std::strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &utc);
    const auto first = live.string() + ".before-restore-" + time;
    auto name = first;
    for (int number = 2; fs::exists(name); ++number) name = first + '-' + std::to_string(number);
    return name;
}

// Page by page and without looking at what is in them, so that a damaged one is kept too.
fs::path keep(Connection& present) {
    auto name = name_for_present(present.file());
    copy_database(present, name, [](Connection&) {});
    return name;
}

// A checkpoint, so that the log doesn't stay as large as the database. As far as readers let it.
void shorten_log(const StoreOptions& options) try {
    Connection live(options.file, Connection::Mode::write, std::chrono::milliseconds(500));
    live.execute("PRAGMA wal_checkpoint(TRUNCATE)");
} catch (const DatabaseError&) {
}

void tell_the_host(const StoreOptions& options) try {
    SqliteChangeSource source(options, expected_triggers());
    ChangeClock::open(options.runtime_dir, source).sync(source);
} catch (const std::runtime_error& error) {
    refuse(options.file, "it is restored, but the workers could not be told and may answer from their caches for 50 ms more: " +
                             std::string(error.what()));
}

}  // namespace

Contents back_up(const StoreOptions& options, const fs::path& target, Existing existing) {
    expect_another_file(target, options.file);
    expect_free(target, existing);
    expect_no_log_beside(target);
    const auto live = open_live_to_copy(options);
    expect_clock(*live);
    Contents contents;
    copy_database(*live, target, [&](Connection& copy) {
        expect_whole(copy);
        renew_epoch(copy);
        contents = contents_of(copy);
    });
    return contents;
}

CheckedBackup::CheckedBackup(const StoreOptions& options, const fs::path& file) : CheckedBackup(options, file, current_schema()) {}

CheckedBackup::CheckedBackup(const StoreOptions& options, const fs::path& file, const Schema& schema) try
    : connection_(std::make_unique<Connection>(file, Connection::Mode::temporary, std::chrono::milliseconds(0))) {
    expect_another_file(file, options.file);
    copy_pages(file, *connection_, options.busy_timeout);
    expect_known_tables(*connection_, schema);
    expect_whole(*connection_);
    Transaction transaction(*connection_, "BEGIN");
    applied_ = bring_up(*connection_, schema);
    transaction.commit();
    contents_ = contents_of(*connection_);
} catch (const DatabaseError& error) {
    if ((error.code() & 0xff) == SQLITE_NOTADB) refuse(file, "it is not an SQLite database");
    if ((error.code() & 0xff) == SQLITE_CORRUPT) refuse(file, "it is damaged or cut off");
    throw;
}

CheckedBackup::~CheckedBackup() = default;

// The lock comes before the present state is kept and its epoch read: no write falls between that and the new state.
std::optional<fs::path> restore(const StoreOptions& options, CheckedBackup& backup, bool keep_present) {
    const bool is_there = prepare_live(options);
    Connection live(options.file, Connection::Mode::as_it_is, std::chrono::milliseconds(0));
    Connection present(options.file, Connection::Mode::as_it_is, options.busy_timeout);
    expect_same_page_size(*backup.connection_, present);

    PageCopy copy(*backup.connection_, live);
    copy.lock_target(options.busy_timeout);
    std::optional<fs::path> kept;
    if (keep_present && is_there) kept = keep(present);
    renew_epoch(*backup.connection_, is_there ? epoch_of_present(present) : 0);
    copy.finish(options.busy_timeout);

    shorten_log(options);
    tell_the_host(options);
    return kept;
}

}  // namespace recto
