// changes.hpp - what the change clock asks of SQLite.
//
// Errors:   DatabaseError. A database that was moved or replaced under us is not trusted, and logged when moved() finds it so.
// Threads:  one per thread, with a connection of its own that never writes data: PRAGMA data_version tells only of the commits of other
//           connections, and stands still while a statement is open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "clock/change_source.hpp"
#include "store/schema.hpp"

namespace recto {

// Compares the triggers again whenever the schema may have moved.
class TriggerCheck {
public:
    explicit TriggerCheck(Triggers expected) : expected_(std::move(expected)) {}

    [[nodiscard]] bool passes(Connection& connection);

private:
    Triggers expected_;
    std::int64_t schema_version_ = -1;
    bool passes_ = false;
};

// Inside a transaction of the connection, so that the triggers are those that wrote the changes.
[[nodiscard]] ChangeSet read_changes(Connection& connection, TriggerCheck& triggers, std::uint64_t since);

class SqliteChangeSource : public ChangeSource {
public:
    SqliteChangeSource(const StoreOptions& options, Triggers expected);

    [[nodiscard]] bool moved() override;
    [[nodiscard]] ChangeSet changes_since(std::uint64_t seq) override;
    std::uint64_t renew_epoch(std::uint64_t expected) override;

private:
    [[nodiscard]] bool is_in_place();

    Connection connection_;
    TriggerCheck triggers_;
    std::optional<std::int64_t> data_version_;
    bool was_in_place_ = true;
};

}  // namespace recto
