#include <cstdio>
#include <filesystem>
#include <system_error>

#include "command/commands.hpp"
#include "command/log_lines.hpp"
#include "command/output.hpp"
#include "command/table.hpp"

namespace recto {
namespace {

std::string_view word_of(Representation representation) {
    constexpr std::string_view kWords[] = {"ring32", "ring16", "windows"};
    return kWords[static_cast<std::size_t>(representation)];
}

std::string in_megabytes(std::uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / (1 << 20));
    return text;
}

void print_scopes(const Config& config) {
    const auto options = throttle_options(config);
    std::vector<TableRow> rows{{"SCOPE", "RATE", "REPR", "FREED LATE BY", "DRY RUN"}};
    for (const auto& policy : options.policies)
        rows.push_back({policy.scope, to_text(policy.rate), std::string(word_of(policy.representation)), to_text(lateness_of(policy)),
                        policy.dry_run ? "on" : "off"});
    for (const auto& [scope, rate] : config.throttle_scopes)
        if (!rate) rows.push_back({scope, "off", "", "", ""});
    print_table(rows);
    print_line("their table: " + in_megabytes(memory_of(options).bytes) + " in " + options.folder.string() + " for " +
               std::to_string(options.clients) + " addresses and " + std::to_string(options.users) + " users in each scope");
}

// `file = /var/log/recto` for a file in it. No worker could start; what isn't there yet, a worker makes.
void refuse_folders(const Config& config) {
    for (const auto& handler : file_handlers(config)) {
        std::error_code unseen;
        if (!std::filesystem::is_directory(handler.file, unseen)) continue;
        complain("recto: the log " + handler.file.string() + " is a folder, give a file");
        throw Stop{ExitCode::bad_configuration};
    }
}

}  // namespace

void add_check(CLI::App& program, Operator& op) {
    auto* const check = program.add_subcommand("check", "Reads the configuration; prints every mistake in it, and what the limits take");
    check->final_callback([&op] {
        const auto& config = op.config();
        refuse_folders(config);
        print_line(op.config_file.string() + " is good: " + std::to_string(config.throttle_scopes.size()) + " scopes, " +
                   std::to_string(config.views.size()) + " views changed");
        print_scopes(config);
        for (const auto& [logger, section] : config.loggers) warn_if_unknown_logger(logger);
    });
}

}  // namespace recto
