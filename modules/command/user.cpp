#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/table.hpp"

namespace recto {
namespace {

void add(Operator& op, const std::string& name) {
    const auto user = op.site().auth.add_user(name);
    if (!user) fail(user.error());
    log_event("user.add", {{"user", user->name}, {"id", user->id}});
    print_line(std::to_string(user->id) + ' ' + user->slug);
}

void list(Operator& op) {
    std::vector<TableRow> rows{{"ID", "NAME", "SLUG", "ACTIVE"}};
    for (const auto& user : op.site().auth.users())
        rows.push_back({std::to_string(user.id), user.name, user.slug, user.active ? "yes" : "no"});
    print_table(rows);
}

}  // namespace

void add_user(CLI::App& program, Operator& op) {
    auto* const user = program.add_subcommand("user", "Users: who writes, and who may log in");
    user->require_subcommand(1);

    auto* const add_command = user->add_subcommand("add", "Adds a user; prints the id and the slug");
    auto* const name = add_command->add_option("NAME", "As it is shown")->required();
    add_command->final_callback([&op, name] { add(op, name->as<std::string>()); });

    user->add_subcommand("list", "Prints all users")->final_callback([&op] { list(op); });
}

}  // namespace recto
