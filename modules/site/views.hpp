// views.hpp - the views, as data: what a request's path and method lead to, and how each is cached, throttled and logged by default.
//
// The workers add a handler by name; the operator's program prints the table (`recto routes`) and builds the same cache keys. What an
// operator writes in [view NAME] replaces the defaults here.
//
// Threads:  immutable.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "log/log.hpp"
#include "throttle/throttle.hpp"

namespace recto {

struct View {
    std::string_view name;
    std::vector<std::string_view> methods;     // HEAD comes with GET, OPTIONS with everything
    std::string_view path;                     // with or without a slash at its end
    std::vector<std::string_view> parameters = {};  // of the query; others reach neither the view nor its cache key
    std::string_view event;                    // logged once an answer; empty: none
    bool is_shared = true;                     // the answer is the same whoever asks, so it may be cached and shown to all
    std::chrono::milliseconds cache{0};        // 0: not cached
    std::vector<std::string> throttle = {};    // scopes
    std::optional<Level> log = Level::info;    // the event's level
};

[[nodiscard]] const std::vector<View>& all_views();
[[nodiscard]] std::vector<std::string_view> view_names();

// Null when no view has the path. One slash at the end makes no difference.
[[nodiscard]] const View* find_view(std::string_view path);

// `GET, HEAD, OPTIONS`
[[nodiscard]] std::string allowed_methods(const View& view);

// What holds for a view once the operator's section is applied.
struct ViewPolicy {
    std::chrono::milliseconds cache{0};
    std::vector<std::string> throttle;
    std::optional<Level> log;
};
[[nodiscard]] ViewPolicy policy_of(const View& view, const Config& config);

}  // namespace recto
