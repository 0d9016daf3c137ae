// commands.hpp - the sub-commands of `recto`, one file each. Each adds itself to the program; what it does runs after parsing.
#pragma once

#include <CLI/CLI.hpp>

#include "command/operator.hpp"

namespace recto {

void add_check(CLI::App& program, Operator& op);
void add_show_config(CLI::App& program, Operator& op);
void add_migrate(CLI::App& program, Operator& op);
void add_backup(CLI::App& program, Operator& op);
void add_restore(CLI::App& program, Operator& op);
void add_user(CLI::App& program, Operator& op);
void add_token(CLI::App& program, Operator& op);
void add_post(CLI::App& program, Operator& op);
void add_import(CLI::App& program, Operator& op);
void add_cache(CLI::App& program, Operator& op);
void add_cache_explain(CLI::App& cache, Operator& op);
void add_throttle(CLI::App& program, Operator& op);
void add_log(CLI::App& program, Operator& op);
void add_log_level(CLI::App& log, Operator& op);
void add_log_follow(CLI::App& log, Operator& op);
void add_log_grep(CLI::App& log, Operator& op);
void add_log_slow(CLI::App& log, Operator& op);
void add_routes(CLI::App& program, Operator& op);

}  // namespace recto
