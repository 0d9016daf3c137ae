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

// Whose an answer is: who may be shown what was cached for another.
enum class Audience {
    everyone,   // it is the same whoever asks, with credentials or without
    anonymous,  // the same for all who ask without an Authorization header; the others' answers are not cached
    each_user,  // each user's own: cached by user
    nobody,     // never cached
};

// A header of the request that the view looks at. With choices it sees, and the cache key has, only the best one of them.
struct VaryHeader {
    std::string_view name;  // in lower case
    std::vector<std::string_view> choices = {};
};

enum class ParameterType {
    text,
    integer,  // `007` and `7` mean the same: the view sees, and the cache key has, `7`; what is no whole number stays as it is
};

// A parameter of the query that the view looks at. A name alone is a text.
struct QueryParameter {
    constexpr QueryParameter(const char* its_name, ParameterType its_type = ParameterType::text) : name(its_name), type(its_type) {}

    std::string_view name;
    ParameterType type;

    constexpr operator std::string_view() const { return name; }
};

struct View {
    std::string_view name;
    std::vector<std::string_view> methods;        // HEAD comes with GET, OPTIONS with everything
    std::string_view path;                        // with or without a slash at its end
    std::vector<QueryParameter> parameters = {};  // others reach neither the view nor its cache key
    std::vector<VaryHeader> headers = {};         // the same for headers
    std::vector<std::string_view> cookies = {};   // and for cookies
    std::string_view event;                       // logged once an answer; empty: none
    Audience audience = Audience::anonymous;
    std::chrono::milliseconds cache{0};      // 0: not cached
    std::vector<std::string> throttle = {};  // scopes
    std::optional<Level> log = Level::info;  // the event's level
};

[[nodiscard]] const std::vector<View>& all_views();
[[nodiscard]] std::vector<std::string_view> view_names();
[[nodiscard]] std::vector<KnownView> known_views();  // for load_config

// Null when no view has the path.
[[nodiscard]] const View* find_view(std::string_view path);

// What find_view compares: one slash at the end makes no difference.
[[nodiscard]] std::string_view without_last_slash(std::string_view path);

// What the operator calls all answers of a view, and one of them: both are tags of the entry.
[[nodiscard]] std::string tag_of_view(const View& view);
[[nodiscard]] std::string tag_of_answer(const View& view, std::string_view cache_key);

// `GET, HEAD, OPTIONS`
[[nodiscard]] std::string allowed_methods(const View& view);

// What holds for a view once the operator's section is applied.
struct ViewPolicy {
    std::chrono::milliseconds cache{0};
    bool cache_is_set = false;  // by the operator: then it goes before what the answer says of itself
    std::vector<std::string> throttle;
    std::uint32_t cost = 1;     // how often a request counts
    std::uint32_t at_once = 0;  // answers made at the same time, over all workers; 0: any number
    std::optional<Level> log;
};
[[nodiscard]] ViewPolicy policy_of(const View& view, const Config& config);

}  // namespace recto
