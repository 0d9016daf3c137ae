// connection.hpp - one SQLite connection and its prepared statements; the only place that speaks the sqlite3 C API.
//
// Settings of every connection: busy timeout before anything else, extended result codes, WAL and synchronous FULL (both checked), a log
// that shrinks to 16 MB when a long reader has let it grow, foreign keys, and no "text" in double quotes (SQLite would take a misspelt
// column for a string).
//
// Errors:   DatabaseError naming the file and the statement: from SQLite, for a wrong number of values, for a column asked for as
//           another type than it has, for text after the first statement.
// Threads:  used by one thread at a time.
// Source:   sqlite.org/c3ref; sqlite.org/lang_conflict.html.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "store/store.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace recto {

class Statement {
public:
    Statement(Connection& connection, std::string_view sql);
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    void start(std::span<const Value> values);
    [[nodiscard]] bool step();  // whether there is a row; stays false once it was
    void end() noexcept;        // resets: an open statement would keep its connection's view of the database

    [[nodiscard]] bool is_open() const { return open_; }
    [[nodiscard]] bool is_read_only() const;
    [[nodiscard]] const std::set<std::string>& tables() const { return tables_; }  // that it reads

    [[nodiscard]] bool is_null(int column) const;
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] std::string_view text(int column) const;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    void bind(int position, const Value& value);
    void expect_type(int column, int type) const;
    [[noreturn]] void fail(int code, std::string_view why) const;

    Connection& connection_;
    std::unique_ptr<sqlite3_stmt, Finalize> handle_;
    std::set<std::string> tables_;
    bool open_ = false;
    bool has_row_ = false;
    bool done_ = false;
};

class Connection {
public:
    // as_it_is and as_it_is_read_only: none of the settings above, for files that may be damaged or are not ours to change. immutable: the
    // same without locks and without a file beside it, where nothing can be written; no other process may write to it meanwhile. temporary:
    // on the disk without a name, gone with the connection; what is given as the file is what its errors speak of.
    enum class Mode { read, write, create, as_it_is, as_it_is_read_only, immutable, temporary, in_memory };

    Connection(const std::filesystem::path& file, Mode mode, std::chrono::milliseconds busy_timeout);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] Rows query(std::string_view sql, std::span<const Value> values = {});
    std::int64_t execute(std::string_view sql, std::span<const Value> values = {});  // rows changed
    [[nodiscard]] std::int64_t integer(std::string_view sql);                        // the first column of the first row
    void wait_at_most(std::chrono::milliseconds busy_timeout);                       // for others who write
    void run_script(const std::string& sql);                                         // any number of statements

    [[nodiscard]] std::int64_t last_insert_id() const;
    [[nodiscard]] std::int64_t total_changes() const;  // rows since it was opened, with those that triggers wrote
    [[nodiscard]] bool in_transaction() const;
    [[nodiscard]] bool has_open_rows() const { return open_rows_ > 0; }
    [[nodiscard]] const std::filesystem::path& file() const { return file_; }

    [[nodiscard]] bool is_temporary() const { return is_temporary_; }

    // Whether the name still leads to the file that was opened. If somebody moved it away or another one over it, what is read and written
    // here is nobody's database any more. Both are safe to call from any thread.
    [[nodiscard]] bool is_in_place() const;
    void expect_in_place() const;

    [[noreturn]] void fail(int code, std::string_view why, std::string_view sql) const;

private:
    friend class Statement;
    friend class PageCopy;
    struct Close {
        void operator()(sqlite3* connection) const;
    };
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    void open(const std::filesystem::path& file, int flags, std::chrono::milliseconds busy_timeout);
    void set_up_file(std::chrono::milliseconds patience);
    void set_journal_mode();
    [[noreturn]] void fail_to_set_up(const DatabaseError& error) const;
    [[nodiscard]] Statement& idle_statement(std::string_view sql);
    void forget_idle_statements();

    std::filesystem::path file_;
    const bool is_temporary_;
    std::unique_ptr<sqlite3, Close> handle_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    std::set<std::string>* recording_ = nullptr;  // where the authorizer writes the tables of the statement being prepared
    // By text; a second copy of a statement that is open already.
    std::unordered_map<std::string, std::vector<std::unique_ptr<Statement>>, TextHash, std::equal_to<>> statements_;
    std::size_t statement_count_ = 0;
    int open_rows_ = 0;
};

// BEGIN … until commit(), or rolled back.
class Transaction {
public:
    Transaction(Connection& connection, std::string_view begin);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    void commit();

private:
    Connection& connection_;
    bool open_ = true;
};

}  // namespace recto
