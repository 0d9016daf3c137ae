#include "command/commands.hpp"
#include "command/table.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::string_view kLevelWords[] = {"debug", "info", "warning", "error"};

std::string or_word(const std::string& text, std::string_view word) { return text.empty() ? std::string(word) : text; }

}  // namespace

void add_routes(CLI::App& program, Operator& op) {
    auto* const routes = program.add_subcommand("routes", "Prints the views: path, methods, caching, limits and logging as configured");
    routes->final_callback([&op] {
        std::vector<TableRow> rows{{"VIEW", "METHODS", "PATH", "CACHE", "THROTTLE", "COST", "AT ONCE", "LOG"}};
        for (const auto& view : all_views()) {
            const auto policy = policy_of(view, op.config());
            rows.push_back({std::string(view.name), allowed_methods(view), std::string(view.path),
                            policy.cache.count() == 0 ? "off" : to_text(policy.cache), or_word(join(policy.throttle, ", "), "none"),
                            std::to_string(policy.cost), policy.at_once == 0 ? "any" : std::to_string(policy.at_once),
                            policy.log ? std::string(kLevelWords[static_cast<std::size_t>(*policy.log)]) : "off"});
        }
        print_table(rows);
    });
}

}  // namespace recto
