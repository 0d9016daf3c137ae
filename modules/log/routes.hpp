// routes.hpp - which handlers a line goes to, by its logger and its level.
//
// Errors:   the constructor throws std::runtime_error when a rule names a handler that there isn't.
// Threads:  immutable.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "log/log.hpp"

namespace recto {

using HandlerBits = std::uint64_t;  // bit i is LogOptions::handlers[i]

class Routes {
public:
    // `changed`: levels that go before those of the rules.
    Routes(const LogOptions& options, const std::map<std::string, Level>& changed);

    [[nodiscard]] HandlerBits handlers(std::string_view logger, Level level) const {
        return route(logger).handlers[static_cast<std::size_t>(level)];
    }
    [[nodiscard]] Level lowest() const { return lowest_; }  // below it nothing goes anywhere; error, if nothing ever does

private:
    struct Route {
        Level level = Level::info;
        HandlerBits all = 0;
        std::array<HandlerBits, 4> handlers{};  // by the level of the line
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };

    [[nodiscard]] const Route& route(std::string_view logger) const;
    [[nodiscard]] HandlerBits bits_of(const std::vector<std::string>& names) const;
    void add(std::string_view logger, const LoggerRule* rule, const std::map<std::string, Level>& changed);
    void finish(Route& route) const;

    const std::vector<LogHandler> handlers_;
    Route root_;
    std::unordered_map<std::string, Route, Hash, std::equal_to<>> named_;
    Level lowest_ = Level::error;
};

}  // namespace recto
