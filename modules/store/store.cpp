#include "store/store.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include <sqlite3.h>

#include "store/database.hpp"
#include "store/schema.hpp"
#include "util/context.hpp"

namespace recto {
namespace {

constexpr int kAttempts = 3;

// The tags of the tables that a statement reads, except those that a finer one stands for.
std::vector<std::string> tags_of(const std::set<std::string>& tables, std::span<const std::string> finer) {
    std::vector<std::string> tags(finer.begin(), finer.end());
    for (const auto& table : tables) {
        const auto tag = coarse_tag(table);
        const auto is_finer = [&](const std::string& one) { return one.starts_with(std::string(tag) + ':'); };
        if (tag.empty() || std::ranges::find(tags, tag) != tags.end()) continue;
        tags.push_back(std::ranges::any_of(finer, is_finer) ? tag_of_all_finer(tag) : std::string(tag));
    }
    return tags;
}

// Where the database stands, read as the first statement of a transaction.
struct Position {
    std::uint64_t epoch;
    std::uint64_t seq;
    bool schema_moved;  // since the epoch began
};

Position position_of(Connection& connection) {
    auto rows = connection.query("SELECT epoch, seq, schema_version FROM clock WHERE id = 1");
    if (!rows.next()) connection.fail(SQLITE_CORRUPT, "the table clock has lost its row", "");
    return {static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint64_t>(rows.integer(1)),
            rows.integer(2) != schema_version_of(connection)};
}

// Another history than the clock's, or an earlier moment of it: a restored copy; or triggers that may have been off meanwhile. The clock
// must look before anything is read or written. The reading must be older than the position.
bool has_other_history(const Position& position, const ChangeClock::Reading& before) {
    return position.epoch != before.epoch() || position.seq < before.synced() || position.schema_moved;
}

struct QueryScope {
    QueryScope() { count_query(); }
    const PhaseScope phase{Phase::store};
};

std::span<const Value> as_span(std::initializer_list<Value> values) { return {values.begin(), values.size()}; }

}  // namespace

bool is_table_tag(std::string_view tag) { return !tag.empty() && coarse_tag(tag) == tag; }

std::string tag_of_all_finer(std::string_view table_tag) { return std::string(table_tag) + ":*"; }

// --- Snapshot

class Snapshot::State {
public:
    explicit State(Database& database)
        : reader_(database), transaction_(*reader_.connection, "BEGIN"), position_(position_of(*reader_.connection)) {}
    ~State() { assert(!connection().has_open_rows()); }

    [[nodiscard]] Connection& connection() const { return *reader_.connection; }
    [[nodiscard]] const Position& position() const { return position_; }

private:
    struct Reader {
        explicit Reader(Database& from) : database(from), connection(from.take_reader()) {}
        ~Reader() { database.give_back(std::move(connection)); }
        Reader(const Reader&) = delete;
        Reader& operator=(const Reader&) = delete;

        Database& database;
        std::unique_ptr<Connection> connection;
    };

    Reader reader_;
    Transaction transaction_;
    Position position_;
};

Snapshot::Snapshot(std::unique_ptr<State> state) : state_(std::move(state)) {}
Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() = default;

Rows Snapshot::query(std::string_view sql, std::initializer_list<Value> values, std::initializer_list<std::string> finer) {
    const QueryScope scope;
    auto rows = state_->connection().query(sql, as_span(values));
    note_read(epoch(), seq(), tags_of(rows.statement_->tables(), {finer.begin(), finer.size()}));
    return rows;
}

std::uint64_t Snapshot::seq() const { return state_->position().seq; }
std::uint64_t Snapshot::epoch() const { return state_->position().epoch; }

// --- WriteTransaction

class WriteTransaction::State {
public:
    explicit State(Database& database)
        : database_(database),
          turn_(database.wait_for_turn()),
          before_(database.clock().read()),
          transaction_(database.writer(), "BEGIN IMMEDIATE"),
          position_(position_of(database.writer())) {}
    ~State() { assert(!database_.writer().has_open_rows()); }

    [[nodiscard]] bool has_other_history() const { return recto::has_other_history(position_, before_); }

    // SQLite itself rolls back when the disk is full; what came after that would be a transaction of its own, unpublished.
    [[nodiscard]] Connection& connection() {
        auto& writer = database_.writer();
        if (!writer.in_transaction()) writer.fail(SQLITE_ABORT, "the transaction is already rolled back", "");
        return writer;
    }

    void commit() {
        assert(!database_.writer().has_open_rows());
        const auto changes = read_changes(connection(), database_.expected_triggers(), before_.synced());
        transaction_.commit();
        database_.clock().publish(changes);
        if (!changes.trusted) database_.give_up_trust();
        database_.refresh_statistics_after_many_changes();
    }

private:
    Database& database_;
    std::unique_ptr<WriteQueue::Turn> turn_;
    WriteInProgress in_progress_;
    ChangeClock::Reading before_;
    Transaction transaction_;
    Position position_;
};

WriteTransaction::WriteTransaction(std::unique_ptr<State> state) : state_(std::move(state)) {}
WriteTransaction::WriteTransaction(WriteTransaction&&) noexcept = default;
WriteTransaction::~WriteTransaction() = default;

std::int64_t WriteTransaction::execute(std::string_view sql, std::initializer_list<Value> values) {
    const QueryScope scope;
    return state_->connection().execute(sql, as_span(values));
}

std::int64_t WriteTransaction::insert(std::string_view sql, std::initializer_list<Value> values) {
    const QueryScope scope;
    auto& connection = state_->connection();
    if (connection.execute(sql, as_span(values)) == 0) connection.fail(SQLITE_NOTFOUND, "no row was inserted", sql);
    return connection.last_insert_id();
}

Rows WriteTransaction::query(std::string_view sql, std::initializer_list<Value> values) {
    const QueryScope scope;
    return state_->connection().query(sql, as_span(values));
}

void WriteTransaction::touch(std::string_view tag) {
    assert(!tag.empty());
    execute("INSERT INTO change (tag, seq) SELECT ?, seq + 1 FROM clock WHERE true ON CONFLICT (tag) DO UPDATE SET seq = excluded.seq",
            {tag});
    execute("UPDATE clock SET seq = seq + 1, nonce = random()");
}

void WriteTransaction::commit() {
    const PhaseScope scope(Phase::store);
    state_->commit();
    state_.reset();
}

// --- Store

Store::Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Store::Store(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::open(const StoreOptions& options) { return Store(std::make_unique<Database>(options)); }

// The label must never be newer than what the host knows: whoever is answered from this snapshot may ask again, and a cached answer
// from before the change would then take him back in time. So the clock catches up first.
Snapshot Store::read() {
    const PhaseScope scope(Phase::store);
    for (int attempt = 1;; ++attempt) {
        const auto before = clock().read();
        auto state = std::make_unique<Snapshot::State>(*database_);
        const auto position = state->position();
        if (!has_other_history(position, before) || attempt == kAttempts) {
            if (position.seq > before.synced()) database_->sync_up_to(position.epoch, position.seq);
            return Snapshot(std::move(state));
        }
        state.reset();
        database_->sync();
    }
}

WriteTransaction Store::write() {
    const PhaseScope scope(Phase::store);
    assert(!is_writing());
    assert(!database_->is_reading());
    for (int attempt = 1; attempt <= kAttempts; ++attempt) {
        auto state = std::make_unique<WriteTransaction::State>(*database_);
        if (!state->has_other_history()) return WriteTransaction(std::move(state));
        state.reset();
        database_->sync();
    }
    throw std::runtime_error("the database keeps changing its identity: is it being restored?");
}

ChangeClock& Store::clock() { return database_->clock(); }

std::unique_ptr<ChangeSource> Store::change_source() { return database_->change_source(); }

std::optional<ChangeClock::Reading> Store::fresh_reading() {
    if (const auto reading = clock().read(); reading.is_recent()) return reading;
    const PhaseScope scope(Phase::store);
    try {
        database_->sync_unless_recent();
    } catch (const std::runtime_error&) {  // the follower says so in the log
        if (const auto reading = clock().read(); reading.is_fresh()) return reading;
        return std::nullopt;
    }
    return clock().read();
}

}  // namespace recto
