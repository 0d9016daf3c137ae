#include <sys/stat.h>

#include "command/commands.hpp"
#include "command/output.hpp"
#include "site/owner.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"

namespace recto {

void add_migrate(CLI::App& program, Operator& op) {
    auto* const command = program.add_subcommand("migrate", "Brings the database up to this program; keeps a copy of what it was");
    command->final_callback([&op] {
        become_owner_of(op.config().data);
        ::umask(0027);
        make_directories(op.config().store_file.parent_path());
        make_private_directory(op.config().runtime_dir);
        const auto applied = migrate(store_options(op.config()));
        for (const auto& step : applied) print_line("applied " + std::to_string(step.number) + ' ' + step.name);
        if (applied.empty()) print_line("nothing to do");
    });
}

}  // namespace recto
