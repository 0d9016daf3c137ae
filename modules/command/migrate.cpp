#include <cstdio>

#include <sys/stat.h>

#include "command/commands.hpp"
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
        for (const auto& step : applied) std::printf("applied %d %s\n", step.number, step.name.c_str());
        if (applied.empty()) std::puts("nothing to do");
    });
}

}  // namespace recto
