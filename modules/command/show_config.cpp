#include <cstdio>

#include "command/commands.hpp"
#include "command/table.hpp"

namespace recto {

void add_show_config(CLI::App& program, Operator& op) {
    auto* const show = program.add_subcommand("show-config", "Prints every option: its value and where it comes from; secrets masked");
    show->final_callback([&op] {
        std::vector<TableRow> rows{{"OPTION", "VALUE", "FROM"}};
        for (const auto& option : op.loaded().options)
            rows.push_back({'[' + option.section + "] " + option.name, option.value, option.origin});
        print_table(rows);
    });
}

}  // namespace recto
