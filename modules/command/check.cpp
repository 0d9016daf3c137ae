#include <cstdio>

#include "command/commands.hpp"

namespace recto {

void add_check(CLI::App& program, Operator& op) {
    auto* const check = program.add_subcommand("check", "Reads the configuration; prints every mistake in it");
    check->final_callback([&op] {
        const auto& config = op.config();
        std::printf("%s is good: %zu scopes, %zu views changed\n", op.config_file.c_str(), config.throttle_scopes.size(),
                    config.views.size());
    });
}

}  // namespace recto
