#include "command/commands.hpp"
#include "command/output.hpp"
#include "store/backup.hpp"
#include "util/shared_file.hpp"

namespace recto {
namespace {

void print(const Config& config, const std::string& file, const CheckedBackup& backup, const std::optional<std::filesystem::path>& kept) {
    for (const auto& step : backup.applied()) print_line("applied " + std::to_string(step.number) + ' ' + step.name);
    if (kept) print_line("kept what was there as " + kept->string());
    print_line(config.store_file.string() + " is what " + file + " was: posts " + std::to_string(backup.contents().posts) + ", users " +
               std::to_string(backup.contents().users));
    warn_of_orphans(config.store_file, backup.contents().orphans);
}

}  // namespace

// The backup is read first: it may be readable for root alone.
void add_restore(CLI::App& program, Operator& op) {
    auto* const command = program.add_subcommand("restore", "Puts a backup in the place of the database, while it is in use");
    auto* const file = command->add_option("FILE", "The backup; it stays as it is")->required()->check(bad_path);
    const auto no_keep = std::make_shared<bool>(false);
    command->add_flag("--no-keep", *no_keep, "Keep no copy of the database as it is now");
    command->final_callback([&op, file, no_keep] {
        const auto source = file->as<std::string>();
        const auto options = store_options(op.config());
        CheckedBackup backup(options, source);
        op.enter();
        make_private_directory(options.runtime_dir);
        const auto kept = restore(options, backup, !*no_keep);
        log_event("store.restore",
                  {{"file", source}, {"kept", kept ? json::value(kept->string()) : nullptr}, {"posts", backup.contents().posts}}, {},
                  Level::warning);
        print(op.config(), source, backup, kept);
    });
}

}  // namespace recto
