// recto - the operator's program.

#include <csignal>
#include <exception>
#include <sstream>

#include "command/commands.hpp"
#include "command/output.hpp"
#include "util/standard_descriptors.hpp"

namespace {

using namespace recto;

int code(ExitCode exit_code) { return static_cast<int>(exit_code); }

// Also tells --help, which CLI11 throws too. A word that isn't known comes before what is missing because of it.
ExitCode tell(const CLI::App& program, const CLI::ParseError& problem) {
    const auto unknown = program.remaining(true);
    const bool is_missing = dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr;
    if (is_missing && !unknown.empty()) return tell(program, CLI::ExtrasError({unknown.front()}));
    std::ostringstream help;
    std::ostringstream ignored;
    if (program.exit(problem, help, ignored) == 0) {
        print_raw(help.str());
        return ExitCode::done;
    }
    complain(problem.what());
    complain("Run with --help for more information.");
    return ExitCode::usage;
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

ExitCode run(int argc, char** argv) {
    CLI::App program{"The operator's program of Recto, a blog service.", "recto"};
    Operator op;
    program.add_option("--config", op.config_file, "The configuration")->capture_default_str()->check(bad_path);
    program.require_subcommand(1);
    program.fallthrough();  // `recto check --config F` as well as `recto --config F check`
    program.footer("Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.");
    add_commands(program, op);
    try {
        program.parse(argc, argv);
        return ExitCode::done;
    } catch (const CLI::ParseError& problem) {
        return tell(program, problem);
    } catch (const Stop& stop) {
        return stop.code;
    }
}

// What was printed may be in a buffer still. A command isn't done when its output or a warning was lost.
ExitCode run_and_finish(int argc, char** argv) {
    try {
        const auto exit_code = run(argc, argv);
        if (exit_code != ExitCode::done) return exit_code;
        finish_output();
        return has_lost_messages() ? ExitCode::failed : ExitCode::done;
    } catch (const std::exception& problem) {
        complain(std::string("recto: ") + problem.what());
        return ExitCode::failed;
    }
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    std::signal(SIGPIPE, SIG_IGN);  // a reader that has ended, as `head` does, is an error of the write
    return code(run_and_finish(argc, argv));
}
