#include "store/changes.hpp"

#include <array>
#include <limits>
#include <utility>

#include <sqlite3.h>

#include "log/log.hpp"

namespace recto {
namespace {

// Numbers of the database are 63 bits; a larger one can only ask for nothing.
std::int64_t to_signed(std::uint64_t number) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    return number > static_cast<std::uint64_t>(kMax) ? kMax : static_cast<std::int64_t>(number);
}

std::uint64_t to_unsigned(std::int64_t number) { return static_cast<std::uint64_t>(number); }

}  // namespace

// Clock and changes in one statement: the same snapshot even where this is called without a transaction.
ChangeSet read_changes(Connection& connection, const Triggers& expected, std::uint64_t since) {
    ChangeSet set;
    set.since = since;
    set.trusted = triggers_of(connection) == expected;
    const auto schema_version = schema_version_of(connection);
    const std::array<Value, 1> values{to_signed(since)};
    auto rows = connection.query(
        "SELECT clock.epoch, clock.seq, clock.nonce, change.tag, change.seq, clock.schema_version "
        "FROM clock LEFT JOIN change ON change.seq > ? WHERE clock.id = 1",
        values);
    bool found = false;
    for (; rows.next(); found = true) {
        set.epoch = to_unsigned(rows.integer(0));
        set.seq = to_unsigned(rows.integer(1));
        set.nonce = to_unsigned(rows.integer(2));
        set.schema_moved = rows.integer(5) != schema_version;
        if (auto tag = rows.maybe_text(3)) set.changes.push_back({std::move(*tag), to_unsigned(rows.integer(4))});
    }
    if (!found) connection.fail(SQLITE_CORRUPT, "the table clock has lost its row", "");
    return set;
}

SqliteChangeSource::SqliteChangeSource(const StoreOptions& options, Triggers expected)
    : connection_(options.file, Connection::Mode::write, options.busy_timeout),
      expected_(std::move(expected)),
      busy_timeout_(options.busy_timeout) {}

bool SqliteChangeSource::moved() {
    const auto version = connection_.integer("PRAGMA data_version");
    const bool moved = version != data_version_;
    data_version_ = version;
    return !is_in_place() || moved;
}

// Says so once: the clock only hears that nothing is to be trusted.
bool SqliteChangeSource::is_in_place() {
    const bool before = std::exchange(was_in_place_, connection_.is_in_place());
    if (before && !was_in_place_) try {
            connection_.expect_in_place();
        } catch (const DatabaseError& error) {
            log_event("store.moved", json::object{{"error", error.what()}}, "recto.store", Level::error);
        }
    return was_in_place_;
}

ChangeSet SqliteChangeSource::changes_since(std::uint64_t seq) {
    Transaction snapshot(connection_, "BEGIN");
    auto set = read_changes(connection_, expected_, seq);
    set.trusted = set.trusted && connection_.is_in_place();
    return set;
}

std::uint64_t SqliteChangeSource::renew_epoch(std::uint64_t expected) {
    connection_.expect_in_place();
    Transaction transaction(connection_, "BEGIN IMMEDIATE");
    const auto epoch = to_unsigned(connection_.integer("SELECT epoch FROM clock WHERE id = 1"));
    if (epoch != expected) return epoch;
    const auto renewed = recto::renew_epoch(connection_);
    transaction.commit();
    return renewed;
}

void SqliteChangeSource::tend() noexcept try {
    if (!connection_.is_in_place()) return;
    connection_.wait_at_most(std::chrono::milliseconds(0));
    try {
        refresh_statistics(connection_);
    } catch (const DatabaseError&) {
    }
    connection_.wait_at_most(busy_timeout_);
} catch (const std::exception&) {
}

}  // namespace recto
