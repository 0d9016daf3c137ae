#include <algorithm>

#include "cache/cache.hpp"
#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/table.hpp"
#include "command/view_address.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

void say(std::string what, const std::string& text) {
    constexpr std::size_t kWidth = 11;
    what.resize(std::max(what.size() + 1, kWidth), ' ');
    print_line(what + text);
}

std::string in_seconds(TimePoint::duration time) { return to_text(milliseconds(std::chrono::floor<std::chrono::seconds>(time))); }

std::string_view whose(Audience audience) {
    switch (audience) {
        case Audience::everyone:
            return "the same for everyone";
        case Audience::anonymous:
            return "the same for all who don't log in; the others' answers are not cached";
        case Audience::each_user:
            return "each user's own";
        case Audience::nobody:
            return "never cached";
    }
    return {};
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string parameters_of(const ViewAddress& address) {
    const ViewRequest request(*address.view, address.query);
    std::vector<std::string> given;
    for (const std::string_view name : address.view->parameters)
        if (const auto value = request.parameter(name)) given.push_back(std::string(name) + '=' + std::string(*value));
    return or_none(join(given, ", "));
}

std::optional<std::uint64_t> last_change_of(Snapshot& database, const std::string& tag) {
    auto rows = database.query("SELECT seq FROM change WHERE tag = ?", {tag});
    if (!rows.next()) return {};
    return static_cast<std::uint64_t>(rows.integer(0));
}

// A slot of the clock is shared by some tags, so the clock may say `changed` where no tag of ours was: a miss too many, told as it is.
void explain_tags(Operator& op, const CacheEntry& entry) {
    auto database = op.site().store.read();
    std::vector<TableRow> rows{{"TAG", "LAST CHANGE", ""}};
    for (const auto& tag : entry.tags) {
        const auto seq = last_change_of(database, tag);
        rows.push_back({tag, seq ? std::to_string(*seq) : "-", seq && *seq > entry.seq ? "after the answer was made" : ""});
    }
    print_table(rows);
}

std::string verdict_on(const CacheEntry& entry, const CacheLookup& lookup, TimePoint now) {
    switch (lookup.state) {
        case CacheLookup::State::fresh:
        case CacheLookup::State::aging:
            return "is right, for " + in_seconds(entry.expires - now) + " more";
        case CacheLookup::State::expired:
        case CacheLookup::State::kept_for_errors:
            return "its time ran out " + in_seconds(now - entry.expires) + " ago";
        case CacheLookup::State::unverified:
            return "can't be verified: the database can't be read";
        case CacheLookup::State::changed:
        case CacheLookup::State::absent:
            break;
    }
    const bool is_over = entry.hard_end && *entry.hard_end <= now;
    return is_over ? "something scheduled has become due" : "is not used: what it was made from has changed";
}

void explain_entry(Operator& op, const std::string& key) {
    auto& cache = op.site().cache;
    const auto now = time_now();
    const auto entry = cache.stored_in_memcached(key);
    const auto clock = op.site().store.clock().read();
    say("clock", "at change " + std::to_string(clock.synced()) + " of epoch " + std::to_string(clock.epoch()));
    if (!entry) return say("memcached", "has none, or can't be reached; see `recto cache stats`");
    say("memcached", verdict_on(*entry, cache.look_in_memcached(key, now), now));
    say("made", in_seconds(now - entry->created) + " ago, as of change " + std::to_string(entry->seq) + ", " +
                    std::to_string(entry->bytes.size()) + " bytes");
    explain_tags(op, *entry);
}

void explain_view(Operator& op, const std::string& text) {
    const auto address = view_address_of(text);
    const auto policy = policy_of(*address.view, op.config());
    say("view", std::string(address.view->name) + ", " + std::string(whose(address.view->audience)));
    const std::string origin = policy.cache_is_set ? ", as [view " + std::string(address.view->name) + "] says" : ", by default";
    say("kept", policy.cache == 0ms ? "not at all" + origin : to_text(policy.cache) + origin);
    say("counts", parameters_of(address));
    say("ignored", or_none(join(address.ignored_parameters(), ", ")));
    if (policy.cache == 0ms) return;
    explain_entry(op, address.key);
    print_line("");
    print_line("A worker's own memory can't be seen from here; what it holds is judged by the same clock.");
}

void explain_model(Operator& op, const std::string& model) {
    const auto rules = model_rules(op.config());
    const auto* const found = rules.find(model);
    say("model", model);
    if (found == nullptr) return say("rule", "none: nothing is cached");
    std::vector<std::string> ops;
    for (const auto one : found->second.ops) ops.emplace_back(to_text(one));
    say("rule", "[model " + found->first + ']');
    say("ops", or_none(join(ops, ", ")));
    if (ops.empty()) return;
    say("timeout", to_text(found->second.timeout));
    say("lock", found->second.lock ? "on" : "off");
}

void explain(Operator& op, const std::string& what) {
    if (is_address(what)) return explain_view(op, what);
    const auto models = model_names();
    if (std::ranges::find(models, what) != models.end()) return explain_model(op, what);
    const std::vector<std::string> known(models.begin(), models.end());
    fail("expected an address such as /api/blogs?author_id=1, or a model: " + join(known, ", "));
}

}  // namespace

void add_cache_explain(CLI::App& cache, Operator& op) {
    auto* const command =
        cache.add_subcommand("explain", "Tells what is cached for an address and why it is right or not; or a model's rule");
    auto* const what = command->add_option("ADDRESS", "Such as '/api/blogs?author_id=1', a whole URL, or auth.user")->required();
    command->final_callback([&op, what] { explain(op, what->as<std::string>()); });
}

}  // namespace recto
