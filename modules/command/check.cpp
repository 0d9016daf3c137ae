#include <cstdio>
#include <filesystem>
#include <system_error>

#include "command/commands.hpp"
#include "command/log_lines.hpp"
#include "command/table.hpp"

namespace recto {
namespace {

std::string_view word_of(Representation representation) {
    constexpr std::string_view kWords[] = {"ring32", "ring16", "windows"};
    return kWords[static_cast<std::size_t>(representation)];
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
    std::printf("their table: %.1f MB in %s for %u addresses and %u users in each scope\n",
                static_cast<double>(memory_of(options).bytes) / (1 << 20), options.folder.c_str(), options.clients, options.users);
}

// `file = /var/log/recto` for a file in it. No worker could start; what isn't there yet, a worker makes.
void refuse_folders(const Config& config) {
    for (const auto& handler : file_handlers(config)) {
        std::error_code unseen;
        if (!std::filesystem::is_directory(handler.file, unseen)) continue;
        std::fprintf(stderr, "recto: the log %s is a folder, give a file\n", handler.file.c_str());
        throw Stop{ExitCode::bad_configuration};
    }
}

}  // namespace

void add_check(CLI::App& program, Operator& op) {
    auto* const check = program.add_subcommand("check", "Reads the configuration; prints every mistake in it, and what the limits take");
    check->final_callback([&op] {
        const auto& config = op.config();
        refuse_folders(config);
        std::printf("%s is good: %zu scopes, %zu views changed\n", op.config_file.c_str(), config.throttle_scopes.size(),
                    config.views.size());
        print_scopes(config);
        for (const auto& [logger, section] : config.loggers) warn_if_unknown_logger(logger);
    });
}

}  // namespace recto
