#include <cstdio>
#include <filesystem>
#include <optional>
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
    for (const auto& policy : options.policies) {
        const auto of_addresses = std::string(word_of(policy.representation)),
                   of_users = std::string(word_of(policy.representation_of(true)));
        const bool is_one = policy.addresses_only || of_addresses == of_users;
        rows.push_back(
            {policy.scope, to_text(policy.rate), is_one ? of_addresses : of_addresses + ", users " + of_users,
             is_one ? to_text(lateness_of(policy)) : to_text(lateness_of(policy)) + ", users " + to_text(lateness_of(policy, true)),
             policy.dry_run ? "on" : "off"});
    }
    for (const auto& [scope, rate] : config.throttle_scopes)
        if (!rate) rows.push_back({scope, "off", "", "", ""});
    print_table(rows);
    print_line("their table: " + in_megabytes(memory_of(options).bytes) + " in " + options.folder.string() + " for " +
               std::to_string(options.clients) + " addresses and " + std::to_string(options.users) + " users in each scope");
}

// Of the file system where the folder is or will be made. Nothing if that can't be seen.
std::optional<std::uintmax_t> room_without_table(const std::filesystem::path& folder) {
    std::error_code problem;
    auto there = std::filesystem::absolute(folder);
    while (!std::filesystem::is_directory(there, problem) && there.has_relative_path()) there = there.parent_path();
    const auto space = std::filesystem::space(there, problem);
    if (problem) return {};
    auto room = space.available;
    for (const auto* const name : {"throttle", "throttle.next"})
        if (const auto size = std::filesystem::file_size(folder / name, problem); !problem) room += size;
    return room;
}

// A reload holds two tables, and others need the room too: in /run the whole machine.
void refuse_large_table(const Config& config) {
    const auto options = throttle_options(config);
    const auto needed = memory_of(options).bytes;
    const auto room = room_without_table(options.folder);
    if (!room || needed <= *room / 2) return;
    complain("recto: the table of [throttle] takes " + in_megabytes(needed) + ", more than half of the " + in_megabytes(*room) +
             " that are free for it in " + options.folder.string() +
             ", and a reload holds two: lower a limit or [throttle] clients, or set repr in [scope NAME]");
    throw Stop{ExitCode::bad_configuration};
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
        refuse_large_table(config);
        print_line(op.config_file.string() + " is good: " + std::to_string(config.throttle_scopes.size()) + " scopes, " +
                   std::to_string(config.views.size()) + " views changed");
        print_scopes(config);
        for (const auto& [logger, section] : config.loggers) warn_if_unknown_logger(logger);
    });
}

}  // namespace recto
