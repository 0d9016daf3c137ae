// changes.hpp - what the change clock asks of SQLite.
//
// The clock's row holds the number of the schema (PRAGMA schema_version) of this epoch. Every CREATE, DROP, ALTER, VACUUM and first ANALYZE
// moves SQLite's number, so that triggers which were dropped, or replaced and put back, are noticed even within one transaction. The texts
// of the triggers are compared each time, because an edit through PRAGMA writable_schema moves nothing.
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

// Inside a transaction of the connection, so that the triggers are those that wrote the changes.
[[nodiscard]] ChangeSet read_changes(Connection& connection, const Triggers& expected, std::uint64_t since);

class SqliteChangeSource : public ChangeSource {
public:
    SqliteChangeSource(const StoreOptions& options, Triggers expected);

    [[nodiscard]] bool moved() override;
    [[nodiscard]] ChangeSet changes_since(std::uint64_t seq) override;
    std::uint64_t renew_epoch(std::uint64_t expected) override;
    void tend() noexcept override;  // refreshes the statistics, unless another connection writes just now

private:
    [[nodiscard]] bool is_in_place();

    Connection connection_;
    const Triggers expected_;
    const std::chrono::milliseconds busy_timeout_;
    std::optional<std::int64_t> data_version_;
    bool was_in_place_ = true;
};

}  // namespace recto
