#include "store/backup.hpp"

#include "command/commands.hpp"
#include "command/output.hpp"

namespace recto {

// Root's backup may lie where only root can write, so the log, which must not be root's, comes afterwards.
void add_backup(CLI::App& program, Operator& op) {
    auto* const command = program.add_subcommand("backup", "Copies the database into a file, while it is in use; checks the copy");
    auto* const file = command->add_option("FILE", "The copy")->required()->check(bad_path);
    const auto force = std::make_shared<bool>(false);
    command->add_flag("--force", *force, "Also over a file that is there");
    command->final_callback([&op, file, force] {
        const auto target = file->as<std::string>();
        const auto contents = back_up(store_options(op.config()), target, *force ? Existing::replace : Existing::refuse);
        print_line(target + ": posts " + std::to_string(contents.posts) + ", users " + std::to_string(contents.users));
        warn_of_orphans(target, contents.orphans);
        op.enter();
        log_event("store.backup", {{"file", target}, {"posts", contents.posts}, {"users", contents.users}, {"orphans", contents.orphans}},
                  {}, contents.orphans == 0 ? Level::info : Level::warning);
    });
}

}  // namespace recto
