#include <sys/stat.h>

#include "command/commands.hpp"
#include "command/output.hpp"
#include "site/owner.hpp"

namespace recto {

void add_migrate(CLI::App& program, Operator& op) {
    auto* const command = program.add_subcommand("migrate", "Brings the database up to this program; keeps a copy of what it was");
    command->final_callback([&op] {
        become_owner_of(op.config().data);
        ::umask(0027);
        const auto applied = bring_up_database(op.config());
        for (const auto& step : applied) print_line("applied " + std::to_string(step.number) + ' ' + step.name);
        if (applied.empty()) print_line("nothing to do");
    });
}

}  // namespace recto
