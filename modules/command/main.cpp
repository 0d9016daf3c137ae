// recto - the operator's program.

#include <cstdio>
#include <exception>

#include "command/commands.hpp"
#include "util/standard_descriptors.hpp"

namespace {

using namespace recto;

int code(ExitCode exit_code) { return static_cast<int>(exit_code); }

// Also tells --help, which CLI11 throws too. A word that isn't known comes before what is missing because of it.
ExitCode tell(const CLI::App& program, const CLI::ParseError& problem) {
    const auto unknown = program.remaining(true);
    const bool is_missing = dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr;
    if (is_missing && !unknown.empty()) return tell(program, CLI::ExtrasError({unknown.front()}));
    return program.exit(problem) == 0 ? ExitCode::done : ExitCode::usage;
}

void add_commands(CLI::App& program, Operator& op) {
    add_check(program, op);
    add_show_config(program, op);
    add_migrate(program, op);
    add_backup(program, op);
    add_restore(program, op);
    add_user(program, op);
    add_token(program, op);
    add_post(program, op);
    add_import(program, op);
    add_cache(program, op);
    add_throttle(program, op);
    add_log(program, op);
    add_routes(program, op);
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    CLI::App program{"The operator's program of Recto, a blog service.", "recto"};
    Operator op;
    program.add_option("--config", op.config_file, "The configuration")->capture_default_str()->check(bad_path);
    program.require_subcommand(1);
    program.fallthrough();  // `recto check --config F` as well as `recto --config F check`
    program.footer("Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.");
    add_commands(program, op);
    try {
        program.parse(argc, argv);
        return code(ExitCode::done);
    } catch (const CLI::ParseError& problem) {
        return code(tell(program, problem));
    } catch (const Stop& stop) {
        return code(stop.code);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "recto: %s\n", problem.what());
        return code(ExitCode::failed);
    }
}
