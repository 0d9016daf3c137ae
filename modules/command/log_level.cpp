#include "log/levels.hpp"

#include <algorithm>
#include <set>

#include "command/commands.hpp"
#include "command/table.hpp"
#include "log/line.hpp"
#include "log/loggers.hpp"
#include "site/owner.hpp"

namespace recto {
namespace {

constexpr std::string_view kDefault = "default";

// What the loggers' levels come from.
struct Levels {
    LogOptions options;
    std::map<std::string, Level> changed;

    [[nodiscard]] std::optional<Level> rule_of(std::string_view logger) const {
        const auto found = std::ranges::find(options.loggers, logger, &LoggerRule::logger);
        return found == options.loggers.end() ? std::nullopt : found->level;
    }
    [[nodiscard]] std::optional<Level> change_of(std::string_view logger) const {
        const auto found = changed.find(std::string(logger));
        return found == changed.end() ? std::nullopt : std::optional(found->second);
    }
};

Levels levels_of(Operator& op) {
    become_owner_of(op.config().data);
    return {log_options(op.config()), LogLevels::changed_in(op.config().runtime_dir)};
}

// The name above: empty for the log itself.
std::string_view above(std::string_view logger) {
    const auto dot = logger.rfind('.');
    return dot == std::string_view::npos ? std::string_view() : logger.substr(0, dot);
}

std::set<std::string> names_of(const Levels& levels) {
    std::set<std::string> names;
    for (const auto& known : kKnownLoggers) names.emplace(known.name);
    for (const auto& rule : levels.options.loggers) names.insert(rule.logger);
    for (const auto& [logger, level] : levels.changed) names.insert(logger);
    return names;
}

struct Told {
    Level level;
    std::string from;
};

// As it would be without the change of `logger` itself.
Told configured(const Levels& levels, std::string_view logger) {
    if (const auto rule = levels.rule_of(logger)) return {*rule, "configured: [logger " + std::string(logger) + "]"};
    for (auto name = above(logger); !name.empty(); name = above(name)) {
        if (const auto change = levels.change_of(name)) return {*change, "inherited from " + std::string(name)};
        if (const auto rule = levels.rule_of(name)) return {*rule, "inherited from " + std::string(name)};
    }
    const bool is_top = above(logger).empty();
    return {levels.options.level, is_top ? "configured: [log] level" : "inherited from [log] level"};
}

Told told(const Levels& levels, std::string_view logger) {
    auto without = configured(levels, logger);
    const auto change = levels.change_of(logger);
    return change ? Told{*change, "changed, by default " + std::string(word_of(without.level))} : without;
}

std::string about(std::string_view logger) {
    const auto* const known = std::ranges::find(kKnownLoggers, logger, &KnownLogger::name);
    return known == kKnownLoggers.end() ? "" : std::string(known->about);
}

void print(const Levels& levels, const std::set<std::string>& loggers) {
    std::vector<TableRow> rows{{"LOGGER", "LEVEL", "FROM", "WHAT IT LOGS"}};
    for (const auto& logger : loggers) {
        const auto [level, from] = told(levels, logger);
        rows.push_back({logger, std::string(word_of(level)), from, about(logger)});
    }
    print_table(rows);
}

void change(Operator& op, const std::string& logger, const std::string& word) {
    const auto before = levels_of(op);
    if (word != kDefault && !names_of(before).contains(logger)) warn_if_unknown_logger(logger);
    LogLevels::open(op.config().runtime_dir).set(logger, parse_level(word));
    const auto levels = levels_of(op);
    op.enter();
    log_event("log.level", {{"logger", logger}, {"level", word}}, "recto.log");
    print(levels, {logger});
}

std::string bad_logger(const std::string& name) {
    if (name.size() > LogLevels::kMaxName) return "a logger's name has at most " + std::to_string(LogLevels::kMaxName) + " bytes";
    return is_event_name(name) ? "" : "expected a name of a-z, 0-9 and _ . -, such as recto.cache";
}

}  // namespace

void add_log_level(CLI::App& log, Operator& op) {
    auto* const level_command = log.add_subcommand("level", "Prints or changes how much is logged, while the workers run");
    const auto logger = std::make_shared<std::string>();
    const auto level = std::make_shared<std::string>();
    level_command->add_option("LOGGER", *logger, "Such as recto.cache; all of Recto is recto")->check(bad_logger);
    level_command->add_option("LEVEL", *level, "debug, info, warning or error; default: as configured")
        ->check(CLI::IsMember({"debug", "info", "warning", "error", kDefault.data()}));
    level_command->final_callback([&op, logger, level] {
        if (!level->empty()) return change(op, *logger, *level);
        const auto levels = levels_of(op);
        print(levels, logger->empty() ? names_of(levels) : std::set{*logger});
    });
}

}  // namespace recto
