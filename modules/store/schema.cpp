#include "store/schema.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

#include "clock/change_source.hpp"
#include "store/copy.hpp"
#include "util/crypto.hpp"

namespace recto {
namespace {

constexpr std::chrono::milliseconds kMigrationPatience{60'000};  // another process may be copying the database first

Migration migration_of(const SqlFile& file) {
    const auto underscore = file.name.find('_');
    return {std::stoi(std::string(file.name.substr(0, underscore))), std::string(file.name.substr(underscore + 1))};
}

std::string version_sentence(std::int64_t version) { return ": its schema has number " + std::to_string(version); }

void refuse_newer(Connection& connection, std::int64_t version, const Schema& schema) {
    if (version <= schema.number()) return;
    throw std::runtime_error(connection.file().string() + version_sentence(version) + ", this program knows those up to " +
                             std::to_string(schema.number()) + ": install a newer Recto");
}

void keep_copy(const StoreOptions& options, std::int64_t next_version) {
    Connection source(options.file, Connection::Mode::read, options.busy_timeout);
    copy_database(source, options.file.string() + ".before-" + std::to_string(next_version), [](Connection&) {});
}

bool is_current(Connection& connection, const Schema& schema) {
    return schema_number_of(connection) == schema.number() && triggers_of(connection) == expected_triggers(schema);
}

// Also those that are not ours: a trigger we don't know may change data in ways we don't see.
void drop_triggers(Connection& connection) {
    std::vector<std::string> drops;
    for (auto rows = connection.query(R"(SELECT 'DROP ' || type || ' "' || replace(name, '"', '""') || '"' FROM sqlite_schema
                                         WHERE type = 'trigger' OR name = 'label_of_post')");
         rows.next();)
        drops.emplace_back(rows.text(0));
    for (const auto& drop : drops) connection.run_script(drop);
}

std::vector<Migration> apply(Connection& connection, std::int64_t version, const Schema& schema) {
    std::vector<Migration> applied;
    drop_triggers(connection);
    for (const auto& file : schema.migrations) {
        auto migration = migration_of(file);
        if (migration.number <= version) continue;
        connection.run_script(std::string(file.text));
        applied.push_back(std::move(migration));
    }
    connection.run_script(std::string(schema.triggers));
    refresh_statistics(connection);
    connection.run_script("PRAGMA user_version = " + std::to_string(schema.number()));
    // SQLite counts from 0: a database made from a dump of this one would come to about the same number.
    connection.run_script("PRAGMA schema_version = " + std::to_string(random_number() >> 34));
    return applied;
}

// `post.slug`: what a database of that version has at least.
std::set<std::string> columns_of(Connection& connection) {
    std::set<std::string> columns;
    for (auto rows = connection.query("SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c "
                                      "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~'");
         rows.next();)
        columns.emplace(rows.text(0));
    return columns;
}

std::set<std::string> expected_columns(const Schema& schema, std::int64_t version) {
    Connection connection("", Connection::Mode::in_memory, std::chrono::milliseconds(0));
    for (const auto& file : schema.migrations)
        if (migration_of(file).number <= version) connection.run_script(std::string(file.text));
    return columns_of(connection);
}

// `.dump` and `.recover` of the database shell lose the number; the columns tell it. 0: an empty file.
std::int64_t recognized_version(Connection& connection, const Schema& schema) {
    if (const auto version = schema_number_of(connection); version != 0) return version;
    const auto found = columns_of(connection);
    if (found.empty()) return 0;
    for (auto version = schema.number(); version > 0; --version)
        if (std::ranges::includes(found, expected_columns(schema, version))) return version;
    throw std::runtime_error(connection.file().string() + ": it has tables, but not Recto's; give another file");
}

[[noreturn]] void refuse_others(const Connection& connection, const std::string& missing) {
    throw std::runtime_error(connection.file().string() + ": it is not a Recto database, there is no " + missing + " in it");
}

}  // namespace

std::string_view coarse_tag(std::string_view table) {
    if (table == "post" || table == "post_author" || table == "post_tag") return "post";
    if (table == "user" || table == "token" || table == "tag") return table;
    return {};
}

std::int64_t Schema::number() const { return migration_of(migrations.back()).number; }

std::int64_t schema_number_of(Connection& connection) { return connection.integer("PRAGMA user_version"); }

void expect_current_schema(Connection& connection) {
    const auto version = schema_number_of(connection);
    const auto needed = current_schema().number();
    refuse_newer(connection, version, current_schema());
    if (version == needed) return;
    throw std::runtime_error(connection.file().string() + version_sentence(version) + ", this program needs " + std::to_string(needed) +
                             ": run `recto migrate`");
}

void expect_clock(Connection& connection) {
    if (connection.integer("SELECT count(*) FROM pragma_table_info('clock') WHERE name IN ('id', 'seq', 'epoch', 'nonce')") != 4)
        refuse_others(connection, "table clock");
    if (connection.integer("SELECT count(*) FROM clock WHERE id = 1") != 1) refuse_others(connection, "row in the table clock");
}

void expect_known_tables(Connection& connection, const Schema& schema) {
    expect_clock(connection);
    const auto version = recognized_version(connection, schema);
    refuse_newer(connection, version, schema);
    const auto found = columns_of(connection);
    for (const auto& column : expected_columns(schema, version))
        if (!found.contains(column)) refuse_others(connection, column);
}

void expect_whole(Connection& connection) {
    auto rows = connection.query("PRAGMA integrity_check(1)");
    if (!rows.next() || rows.text(0) != "ok")
        throw std::runtime_error(connection.file().string() + ": it is damaged: " + std::string(rows.text(0)));
}

// A sample of each index is enough to tell a key of few rows from one of many. What is said of a small table is taken back: when the table
// has grown, SQLite would still read it from end to end. The last statement makes this connection use what is left.
void refresh_statistics(Connection& connection) {
    connection.run_script(
        "PRAGMA analysis_limit = 1000; ANALYZE; DELETE FROM sqlite_stat1 WHERE CAST(stat AS INTEGER) < 1000; "
        "ANALYZE sqlite_schema");
}

std::int64_t count_orphans(Connection& connection) { return connection.integer("SELECT count(*) FROM pragma_foreign_key_check"); }

std::int64_t schema_version_of(Connection& connection) { return connection.integer("PRAGMA schema_version"); }

std::uint64_t renew_epoch(Connection& connection, std::uint64_t after) {
    const auto old = static_cast<std::uint64_t>(connection.integer("SELECT epoch FROM clock WHERE id = 1"));
    const auto renewed = new_epoch(std::max(old, after));
    connection.execute("UPDATE clock SET epoch = ?, schema_version = ? WHERE id = 1",
                       std::array<Value, 2>{static_cast<std::int64_t>(renewed), schema_version_of(connection)});
    return renewed;
}

Triggers triggers_of(Connection& connection) {
    Triggers triggers;
    for (auto rows = connection.query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' OR name = 'label_of_post' ORDER BY name");
         rows.next();)
        triggers.emplace_back(rows.text(0), rows.text(1));
    return triggers;
}

// SQLite keeps the texts nearly as they were written: asking it is simpler than knowing how nearly.
Triggers expected_triggers(const Schema& schema) {
    Connection connection("", Connection::Mode::in_memory, std::chrono::milliseconds(0));
    apply(connection, 0, schema);
    return triggers_of(connection);
}

std::vector<Migration> bring_up(Connection& connection, const Schema& schema) {
    if (is_current(connection, schema)) return {};
    const auto orphans = count_orphans(connection);
    auto applied = apply(connection, recognized_version(connection, schema), schema);
    if (count_orphans(connection) <= orphans) return applied;
    throw std::runtime_error(connection.file().string() + ": migrated to schema " + std::to_string(schema.number()) +
                             " rows of it would refer to rows that aren't there; it stays as it is");
}

// All of it in one transaction: a database is at one version, with its triggers, or untouched. A second process waits at BEGIN and finds
// nothing left to do.
std::vector<Migration> migrate(const StoreOptions& options, const Schema& schema) {
    make_private_file(options.file);
    Connection connection(options.file, Connection::Mode::create, std::max(options.busy_timeout, kMigrationPatience));
    connection.execute("PRAGMA foreign_keys = OFF");  // a migration may have to rebuild a table that others refer to
    if (is_current(connection, schema)) return {};  // a process that writes for long keeps no worker from starting
    Transaction transaction(connection, "BEGIN IMMEDIATE");
    const auto version = recognized_version(connection, schema);
    refuse_newer(connection, version, schema);
    if (is_current(connection, schema)) return {};

    if (version > 0 && version < schema.number()) keep_copy(options, version + 1);
    auto applied = bring_up(connection, schema);
    renew_epoch(connection);
    transaction.commit();
    return applied;
}

std::vector<Migration> migrate(const StoreOptions& options) { return migrate(options, current_schema()); }

}  // namespace recto
