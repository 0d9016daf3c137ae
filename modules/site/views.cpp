#include "site/views.hpp"

#include <algorithm>

#include "util/crypto.hpp"

namespace recto {

using namespace std::chrono_literals;

const std::vector<View>& all_views() {
    static const std::vector<View> views{
        {.name = "blogs.by_author",
         .methods = {"GET"},
         .path = "/api/blogs",
         .parameters = {{"author_id", ParameterType::integer}},
         .event = "get_blogs_by_author",
         .audience = Audience::everyone,
         .cache = 10min,
         .throttle = {"anon", "user"}},
        {.name = "blog", .methods = {"GET"}, .path = "/api/blog", .event = "get_blog", .throttle = {"blog_limit"}},
        {.name = "blog.detail", .methods = {"GET"}, .path = "/api/blog/detail", .event = "get_blog_detail", .throttle = {"blog_limit"}},
        {.name = "blog2", .methods = {"GET"}, .path = "/api/blog2", .event = "get_blog2", .throttle = {"blog_2_limit"}},
        {.name = "status.healthz", .methods = {"GET"}, .path = "/healthz", .event = "", .audience = Audience::nobody, .log = {}},
    };
    return views;
}

std::vector<std::string_view> view_names() {
    std::vector<std::string_view> names;
    std::ranges::transform(all_views(), std::back_inserter(names), &View::name);
    return names;
}

std::vector<KnownView> known_views() {
    std::vector<KnownView> known;
    for (const auto& view : all_views()) known.push_back({.name = view.name, .throttle = view.throttle});
    return known;
}

std::string_view without_last_slash(std::string_view path) {
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    return path;
}

const View* find_view(std::string_view path) {
    const auto found = std::ranges::find(all_views(), without_last_slash(path), &View::path);
    return found == all_views().end() ? nullptr : &*found;
}

std::string tag_of_view(const View& view) { return "view:" + std::string(view.name); }

// A hash, because keys may be long, and what is invalidated stays in the table of changes.
std::string tag_of_answer(const View& view, std::string_view cache_key) { return tag_of_view(view) + ':' + hex(hash128(cache_key)); }

std::string allowed_methods(const View& view) {
    std::string allowed;
    for (const auto method : view.methods) {
        allowed += method;
        allowed += method == "GET" ? ", HEAD, " : ", ";
    }
    return allowed + "OPTIONS";
}

ViewPolicy policy_of(const View& view, const Config& config) {
    ViewPolicy policy{.cache = view.cache, .throttle = view.throttle, .log = view.log};
    const auto found = config.views.find(std::string(view.name));
    if (found == config.views.end()) return policy;

    const auto& section = found->second;
    if (section.cache && view.audience != Audience::nobody) {
        policy.cache = *section.cache;
        policy.cache_is_set = true;
    }
    if (section.throttle) policy.throttle = *section.throttle;
    if (section.cost) policy.cost = static_cast<std::uint32_t>(*section.cost);
    if (section.at_once) policy.at_once = static_cast<std::uint32_t>(*section.at_once);
    if (section.log) policy.log = parse_level(*section.log);  // `off` is no level
    return policy;
}

}  // namespace recto
