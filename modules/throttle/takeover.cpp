// What becomes of the counts when a table is made: those of the table it replaces, or of the time before the last reboot.
#include <algorithm>
#include <new>

#include "throttle/snapshot.hpp"
#include "throttle/table.hpp"
#include "throttle/table_parts.hpp"

namespace recto {

std::vector<std::string> Throttle::Table::fill(std::span<std::byte> memory, const ThrottleOptions& options, const TickSource& ticks,
                                               Table* previous, const Snapshot* snapshot) {
    auto& header = *new (memory.data()) Header{.description = describe(options), .secret = {}, .retired = {}};
    Table table(memory, options, options, ticks);
    for (std::size_t i = 0; i < table.layout_.stripes(); ++i) new (&table.stripe(i)) Stripe;
    random_bytes(header.secret);

    std::vector<std::string> kept;
    const auto keep = [&](std::string_view scope) {
        if (table.position(scope)) kept.emplace_back(scope);
    };
    if (previous != nullptr) {
        header.secret = previous->header().secret;
        table.take_over(*previous);
        for (const auto& policy : previous->in_file_.policies) keep(policy.scope);
    } else if (snapshot != nullptr) {
        header.secret = snapshot->secret;
        table.take_over(*snapshot);
        for (const auto& scope : snapshot->scopes) keep(scope);
    }
    return kept;
}

// Where nobody has reached the new limit there is nothing above it.
void Throttle::Table::keep_capacity(std::vector<ThrottlePolicy>& policies) const {
    for (auto& policy : policies) {
        const auto scope = position(policy.scope);
        if (!scope) continue;
        const auto& before = window(*scope);
        if (before.capacity() <= policy.rate.limit) continue;
        std::uint32_t most = 0;
        const auto look = [&, now = ticks_.now()](const Way& record) { most = std::max(most, record.times(before).live(now)); };
        for (const bool user : {false, true}) visit(*scope, user, look, Stalled::is_read_anyway);
        if (most > 0 && most >= policy.rate.limit) policy.capacity = std::min(before.capacity(), Window::most(policy.representation));
    }
}

// Nobody counts in a stripe once it is retired; who was inside is waited for. Where a stopped process holds the lock the memory stands
// still, and is whole as after a death: it is taken over all the same, and that process counts again in the new table when it goes on.
void Throttle::Table::retire() {
    header().retired.store(1, std::memory_order_release);
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        const Guard guard(stripe(i));
        stripe(i).retired.store(1, std::memory_order_seq_cst);
    }
}

void Throttle::Table::take_over(Table& previous) {
    previous.retire();
    const auto now = ticks_.now();
    for (Position from = 0; from < previous.in_file_.policies.size(); ++from) {
        const auto to = position(previous.in_file_.policies[from].scope);
        if (!to) continue;
        for (const bool user : {false, true}) {
            if (!counts(*to, user) || !previous.counts(from, user)) continue;
            take_over_floors(previous, from, *to, user);
            const auto take = [&](const Way& record) {
                put(*to, user, record.tag.load(std::memory_order_relaxed), record.times(previous.window(from)).times(), now);
            };
            previous.visit(from, user, take, Stalled::is_read_anyway);
        }
    }
    take_over_refusals(previous);
}

// Into each set its own, where sets are the same ones; else into all of them the highest that any client could have got.
void Throttle::Table::take_over_floors(const Table& previous, Position from, Position to, bool user) {
    if (!in_file_.strict || !previous.in_file_.strict) return;
    const auto sets = previous.population(user).sets();
    const bool is_same = in_file_.clients == previous.in_file_.clients && in_file_.users == previous.in_file_.users;
    std::vector<std::uint64_t> highest;
    for (std::size_t set_index = 0; set_index < sets; ++set_index) {
        const auto times = previous.floor(from, user, set_index).times();
        if (times.empty()) continue;
        if (is_same) floor(to, user, set_index).raise(times);
        highest = newest_of_both(std::move(highest), times);
    }
    if (is_same || highest.empty()) return;
    for (std::size_t set_index = 0; set_index < population(user).sets(); ++set_index) floor(to, user, set_index).raise(highest);
}

void Throttle::Table::take_over_refusals(const Table& previous) {
    for (std::size_t i = 0; i < previous.layout_.stripes(); ++i) {
        const Guard guard(previous.stripe(i));
        for (auto note : RefusalNotes(previous.stripe(i).refusals).all()) {
            if (note.scope != NotedRefusals::kSeveral) {
                if (note.scope >= previous.in_file_.policies.size()) continue;
                const auto to = position(previous.in_file_.policies[note.scope].scope);
                if (!to) continue;
                note.scope = static_cast<std::uint32_t>(*to);
            }
            RefusalNotes(stripe(place_of(note.client).stripe).refusals).add(note);
        }
    }
}

void Throttle::Table::take_over(const Snapshot& snapshot) {
    const auto now = ticks_.now();
    for (const auto& record : snapshot.records) {
        const auto to = position(snapshot.scopes[record.scope]);
        if (!to || !counts(*to, record.is_user)) continue;
        std::vector<std::uint64_t> times;
        for (const auto age : record.ages) {
            const auto ago = snapshot.downtime + age * Snapshot::kTicksPerAge;
            if (ago < now) times.push_back(now - ago);
        }
        put(*to, record.is_user, record.tag, times, now);
    }
}

// What no longer counts needs no place. A table that became smaller may have none for somebody: whoever loses least gives way.
void Throttle::Table::put(Position scope, bool user, std::uint64_t tag, const std::vector<std::uint64_t>& times, std::uint64_t now) {
    const auto& rate = window(scope);
    if (times.empty() || rate.capacity() == 0 || times.back() + rate.period() + rate.lateness() <= now) return;
    const auto place = recto::place_of(tag, user, population(user));
    const auto spot = make_room(scope, place, now);
    evict(scope, spot, place);
    const auto record = way(scope, user, spot.set, spot.index);
    record.times(rate).assign(times);
    record.tag.store(tag, std::memory_order_release);
}

Snapshot Throttle::Table::snapshot() const {
    Snapshot snapshot;
    snapshot.secret = header().secret;
    const auto now = ticks_.now();
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope) {
        snapshot.scopes.push_back(in_file_.policies[scope].scope);
        for (const bool user : {false, true})
            visit(scope, user, [&](const Way& record) {
                Snapshot::Record saved{.scope = static_cast<std::uint32_t>(scope),
                                       .is_user = user,
                                       .tag = record.tag.load(std::memory_order_relaxed),
                                       .ages = {}};
                for (const auto time : record.times(window(scope)).times())
                    if (time + window(scope).period() + window(scope).lateness() > now)
                        saved.ages.push_back(static_cast<std::uint32_t>(time < now ? (now - time) / Snapshot::kTicksPerAge : 0));
                if (!saved.ages.empty()) snapshot.records.push_back(std::move(saved));
            });
    }
    return snapshot;
}

}  // namespace recto
