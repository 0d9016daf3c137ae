// database_shell.hpp - SQLite without Recto, as in a database shell, but within a process that may be killed in the middle of it.
//
// Errors:   std::runtime_error with SQLite's words.
// Threads:  one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

struct sqlite3;

namespace recto {

class DatabaseShell {
public:
    explicit DatabaseShell(const std::filesystem::path& file);

    void run(const std::string& statements);
    void switch_triggers_off();                                              // `.dbconfig enable_trigger off`
    [[nodiscard]] std::optional<std::string> ask(const std::string& query);  // the first column of its only row, if there is one

private:
    struct Close {
        void operator()(sqlite3* database) const;
    };
    std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace recto
