#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/table.hpp"

namespace recto {
namespace {

// A token that could not be shown isn't made.
void show(const std::string& token) {
    complain("This is the only time it is shown. Use it as: Authorization: Token ...");
    if (has_lost_messages()) throw Stop{ExitCode::failed};
    print_line(token);
    finish_output();
}

void create(Operator& op, const std::string& user, const std::string& label) {
    const auto token = op.site().auth.create_token(user, label, show);
    if (!token) fail(token.error());
    log_event("token.create", {{"user", user}});
}

void list(Operator& op) {
    std::vector<TableRow> rows{{"ID", "USER", "CREATED", "LABEL"}};
    for (const auto& token : op.site().auth.tokens())
        rows.push_back({std::to_string(token.id), token.user, rfc3339(token.created), token.label});
    print_table(rows);
}

void revoke(Operator& op, std::int64_t id) {
    if (!op.site().auth.revoke_token(id)) fail("there is no token " + std::to_string(id) + "; see `recto token list`");
    log_event("token.revoke", {{"id", id}});
}

}  // namespace

void add_token(CLI::App& program, Operator& op) {
    auto* const token = program.add_subcommand("token", "Tokens of the API");
    token->require_subcommand(1);

    auto* const create_command = token->add_subcommand("create", "Makes a token for a user and prints it");
    auto* const user = create_command->add_option("USER", "The user's name")->required();
    auto* const label = create_command->add_option("--label", "What it is for")->default_str("");
    create_command->final_callback([&op, user, label] { create(op, user->as<std::string>(), label->as<std::string>()); });

    token->add_subcommand("list", "Prints all tokens, without their secret")->final_callback([&op] { list(op); });

    auto* const revoke_command = token->add_subcommand("revoke", "Ends a token");
    auto* const id = revoke_command->add_option("ID", "As `recto token list` prints it")
                         ->required()
                         ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 53));
    revoke_command->final_callback([&op, id] { revoke(op, id->as<std::int64_t>()); });
}

}  // namespace recto
