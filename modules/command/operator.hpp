// operator.hpp - what the sub-commands of `recto` share: the configuration, the opened site, how they end.
//
// Errors:   Stop carries an exit code after the reason was printed; anything else reaches main as an exception.
// Threads:  for the one thread of the program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "site/site.hpp"

namespace recto {

// sysexits.h where it has a name for it.
enum class ExitCode { done = 0, failed = 1, usage = 64, bad_configuration = 78 };

// Ends the command; what there is to say has been said.
struct Stop {
    ExitCode code;
};

[[noreturn]] void fail(const std::string& why);  // prints it, then Stop

// For CLI11's check(): what is wrong with the path of a file or folder, empty if nothing.
[[nodiscard]] std::string bad_path(const std::string& path);

// If a database has references to rows that aren't there. No reason to do without a copy.
void warn_of_orphans(const std::string& file, std::int64_t orphans);

// If none of our loggers is called so. A program that uses our modules may have one, so this is no error.
void warn_if_unknown_logger(const std::string& logger);

class Operator {
public:
    std::filesystem::path config_file = "/etc/recto/recto.ini";

    // Mistakes are printed, all of them, and end the command.
    [[nodiscard]] const LoadedConfig& loaded();
    [[nodiscard]] const Config& config() { return loaded().config; }

    // Goes on as the owner of the site's files, with the log open. What a command needs other rights for (root's) comes before.
    void enter();

    // The same, and opens everything else, once.
    [[nodiscard]] Site& site();

private:
    std::optional<LoadedConfig> loaded_;
    std::unique_ptr<LogSession> log_;
    std::unique_ptr<Site> site_;
};

}  // namespace recto
