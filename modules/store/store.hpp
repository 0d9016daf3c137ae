// store.hpp - the database: snapshots to read from, transactions to write in, and the change clock that both keep.
//
// A read notes by itself what it read (clock/reads.hpp): each table a statement touches contributes that table's tag, unless the
// caller names finer ones for it. So a forgotten tag costs a cache entry too many, never a stale answer.
//
// Errors:   std::runtime_error (DatabaseError with SQLite's extended code) naming the file and the statement. Busy beyond
//           busy_timeout is DatabaseError with is_busy().
// Threads:  Store is safe to call from any thread; a Snapshot, a WriteTransaction and their Rows belong to one thread.
// Limits:   one write transaction at a time per database; the threads of a process are served in the order they came. Asserted: Rows
//           end before their Snapshot or commit(), and a Snapshot ends before write() is called on the same thread.
//           An INSERT that meets a row of the same key (OR IGNORE, ON CONFLICT) counts as a change of that row even if it does nothing:
//           where that is the usual case, look first.
// Source:   SQLite in WAL mode, synchronous FULL, foreign keys on; triggers as in clock.md of the design.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "clock/clock.hpp"
#include "clock/reads.hpp"

namespace recto {

struct StoreOptions {
    std::filesystem::path file;
    std::filesystem::path runtime_dir;  // for the clock's shared memory
    std::chrono::milliseconds busy_timeout{5000};
};

class DatabaseError : public std::runtime_error {
public:
    DatabaseError(int extended_code, const std::string& what) : std::runtime_error(what), code_(extended_code) {}
    [[nodiscard]] int code() const { return code_; }
    [[nodiscard]] bool is_busy() const;
    [[nodiscard]] bool is_unique_violation() const;
    [[nodiscard]] bool is_unreachable() const;  // busy, or the file or its disk can't be used now: no fault of the statement

private:
    int code_;
};

// What is bound to a `?`. Text is copied by SQLite before the call returns.
using Value = std::variant<std::nullptr_t, std::int64_t, std::string_view>;
[[nodiscard]] Value value_or_null(const std::optional<std::string>& text);

class Connection;  // store/connection.hpp
class Statement;
class Database;  // store/database.hpp

// The rows of one query; resets the statement at its end. Rows of the same statement may be open side by side. Asking a column for another
// type than it has is an error.
class Rows {
public:
    Rows(Rows&&) noexcept;
    Rows& operator=(Rows&&) noexcept;
    ~Rows();

    [[nodiscard]] bool next();
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] std::string_view text(int column) const;  // until the next next()
    [[nodiscard]] std::optional<std::int64_t> maybe_integer(int column) const;
    [[nodiscard]] std::optional<std::string> maybe_text(int column) const;

private:
    friend class Connection;
    friend class Snapshot;
    explicit Rows(Statement* statement);
    Statement* statement_;  // of the connection's statement cache
};

class Store;

// Whether it is the tag of a whole table: `post`.
[[nodiscard]] bool is_table_tag(std::string_view tag);

// What each read under a finer tag of the table depends on beside it: `post:*`. Only whoever invalidates the whole table by name changes
// it.
[[nodiscard]] std::string tag_of_all_finer(std::string_view table_tag);

// One consistent view of the database. Ends with the object.
class Snapshot {
public:
    Snapshot(Snapshot&&) noexcept;
    ~Snapshot();

    // `finer` replaces the coarse tag of its table (and tag_of_all_finer goes with it): `post:author=12` for a statement that pins the
    // author with `=`; the part before the colon is the coarse tag it stands for.
    [[nodiscard]] Rows query(std::string_view sql, std::initializer_list<Value> values = {}, std::initializer_list<std::string> finer = {});

    [[nodiscard]] std::uint64_t seq() const;
    [[nodiscard]] std::uint64_t epoch() const;

private:
    friend class Store;
    class State;
    explicit Snapshot(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// BEGIN IMMEDIATE … commit(). Rolled back when it ends without commit().
class WriteTransaction {
public:
    WriteTransaction(WriteTransaction&&) noexcept;
    ~WriteTransaction();

    std::int64_t execute(std::string_view sql, std::initializer_list<Value> values = {});  // rows changed
    std::int64_t insert(std::string_view sql, std::initializer_list<Value> values = {});   // the new row's id
    [[nodiscard]] Rows query(std::string_view sql, std::initializer_list<Value> values = {});

    // Marks everything that depends on the tag as changed: how something cached is invalidated by name.
    void touch(std::string_view tag);

    // The changes are in the clock before it returns: whoever is answered afterwards never sees older data.
    void commit();

private:
    friend class Store;
    class State;
    explicit WriteTransaction(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

struct Migration {
    int number;
    std::string name;
};

class Store {
public:
    // Refuses a database whose schema is older (`run recto migrate`) or newer than this program's.
    [[nodiscard]] static Store open(const StoreOptions& options);
    Store(Store&&) noexcept;
    ~Store();

    [[nodiscard]] Snapshot read();
    [[nodiscard]] WriteTransaction write();

    [[nodiscard]] ChangeClock& clock();
    [[nodiscard]] std::unique_ptr<ChangeSource> change_source();  // on a connection of its own

    // A recent reading, after an inline sync if there is none: it may wait. If the database can't be reached, one within the lease; else
    // empty.
    [[nodiscard]] std::optional<ChangeClock::Reading> fresh_reading();

private:
    explicit Store(std::unique_ptr<Database> database);
    std::unique_ptr<Database> database_;
};

// Makes the file if need be and applies what is missing, each in a transaction, then the triggers; a copy of an existing file is kept
// beside it (`.before-N`). Says what was applied. Writes a new epoch if anything was.
std::vector<Migration> migrate(const StoreOptions& options);

}  // namespace recto
