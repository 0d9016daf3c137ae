#include "store/connection.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <thread>
#include <utility>

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/context.hpp"

namespace recto {
namespace {

constexpr int kMaxIdleLog = 16 << 20;        // bytes of the log after a checkpoint; SQLite's checkpoints begin at 4 MB
constexpr std::size_t kMaxStatements = 256;  // our SQL is written by hand; this many texts means that somebody builds them

std::string say(const std::filesystem::path& file, std::string_view why, std::string_view sql) {
    auto text = file.string() + ": " + std::string(why);
    if (!sql.empty()) text += " (" + std::string(sql.substr(0, 200)) + ')';
    return text;
}

int record_table(void* recording, int action, const char* table, const char*, const char*, const char*) {
    auto* tables = *static_cast<std::set<std::string>**>(recording);
    if (tables != nullptr && action == SQLITE_READ && table != nullptr) tables->insert(table);
    return SQLITE_OK;
}

int open_flags(Connection::Mode mode) {
    switch (mode) {
        case Connection::Mode::create:
        case Connection::Mode::temporary:
            return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
        case Connection::Mode::as_it_is_read_only:
            return SQLITE_OPEN_READONLY;
        case Connection::Mode::immutable:
            return SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
        case Connection::Mode::in_memory:
            return SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY;
        default:
            return SQLITE_OPEN_READWRITE;
    }
}

// sqlite.org/uri.html
std::string immutable_uri(const std::filesystem::path& file) {
    std::string uri = "file:";
    for (const char letter : std::filesystem::absolute(file).string()) {
        if (letter == '?' || letter == '#' || letter == '%') {
            char escaped[4];
            std::snprintf(escaped, sizeof escaped, "%%%02x", static_cast<unsigned>(letter));
            uri += escaped;
        } else {
            uri += letter;
        }
    }
    return uri + "?immutable=1";
}

std::string name_for_sqlite(const std::filesystem::path& file, Connection::Mode mode) {
    if (mode == Connection::Mode::temporary) return "";
    return mode == Connection::Mode::immutable ? immutable_uri(file) : file.string();
}

std::string_view type_name(int type) {
    switch (type) {
        case SQLITE_INTEGER:
            return "an integer";
        case SQLITE_FLOAT:
            return "a real number";
        case SQLITE_TEXT:
            return "text";
        case SQLITE_BLOB:
            return "bytes";
        default:
            return "NULL";
    }
}

}  // namespace

bool DatabaseError::is_busy() const { return (code_ & 0xff) == SQLITE_BUSY; }

bool DatabaseError::is_unreachable() const {
    constexpr int kCodes[] = {SQLITE_BUSY,    SQLITE_LOCKED, SQLITE_IOERR,    SQLITE_CANTOPEN, SQLITE_FULL,
                              SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_READONLY, SQLITE_PROTOCOL, SQLITE_NOMEM};
    return std::ranges::find(kCodes, code_ & 0xff) != std::end(kCodes);
}

bool DatabaseError::is_unique_violation() const {
    return code_ == SQLITE_CONSTRAINT_UNIQUE || code_ == SQLITE_CONSTRAINT_PRIMARYKEY || code_ == SQLITE_CONSTRAINT_ROWID;
}

// --- Statement

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement::Statement(Connection& connection, std::string_view sql) : connection_(connection) {
    sqlite3_stmt* handle = nullptr;
    const char* rest = nullptr;
    connection.recording_ = &tables_;
    const auto code =
        sqlite3_prepare_v3(connection.handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &handle, &rest);
    connection.recording_ = nullptr;
    handle_.reset(handle);
    if (code != SQLITE_OK) connection.fail(code, sqlite3_errmsg(connection.handle_.get()), sql);
    if (handle == nullptr) connection.fail(SQLITE_MISUSE, "there is no statement", sql);
    const auto trailing = sql.substr(static_cast<std::size_t>(rest - sql.data()));
    if (trailing.find_first_not_of(" \t\r\n;") != std::string_view::npos)
        connection.fail(SQLITE_MISUSE, "only one statement at a time", sql);
}

void Statement::start(std::span<const Value> values) {
    assert(!open_);
    if (static_cast<int>(values.size()) != sqlite3_bind_parameter_count(handle_.get()))
        fail(SQLITE_RANGE, "another number of values than of question marks");
    open_ = true;
    ++connection_.open_rows_;
    for (int position = 1; const auto& value : values) bind(position++, value);
}

void Statement::bind(int position, const Value& value) {
    auto* handle = handle_.get();
    int code = SQLITE_OK;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        code = sqlite3_bind_int64(handle, position, *number);
    } else if (const auto* text = std::get_if<std::string_view>(&value)) {
        const char* bytes = text->data() == nullptr ? "" : text->data();  // a null pointer would bind NULL
        code = sqlite3_bind_text64(handle, position, bytes, text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } else {
        code = sqlite3_bind_null(handle, position);
    }
    if (code == SQLITE_OK) return;
    end();
    fail(code, sqlite3_errstr(code));
}

bool Statement::step() {
    assert(open_);
    if (done_) return false;  // SQLite would begin anew
    const auto code = sqlite3_step(handle_.get());
    has_row_ = code == SQLITE_ROW;
    done_ = !has_row_;
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail(code, sqlite3_errmsg(connection_.handle_.get()));
    return has_row_;
}

void Statement::end() noexcept {
    assert(open_);
    sqlite3_reset(handle_.get());
    sqlite3_clear_bindings(handle_.get());
    --connection_.open_rows_;
    open_ = has_row_ = done_ = false;
}

bool Statement::is_read_only() const { return sqlite3_stmt_readonly(handle_.get()) != 0; }

bool Statement::is_null(int column) const {
    if (!has_row_) fail(SQLITE_MISUSE, "there is no row to read from");
    if (column < 0 || column >= sqlite3_column_count(handle_.get())) fail(SQLITE_RANGE, "there is no column " + std::to_string(column));
    return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

void Statement::expect_type(int column, int type) const {
    const auto actual = is_null(column) ? SQLITE_NULL : sqlite3_column_type(handle_.get(), column);
    if (actual == type) return;
    fail(SQLITE_MISMATCH,
         "column " + std::to_string(column) + " is " + std::string(type_name(actual)) + ", asked for as " + std::string(type_name(type)));
}

std::int64_t Statement::integer(int column) const {
    expect_type(column, SQLITE_INTEGER);
    return sqlite3_column_int64(handle_.get(), column);
}

std::string_view Statement::text(int column) const {
    expect_type(column, SQLITE_TEXT);
    const auto* bytes = sqlite3_column_text(handle_.get(), column);
    if (bytes == nullptr) fail(SQLITE_NOMEM, "out of memory");
    return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

void Statement::fail(int code, std::string_view why) const {
    const auto* sql = sqlite3_sql(handle_.get());
    connection_.fail(code, why, sql == nullptr ? "" : sql);
}

// --- Connection

void Connection::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Connection::Connection(const std::filesystem::path& file, Mode mode, std::chrono::milliseconds busy_timeout)
    : file_(file), is_temporary_(mode == Mode::temporary) {
    open(name_for_sqlite(file, mode), open_flags(mode), busy_timeout);
    if (mode != Mode::read && mode != Mode::write && mode != Mode::create) return;
    try {
        set_up_file(busy_timeout);
    } catch (const DatabaseError& error) {
        fail_to_set_up(error);
    }
    execute("PRAGMA temp_store = MEMORY");  // else each statement that fires triggers keeps its undo in a file
    // Not SQLITE_OPEN_READONLY: the last one to close must be able to tidy the log up.
    if (mode == Mode::read) execute("PRAGMA query_only = ON");
}

void Connection::open(const std::filesystem::path& file, int flags, std::chrono::milliseconds busy_timeout) {
    sqlite3* handle = nullptr;
    const auto code = sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    handle_.reset(handle);
    if (code == SQLITE_CANTOPEN && !std::filesystem::exists(file_)) fail(code, "there is no such database; `recto migrate` makes one", "");
    if (code != SQLITE_OK) fail(code, std::string("cannot open: ") + sqlite3_errstr(code), "");
    sqlite3_busy_timeout(handle, static_cast<int>(busy_timeout.count()));
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    sqlite3_set_authorizer(handle, record_table, &recording_);
    struct stat status {};
    if (file.empty() || ::stat(file_.c_str(), &status) != 0) return;
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

void Connection::set_up_file(std::chrono::milliseconds patience) {
    // Switching a new file to WAL may answer "busy" at once, without waiting, while another process does the same.
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (bool done = false; !done;) try {
            set_journal_mode();
            done = true;
        } catch (const DatabaseError& error) {
            if (!error.is_busy() || std::chrono::steady_clock::now() > deadline) throw;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    execute("PRAGMA synchronous = FULL");
    if (integer("PRAGMA synchronous") != 2) fail(SQLITE_CANTOPEN, "synchronous = FULL is not accepted", "");
    execute("PRAGMA journal_size_limit = " + std::to_string(kMaxIdleLog));
    execute("PRAGMA foreign_keys = ON");
    if (integer("PRAGMA foreign_keys") != 1) fail(SQLITE_CANTOPEN, "foreign_keys = ON is not accepted", "");
}

// SQLite says no more than "unable to open database file": it could not make the log beside it.
void Connection::fail_to_set_up(const DatabaseError& error) const {
    const auto kind = error.code() & 0xff;
    const auto folder = file_.has_parent_path() ? file_.parent_path() : std::filesystem::path(".");
    if ((kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY || kind == SQLITE_IOERR) && ::access(folder.c_str(), W_OK) != 0)
        fail(error.code(),
             errno == EROFS ? "its file system is read-only" : "this user can't write into its folder, where its log (WAL) has to be", "");
    throw error;
}

void Connection::set_journal_mode() {
    auto mode = query("PRAGMA journal_mode = wal");
    if (!mode.next() || mode.text(0) != "wal") fail(SQLITE_CANTOPEN, "its folder can't hold a write-ahead log (WAL)", "");
}

Rows Connection::query(std::string_view sql, std::span<const Value> values) {
    auto& statement = idle_statement(sql);
    statement.start(values);
    return Rows(&statement);
}

std::int64_t Connection::execute(std::string_view sql, std::span<const Value> values) {
    auto rows = query(sql, values);
    while (rows.next()) {
    }
    return sqlite3_changes64(handle_.get());
}

std::int64_t Connection::integer(std::string_view sql) {
    auto rows = query(sql);
    if (!rows.next()) fail(SQLITE_NOTFOUND, "no row", sql);
    return rows.integer(0);
}

void Connection::run_script(const std::string& sql) {
    const auto code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code, sqlite3_errmsg(handle_.get()), "");
}

void Connection::wait_at_most(std::chrono::milliseconds busy_timeout) {
    sqlite3_busy_timeout(handle_.get(), static_cast<int>(busy_timeout.count()));
}

Statement& Connection::idle_statement(std::string_view sql) {
    auto found = statements_.find(sql);
    if (found != statements_.end())
        for (auto& statement : found->second)
            if (!statement->is_open()) return *statement;
    auto statement = std::make_unique<Statement>(*this, sql);
    if (statement_count_ >= kMaxStatements) forget_idle_statements();
    ++statement_count_;
    return *statements_[std::string(sql)].emplace_back(std::move(statement));
}

void Connection::forget_idle_statements() {
    for (auto& [sql, copies] : statements_) statement_count_ -= std::erase_if(copies, [](auto& copy) { return !copy->is_open(); });
    std::erase_if(statements_, [](auto& entry) { return entry.second.empty(); });
}

std::int64_t Connection::last_insert_id() const { return sqlite3_last_insert_rowid(handle_.get()); }

std::int64_t Connection::total_changes() const { return sqlite3_total_changes64(handle_.get()); }

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

bool Connection::is_in_place() const {
    struct stat status {};
    return ::stat(file_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

void Connection::expect_in_place() const {
    if (is_in_place()) return;
    const auto name = file_.filename().string();
    fail(SQLITE_READONLY_DBMOVED,
         "it was moved away or replaced while in use. Stop the workers and remove " + name + "-wal and " + name +
             "-shm, which belong to the file that was there; to put a backup in its place use `recto restore`",
         "");
}

void Connection::fail(int code, std::string_view why, std::string_view sql) const { throw DatabaseError(code, say(file_, why, sql)); }

// --- Transaction

Transaction::Transaction(Connection& connection, std::string_view begin) : connection_(connection) { connection.execute(begin); }

// What SQLite rolled back by itself (a full disk) is not there to be rolled back.
Transaction::~Transaction() {
    if (!open_ || !connection_.in_transaction()) return;
    try {
        connection_.execute("ROLLBACK");
    } catch (const DatabaseError&) {
        assert(!connection_.in_transaction());  // ROLLBACK fails only where there is nothing left of the transaction
    }
}

void Transaction::commit() {
    connection_.execute("COMMIT");
    open_ = false;
}

// --- Rows

Rows::Rows(Statement* statement) : statement_(statement) {}

Rows::Rows(Rows&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}

Rows& Rows::operator=(Rows&& other) noexcept {
    std::swap(statement_, other.statement_);
    return *this;
}

Rows::~Rows() {
    if (statement_ != nullptr) statement_->end();
}

bool Rows::next() {
    const PhaseScope scope(Phase::store);
    return statement_->step();
}
std::int64_t Rows::integer(int column) const { return statement_->integer(column); }
std::string_view Rows::text(int column) const { return statement_->text(column); }

std::optional<std::int64_t> Rows::maybe_integer(int column) const {
    if (statement_->is_null(column)) return std::nullopt;
    return statement_->integer(column);
}

std::optional<std::string> Rows::maybe_text(int column) const {
    if (statement_->is_null(column)) return std::nullopt;
    return std::string(statement_->text(column));
}

Value value_or_null(const std::optional<std::string>& text) {
    if (text) return std::string_view(*text);
    return nullptr;
}

}  // namespace recto
