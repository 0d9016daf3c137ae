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

void set(Operator& op, const std::string& key, const std::string& value, const std::string& ttl_text) {
    const auto ttl = parse_duration(ttl_text);
    if (!ttl || ttl->count() == 0) fail("--ttl " + ttl_text + ": expected a duration such as 50s, 15min or 7d");
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

void stats(Operator& op) {
    print_table(counters_of(op.site().cache));
    print_line("");
    const auto clock = op.site().store.clock().read();
    std::vector<TableRow> rows{
        {"WHERE", "WHAT", "VALUE"}, {"clock", "epoch", std::to_string(clock.epoch())}, {"clock", "synced", std::to_string(clock.synced())}};
    for (const auto& server : op.site().cache.server_stats()) {
        rows.push_back({server.server, "reachable", server.reachable ? "yes" : "no"});
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
    auto* const ttl = set_command->add_option("--ttl", "How long it lives")->default_str("10min")->force_callback();
    set_command->final_callback(
        [&op, set_key, value, ttl] { set(op, set_key->as<std::string>(), value->as<std::string>(), ttl->as<std::string>()); });

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
    cache->add_subcommand("stats", "Prints what was counted since the machine started, the change clock, and memcached's own counters")
        ->final_callback([&op] { stats(op); });
}

}  // namespace recto
