#include "log/routes.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace recto {
namespace {

constexpr std::array kLevels{Level::debug, Level::info, Level::warning, Level::error};

std::string_view above(std::string_view logger) {
    const auto dot = logger.rfind('.');
    return dot == std::string_view::npos ? std::string_view() : logger.substr(0, dot);
}

}  // namespace

Routes::Routes(const LogOptions& options, const std::map<std::string, Level>& changed) : handlers_(options.handlers) {
    if (handlers_.size() > 64) throw std::runtime_error("log: more than 64 handlers");
    root_.level = options.level;
    root_.all = bits_of(options.root_handlers);
    finish(root_);

    // Names above others come before them.
    std::map<std::string, const LoggerRule*> names;
    for (const auto& [logger, level] : changed) names.emplace(logger, nullptr);
    for (const auto& rule : options.loggers) names[rule.logger] = &rule;
    for (const auto& [logger, rule] : names) add(logger, rule, changed);
    for (const auto level : kLevels) {
        const auto is_reached = [&](const Route& route) { return route.handlers[static_cast<std::size_t>(level)] != 0; };
        if (!is_reached(root_) && std::ranges::none_of(named_, [&](const auto& named) { return is_reached(named.second); })) continue;
        lowest_ = level;
        break;
    }
}

void Routes::add(std::string_view logger, const LoggerRule* rule, const std::map<std::string, Level>& changed) {
    const auto& parent = route(above(logger));
    Route own{.level = parent.level, .all = parent.all, .handlers = {}};
    if (rule != nullptr) {
        own.level = rule->level.value_or(parent.level);
        own.all = bits_of(rule->handlers) | (rule->propagate ? parent.all : 0);
    }
    if (const auto found = changed.find(std::string(logger)); found != changed.end()) own.level = found->second;
    finish(own);
    named_.emplace(logger, own);
}

void Routes::finish(Route& route) const {
    for (const auto level : kLevels)
        for (std::size_t i = 0; i < handlers_.size(); ++i)
            if ((route.all >> i & 1) != 0 && level >= route.level && level >= handlers_[i].level)
                route.handlers[static_cast<std::size_t>(level)] |= HandlerBits{1} << i;
}

const Routes::Route& Routes::route(std::string_view logger) const {
    for (; !logger.empty() && !named_.empty(); logger = above(logger))
        if (const auto found = named_.find(logger); found != named_.end()) return found->second;
    return root_;
}

HandlerBits Routes::bits_of(const std::vector<std::string>& names) const {
    HandlerBits bits = 0;
    for (const auto& name : names) {
        const auto found = std::ranges::find(handlers_, name, &LogHandler::name);
        if (found == handlers_.end()) throw std::runtime_error("log: there is no handler " + name);
        bits |= HandlerBits{1} << (found - handlers_.begin());
    }
    return bits;
}

}  // namespace recto
