#include "store/schema.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>

#include "clock/change_source.hpp"
#include "util/file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

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

void refuse_foreign(Connection& connection, std::int64_t version) {
    if (version != 0 || connection.integer("SELECT count(*) FROM sqlite_schema") == 0) return;
    throw std::runtime_error(connection.file().string() + ": it has tables, but not Recto's; give another file");
}

// Closed to others: tokens are in it. Only a file that isn't there yet is touched: closing a descriptor of an open database would drop
// SQLite's locks on it.
void make_private_file(const fs::path& file) {
    make_directories(file.parent_path());
    const UniqueFd fd(::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    if (!fd && errno != EEXIST) throw io_error("cannot make", file);
}

void back_up(const StoreOptions& options, std::int64_t next_version) {
    const fs::path target = options.file.string() + ".before-" + std::to_string(next_version);
    const fs::path unfinished = target.string() + ".unfinished";
    fs::remove(unfinished);
    make_private_file(unfinished);
    {
        Connection source(options.file, Connection::Mode::read, options.busy_timeout);
        source.copy_to(unfinished);
    }
    fs::rename(unfinished, target);
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

void expect_whole_references(Connection& connection) {
    auto broken = connection.query("PRAGMA foreign_key_check");
    if (!broken.next()) return;
    throw std::runtime_error(connection.file().string() + ": a row of table " + std::string(broken.text(0)) +
                             " refers to a row that isn't there; nothing was migrated");
}

void renew_epoch(Connection& connection) {
    const auto old = static_cast<std::uint64_t>(connection.integer("SELECT epoch FROM clock WHERE id = 1"));
    connection.execute("UPDATE clock SET epoch = ? WHERE id = 1", std::array<Value, 1>{static_cast<std::int64_t>(new_epoch(old))});
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
    connection.run_script("PRAGMA user_version = " + std::to_string(schema.number()));
    return applied;
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

// All of it in one transaction: a database is at one version, with its triggers, or untouched. Whoever comes second waits at BEGIN and
// finds nothing left to do.
std::vector<Migration> migrate(const StoreOptions& options, const Schema& schema) {
    make_private_file(options.file);
    Connection connection(options.file, Connection::Mode::create, std::max(options.busy_timeout, kMigrationPatience));
    connection.execute("PRAGMA foreign_keys = OFF");  // a migration may have to rebuild a table that others refer to
    Transaction transaction(connection, "BEGIN IMMEDIATE");
    const auto version = schema_number_of(connection);
    refuse_newer(connection, version, schema);
    refuse_foreign(connection, version);
    if (version == schema.number() && triggers_of(connection) == expected_triggers(schema)) return {};

    if (version > 0 && version < schema.number()) back_up(options, version + 1);
    auto applied = apply(connection, version, schema);
    expect_whole_references(connection);
    renew_epoch(connection);
    transaction.commit();
    return applied;
}

std::vector<Migration> migrate(const StoreOptions& options) { return migrate(options, current_schema()); }

}  // namespace recto
