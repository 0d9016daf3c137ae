#include "tests/support/database_shell.hpp"

#include <stdexcept>

#include <sqlite3.h>

namespace recto {

void DatabaseShell::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

DatabaseShell::DatabaseShell(const std::filesystem::path& file) {
    sqlite3* database = nullptr;
    const auto code = sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr);
    database_.reset(database);
    if (code != SQLITE_OK) throw std::runtime_error("cannot open " + file.string() + ": " + sqlite3_errstr(code));
    sqlite3_busy_timeout(database, 10'000);
}

void DatabaseShell::run(const std::string& statements) {
    char* message = nullptr;
    if (sqlite3_exec(database_.get(), statements.c_str(), nullptr, nullptr, &message) == SQLITE_OK) return;
    const std::string why = message == nullptr ? "?" : message;
    sqlite3_free(message);
    throw std::runtime_error(why + " in " + statements);
}

void DatabaseShell::switch_triggers_off() { sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr); }

std::optional<std::string> DatabaseShell::ask(const std::string& query) {
    std::optional<std::string> found;
    const auto keep = [](void* to, int columns, char** values, char**) {
        if (columns > 0 && values[0] != nullptr) static_cast<std::optional<std::string>*>(to)->emplace(values[0]);
        return 0;
    };
    char* message = nullptr;
    if (sqlite3_exec(database_.get(), query.c_str(), keep, &found, &message) == SQLITE_OK) return found;
    const std::string why = message == nullptr ? "?" : message;
    sqlite3_free(message);
    throw std::runtime_error(why + " in " + query);
}

}  // namespace recto
