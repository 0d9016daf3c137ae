#include "cache/cache.hpp"

#include <algorithm>

#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/table.hpp"
#include "command/view_address.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

void get(Operator& op, const std::string& key) {
    const auto value = op.site().cache.get(key);
    if (!value) fail("nothing is stored under " + key + ", or memcached is down; see `recto cache stats`");
    print_value(*value);
}

// A number alone is seconds, as in memcached.
std::optional<std::chrono::milliseconds> ttl_called(const std::string& text) {
    if (const auto seconds = parse_integer(text)) {
        constexpr std::int64_t most = std::chrono::seconds(std::chrono::days(36'500)).count();
        return *seconds > 0 && *seconds <= most ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt;
    }
    const auto duration = parse_duration(text);
    return duration ? std::optional(*duration) : std::nullopt;
}

void set(Operator& op, const std::string& key, const std::string& value, const std::string& ttl_name, const std::string& ttl_text) {
    const auto ttl = ttl_called(ttl_text);
    if (!ttl || ttl->count() == 0) fail(ttl_name + ' ' + ttl_text + ": expected a duration such as 600, 50s, 15min or 7d");
    if (!op.site().cache.set(key, value, *ttl)) fail("memcached did not take it; see `recto cache stats`");
}

void remove(Operator& op, const std::string& key) {
    if (!op.site().cache.remove(key)) fail("nothing is stored under " + key + ", or memcached is down; see `recto cache stats`");
}

const View* view_called(std::string_view name) {
    const auto found = std::ranges::find(all_views(), name, &View::name);
    return found == all_views().end() ? nullptr : &*found;
}

// A word that is nothing of these would be a tag that nothing depends on: more likely a slip of the hand.
std::string tag_called(const std::string& what) {
    if (what.empty() || !is_utf8(what)) fail("expected a tag such as post:author=12, a view or an address");
    if (is_address(what)) {
        const auto address = view_address_of(what);
        return tag_of_answer(*address.view, address.key);
    }
    if (const auto* const view = view_called(what)) return tag_of_view(*view);
    if (what.find(':') != std::string::npos || is_table_tag(what)) return what;
    const auto near = nearest(what, view_names());
    fail(what + " is neither a view nor a table; see `recto routes`" + (near.empty() ? "" : ". Did you mean " + std::string(near) + '?'));
}

void invalidate(Operator& op, const std::string& what) {
    const auto tag = tag_called(what);
    op.site().cache.invalidate(tag);
    log_event("cache.invalidate", {{"tag", tag}});
    print_line("whatever was made from " + tag + " is made anew");
}

void flush(Operator& op) {
    op.site().cache.flush();
    log_event("cache.flush");
    print_line("all answers and results are made anew, on all hosts; raw items stay");
}

std::vector<TableRow> counters_of(const Cache& cache) {
    std::vector<TableRow> rows{{"COUNTED", "WHAT", "TIMES"}};
    const auto add = [&](std::string_view subject, Cache::Subject number) {
        for (std::size_t i = 0; i < kCacheEvents; ++i) {
            const auto event = static_cast<CacheEvent>(i);
            if (const auto count = cache.counted(event, number); count > 0)
                rows.push_back({std::string(subject), std::string(to_text(event)), std::to_string(count)});
        }
    };
    Cache::Subject number = 0;
    for (const auto name : view_names()) add(name, number++);
    add("functions", Cache::kFunctions);
    return rows;
}

std::string value_of(const Cache::ServerStats& server, std::string_view name) {
    const auto found = std::ranges::find(server.values, name, &std::pair<std::string, std::string>::first);
    return found == server.values.end() ? "-" : found->second;
}

// In the largest unit in which it has a figure before the point.
std::string in_units(const std::string& bytes) {
    const auto number = parse_integer(bytes);
    if (!number || *number < 0) return bytes;
    auto rest = static_cast<double>(*number);
    const char* unit = "B";
    for (const auto* larger : {"kB", "MB", "GB", "TB"}) {
        if (rest < 1024) break;
        rest /= 1024;
        unit = larger;
    }
    char text[32];
    std::snprintf(text, sizeof text, rest < 10 && *unit != 'B' ? "%.1f %s" : "%.0f %s", rest, unit);
    return text;
}

// Of those who asked for something and got it.
std::string hit_rate(const Cache::ServerStats& server) {
    const auto hits = parse_integer(value_of(server, "get_hits")), misses = parse_integer(value_of(server, "get_misses"));
    if (!hits || !misses || *hits < 0 || *misses < 0 || (*hits == 0 && *misses == 0)) return "-";
    const auto share = 100.0 * static_cast<double>(*hits) / (static_cast<double>(*hits) + static_cast<double>(*misses));
    return std::to_string(static_cast<int>(share)) + '%';
}

std::string summary_of(const Cache::ServerStats& server) {
    if (!server.reachable) return "no";
    return "yes (memcached " + value_of(server, "version") + ", " + value_of(server, "curr_items") + " items, " +
           in_units(value_of(server, "bytes")) + " of " + in_units(value_of(server, "limit_maxbytes")) + ", " + hit_rate(server) +
           " of gets found, " + value_of(server, "evictions") + " evicted)";
}

void stats(Operator& op, bool all) {
    print_table(counters_of(op.site().cache));
    print_line("");
    const auto clock = op.site().store.clock().read();
    std::vector<TableRow> rows{
        {"WHERE", "WHAT", "VALUE"}, {"clock", "epoch", std::to_string(clock.epoch())}, {"clock", "synced", std::to_string(clock.synced())}};
    for (const auto& server : op.site().cache.server_stats()) {
        rows.push_back({server.server, "reachable", summary_of(server)});
        if (!all) continue;
        for (const auto& [name, value] : server.values) rows.push_back({server.server, name, value});
    }
    print_table(rows);
}

}  // namespace

void add_cache(CLI::App& program, Operator& op) {
    auto* const cache = program.add_subcommand("cache", "The cache: raw items in memcached, and what is cached of the site");
    cache->require_subcommand(1);

    auto* const get_command = cache->add_subcommand("get", "Prints a raw item");
    auto* const get_key = get_command->add_option("KEY", "Its key")->required();
    get_command->final_callback([&op, get_key] { get(op, get_key->as<std::string>()); });

    auto* const set_command = cache->add_subcommand("set", "Stores a raw item");
    auto* const set_key = set_command->add_option("KEY", "Its key")->required();
    auto* const value = set_command->add_option("VALUE", "Its value")->required();
    auto* const ttl = set_command->add_option("TTL", "How long it lives: 600 (seconds), 15min; 10min if it isn't given");
    auto* const named_ttl = set_command->add_option("--ttl", "The same")->excludes(ttl);
    set_command->final_callback([&op, set_key, value, ttl, named_ttl] {
        const auto* const given = named_ttl->count() > 0 ? named_ttl : ttl;
        set(op, set_key->as<std::string>(), value->as<std::string>(), given->get_name(),
            given->count() > 0 ? given->as<std::string>() : "10min");
    });

    auto* const delete_command = cache->add_subcommand("delete", "Removes a raw item");
    auto* const delete_key = delete_command->add_option("KEY", "Its key")->required();
    delete_command->final_callback([&op, delete_key] { remove(op, delete_key->as<std::string>()); });

    auto* const invalidate_command =
        cache->add_subcommand("invalidate", "Makes the answers of a view or an address anew, or all that was read under a tag");
    auto* const what = invalidate_command->add_option("WHAT", "blogs.by_author, '/api/blogs?author_id=1', post, post:author=12 or fn:NAME");
    what->required();
    invalidate_command->final_callback([&op, what] { invalidate(op, what->as<std::string>()); });

    add_cache_explain(*cache, op);
    cache->add_subcommand("flush", "Makes everything anew")->final_callback([&op] { flush(op); });
    auto* const stats_command = cache->add_subcommand(
        "stats", "Prints what was counted since the machine started, the change clock, and a line for each memcached");
    auto* const all = stats_command->add_flag("--all")->description("All of memcached's own counters too");
    stats_command->final_callback([&op, all] { stats(op, all->count() > 0); });
}

}  // namespace recto
