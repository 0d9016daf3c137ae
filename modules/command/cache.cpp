#include "cache/cache.hpp"

#include <cstdio>

#include "command/commands.hpp"
#include "command/table.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

void get(Operator& op, const std::string& key) {
    const auto value = op.site().cache.get(key);
    if (!value) fail("nothing is stored under " + key + ", or memcached is down; see `recto cache stats`");
    std::fwrite(value->data(), 1, value->size(), stdout);
    std::putchar('\n');
}

void set(Operator& op, const std::string& key, const std::string& value, const std::string& ttl_text) {
    const auto ttl = parse_duration(ttl_text);
    if (!ttl || ttl->count() == 0) fail("--ttl " + ttl_text + ": expected a duration such as 50s, 15min or 7d");
    if (!op.site().cache.set(key, value, *ttl)) fail("memcached did not take it; see `recto cache stats`");
}

void remove(Operator& op, const std::string& key) {
    if (!op.site().cache.remove(key)) fail("nothing is stored under " + key + ", or memcached is down; see `recto cache stats`");
}

void invalidate(Operator& op, const std::string& tag) {
    if (tag.empty() || !is_utf8(tag)) fail("a tag is text such as post:author=12 or fn:blogs_by_author");
    op.site().cache.invalidate(tag);
    log_event("cache.invalidate", {{"tag", tag}});
}

void stats(Operator& op) {
    const auto clock = op.site().store.clock().read();
    std::vector<TableRow> rows{{"WHERE", "WHAT", "VALUE"},
                               {"clock", "epoch", std::to_string(clock.epoch())},
                               {"clock", "synced", std::to_string(clock.synced())}};
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
    set_command->final_callback([&op, set_key, value, ttl] {
        set(op, set_key->as<std::string>(), value->as<std::string>(), ttl->as<std::string>());
    });

    auto* const delete_command = cache->add_subcommand("delete", "Removes a raw item");
    auto* const delete_key = delete_command->add_option("KEY", "Its key")->required();
    delete_command->final_callback([&op, delete_key] { remove(op, delete_key->as<std::string>()); });

    auto* const invalidate_command = cache->add_subcommand("invalidate", "Makes all that was read under this very tag be computed anew");
    auto* const tag = invalidate_command->add_option("TAG", "Such as post:author=12, user or fn:blogs_by_author")->required();
    invalidate_command->final_callback([&op, tag] { invalidate(op, tag->as<std::string>()); });

    cache->add_subcommand("stats", "Prints the change clock and memcached's own counters")->final_callback([&op] { stats(op); });
}

}  // namespace recto
