// schema.hpp - the tables and triggers this program is written for, and what a database has of them.
//
// Errors:   std::runtime_error naming the file and what to do.
// Threads:  pure functions on the given connection.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/connection.hpp"

namespace recto {

struct SqlFile {
    std::string_view name;  // 001_initial
    std::string_view text;
};

// modules/store/migrations/*.sql and triggers.sql, which the Makefile puts into the program.
struct Schema {
    std::span<const SqlFile> migrations;
    std::string_view triggers;

    [[nodiscard]] std::int64_t number() const;  // of the last migration
};
[[nodiscard]] Schema current_schema();

// The tag that a read of the table depends on; empty for tables whose changes nobody caches.
[[nodiscard]] std::string_view coarse_tag(std::string_view table);

[[nodiscard]] std::int64_t schema_number_of(Connection& connection);
void expect_current_schema(Connection& connection);

// Of any version, so that it can be copied and told from somebody else's file.
void expect_clock(Connection& connection);

// What the migrations made, up to the version that the database says it has; it isn't newer than the schema. More in it does no harm.
void expect_known_tables(Connection& connection, const Schema& schema);

void expect_whole(Connection& connection);  // PRAGMA integrity_check

// ANALYZE. The first one makes a table and so moves the schema's number: it is part of bring_up().
void refresh_statistics(Connection& connection);

// References to rows that aren't there (PRAGMA foreign_key_check). A database shell doesn't enforce foreign keys and leaves such behind.
[[nodiscard]] std::int64_t count_orphans(Connection& connection);

// SQLite's number of the schema. Read inside a transaction, as all that is compared with it.
[[nodiscard]] std::int64_t schema_version_of(Connection& connection);

// Greater than the present one and `after`; says which. It also stores the schema's number, for which the epoch vouches from now on.
std::uint64_t renew_epoch(Connection& connection, std::uint64_t after = 0);

// Names and texts, sorted.
using Triggers = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] Triggers triggers_of(Connection& connection);
[[nodiscard]] Triggers expected_triggers(const Schema& schema = current_schema());

// Applies what is missing, and the triggers if they are others. Inside a transaction of a connection that doesn't enforce foreign keys;
// that a migration makes no orphans is checked afterwards.
std::vector<Migration> bring_up(Connection& connection, const Schema& schema);

// As migrate(options), to the given schema.
std::vector<Migration> migrate(const StoreOptions& options, const Schema& schema);

}  // namespace recto
