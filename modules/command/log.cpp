#include "command/commands.hpp"

namespace recto {

void add_log(CLI::App& program, Operator& op) {
    auto* const log = program.add_subcommand("log", "The log: following it, one request's story, slow requests, levels");
    log->require_subcommand(1);
    add_log_follow(*log, op);
    add_log_grep(*log, op);
    add_log_slow(*log, op);
    add_log_level(*log, op);
}

}  // namespace recto
