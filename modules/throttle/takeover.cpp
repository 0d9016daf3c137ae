// What becomes of the counts when a table is made: those of the table it replaces, or of the time before the last reboot.
#include <algorithm>
#include <new>

#include "throttle/snapshot.hpp"
#include "throttle/table.hpp"
#include "throttle/table_parts.hpp"

namespace recto {

std::vector<std::string> Throttle::Table::fill(std::span<std::byte> memory, const ThrottleOptions& options, const TickSource& ticks,
                                               const Heartbeat& heartbeat, Table* previous, const ThrottleSnapshot* snapshot) {
    auto& header = *new (memory.data()) Header{
        .description = describe(options), .secret = {}, .id = random_number(), .follows = 0, .retired = {}, .recount_at = 0};
    Table table(memory, options, options, ticks, heartbeat);
    for (std::size_t i = 0; i < table.layout_.stripes(); ++i) new (&table.stripe(i)) Stripe;
    random_bytes(header.secret);

    std::vector<std::string> kept;
    const auto keep = [&](std::string_view scope) {
        if (table.position(scope)) kept.emplace_back(scope);
    };
    if (previous != nullptr) {
        header.secret = previous->header().secret;
        header.follows = previous->id();
        table.begin_after(*previous);
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
        const auto& before = window(*scope, false);
        if (before.capacity() <= policy.rate.limit) continue;
        std::uint32_t most = 0;
        const auto look = [&, now = ticks_.now()](const Way& record) { most = std::max(most, record.times().live(now)); };
        for (const bool user : {false, true}) visit(*scope, user, look, Stalled::is_read_anyway);
        visit_networks(*scope, look, Stalled::is_read_anyway);
        if (most > 0 && most >= policy.rate.limit)
            policy.capacity =
                std::min({before.capacity(), Window::most(policy.representation_of(false)), Window::most(policy.representation_of(true))});
    }
}

// What is no longer counted in the old table has to be in this one before anybody can find it: where somebody was killed before his table
// had a name. The floors of sets that are others than before go into all sets, for which everybody has to stand still.
void Throttle::Table::begin_after(Table& previous) {
    if (in_file_.strict && previous.in_file_.strict && !has_sets_of(previous)) {
        previous.stop();
        for_each_common_scope(previous, [&](Position from, Position to, bool user) { raise_all_floors(previous, from, to, user); });
    }
    for (std::size_t i = 0; i < previous.layout_.stripes(); ++i)
        if (previous.stripe(i).retired.load(std::memory_order_acquire) != Stripe::kOpen) take_over_stripe(previous, i);
}

void Throttle::Table::stop() {
    header().retired.store(Header::kStopped, std::memory_order_release);
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        const Guard guard(stripe(i), heartbeat_);
        stripe(i).retired.store(Stripe::kClosed, std::memory_order_seq_cst);
    }
}

void Throttle::Table::take_over(Table& previous) {
    previous.header().retired.store(Header::kMoving, std::memory_order_release);
    for (std::size_t i = 0; i < previous.layout_.stripes(); ++i)
        if (previous.stripe(i).retired.load(std::memory_order_acquire) != Stripe::kMoved) take_over_stripe(previous, i);
}

void Throttle::Table::end() { header().retired.store(Header::kReplaced, std::memory_order_release); }

// May be done again, if the last one who did it was killed before the end: until then nobody counts these clients in this table. Where a
// stopped process holds the lock the memory stands still, and is whole as after a death: it is moved all the same, and that process, if
// it goes on, finds that nobody counts there any more.
void Throttle::Table::take_over_stripe(Table& previous, std::size_t index) {
    auto& stripe = previous.stripe(index);
    bring_in_for(previous, index);
    const Guard guard(stripe, heartbeat_);
    if (!guard) stripe.retired.store(Stripe::kClosed, std::memory_order_seq_cst);
    const auto now = ticks_.now();
    if (index < previous.layout_.network_stripe()) take_over_networks(previous, now);
    for_each_common_scope(previous, [&](Position from, Position to, bool user) {
        const auto part = previous.part_of(index, user);
        if (!part || !is_touched(from, stripe)) return;
        if (has_sets_of(previous)) raise_floors(previous, from, to, user, *part);
        previous.visit_part(from, user, *part, [&](const Way& record) {
            const auto place = recto::place_of(record.tag.load(std::memory_order_relaxed), user, population(user));
            put(to, place, record.networks_of(), record.times().times(), now);
        });
    });
    take_over_refusals(previous, stripe);
    stripe.retired.store(Stripe::kMoved, std::memory_order_seq_cst);
}

// With each stripe of clients, all that they have used with their networks until now. Those not moved yet go on in the old one.
void Throttle::Table::take_over_networks(const Table& previous, std::uint64_t now) {
    if (!previous.layout_.groups() || !layout_.groups()) return;
    for_each_common_scope(previous, [&](Position from, Position to, bool user) {
        if (!user && previous.crowd(from).networks.load(std::memory_order_relaxed) > 0) raise_networks(previous, from, to, now);
    });
}

void Throttle::Table::raise_networks(const Table& previous, Position from, Position to, std::uint64_t now) {
    const Guard theirs(previous.stripe(previous.layout_.network_stripe()), heartbeat_);
    const Guard ours(stripe(layout_.network_stripe()), heartbeat_);
    ours.require();
    previous.visit_networks_unlocked(from, [&](const Way& record) {
        if (previous.has_expired(record, now)) return;
        const auto place = layout_.place_of_network(record.tag.load(std::memory_order_relaxed));
        raise_network(to, place, record.times().times(), now);
    });
}

// Without the lock: who is counted there meanwhile has its page fault under it.
void Throttle::Table::bring_in_for(const Table& previous, std::size_t index) const {
    for_each_common_scope(previous, [&](Position from, Position to, bool user) {
        const auto part = previous.part_of(index, user);
        if (!part || !is_touched(from, previous.stripe(index))) return;
        previous.bring_in_records(from, user, *part);
        previous.visit_part(from, user, *part, [&](const Way& record) {
            bring_in(to, recto::place_of(record.tag.load(std::memory_order_relaxed), user, population(user)));
        });
    });
}

std::optional<std::size_t> Throttle::Table::part_of(std::size_t stripe_index, bool user) const {
    const auto& whose = population(user);
    if (stripe_index < whose.first_stripe || stripe_index >= whose.first_stripe + whose.stripes) return {};
    return stripe_index - whose.first_stripe;
}

void Throttle::Table::for_each_common_scope(const Table& previous, const auto& visit_scope) const {
    for (Position from = 0; from < previous.in_file_.policies.size(); ++from) {
        const auto to = position(previous.in_file_.policies[from].scope);
        for (const bool user : {false, true})
            if (to && counts(*to, user) && previous.counts(from, user)) visit_scope(from, *to, user);
    }
}

bool Throttle::Table::has_sets_of(const Table& previous) const {
    return in_file_.clients == previous.in_file_.clients && in_file_.users == previous.in_file_.users;
}

// Each into its own.
void Throttle::Table::raise_floors(const Table& previous, Position from, Position to, bool user, std::size_t part) {
    if (!in_file_.strict || !previous.in_file_.strict) return;
    const auto sets = population(user).sets_per_stripe;
    auto& home = stripe(population(user).first_stripe + part);
    const Guard guard(home, heartbeat_);
    guard.require();
    touch(to, home);
    for (auto set_index = part * sets; set_index < (part + 1) * sets; ++set_index)
        if (const auto times = previous.floor(from, user, set_index).times(); !times.empty()) floor(to, user, set_index).raise(times);
}

// To the highest that any client could have got. Of a table that stands still, in one that nobody else has yet.
void Throttle::Table::raise_all_floors(const Table& previous, Position from, Position to, bool user) {
    std::vector<std::uint64_t> highest;
    for (std::size_t set_index = 0; set_index < previous.population(user).sets(); ++set_index)
        highest = newest_of_both(std::move(highest), previous.floor(from, user, set_index).times());
    if (highest.empty()) return;
    const auto& whose = population(user);
    for (std::size_t part = 0; part < whose.stripes; ++part) touch(to, stripe(whose.first_stripe + part));
    for (std::size_t set_index = 0; set_index < whose.sets(); ++set_index) floor(to, user, set_index).raise(highest);
}

void Throttle::Table::take_over_refusals(const Table& previous, Stripe& from) {
    for (auto note : RefusalNotes(from.refusals).all()) {
        if (note.scope != NotedRefusals::kSeveral) {
            if (note.scope >= previous.in_file_.policies.size()) continue;
            const auto to = position(previous.in_file_.policies[note.scope].scope);
            if (!to) continue;
            note.scope = static_cast<std::uint32_t>(*to);
        }
        auto& home = stripe(place_of(note.client).stripe);
        const Guard guard(home, heartbeat_);
        guard.require();
        RefusalNotes(home.refusals).add(note);
    }
}

void Throttle::Table::take_over(const ThrottleSnapshot& snapshot) {
    const auto now = ticks_.now();
    for (const auto& record : snapshot.records) {
        const auto to = position(snapshot.scopes[record.scope]);
        if (!to || !counts(*to, record.is_user) || (record.is_network && !layout_.groups())) continue;
        std::vector<std::uint64_t> times;
        for (const auto age : record.ages) {
            const auto ago = snapshot.downtime + age * ThrottleSnapshot::kTicksPerAge;
            if (ago < now) times.push_back(now - ago);
        }
        const auto place = record.is_network ? layout_.place_of_network(record.tag)
                                             : recto::place_of(record.tag, record.is_user, population(record.is_user));
        put(*to, place, record.networks, times, now);
    }
}

// Whoever has no place of his own counts with his network from now on, the larger one if that has more of what it may.
bool Throttle::Table::put_with_network(Position scope, const Networks& networks, const std::vector<std::uint64_t>& times,
                                       std::uint64_t now) {
    if (!layout_.groups() || networks[0] == 0) return false;
    const std::size_t level = weight_of(scope, 1, networks[1]) > weight_of(scope, 0, networks[0]) ? 1 : 0;
    const auto place = place_of_network(level, networks);
    const Guard guard(stripe(place.stripe), heartbeat_);
    guard.require();
    if (!has_free_record(scope, place, now)) return false;
    raise_network(scope, place, times, now);
    return true;
}

// What no longer counts needs no place. A table that became smaller may have none for somebody: whoever loses least gives way. A record
// that is there already was put there by somebody who was killed then.
void Throttle::Table::put(Position scope, const Place& place, const Networks& networks, const std::vector<std::uint64_t>& times,
                          std::uint64_t now) {
    const auto& rate = window(scope, place.user);
    if (times.empty() || rate.capacity() == 0 || times.back() + rate.period() + rate.lateness() <= now) return;
    bring_in(scope, place);
    const Guard guard(stripe(place.stripe), heartbeat_);
    guard.require();
    touch(scope, stripe(place.stripe));
    const auto own = find(scope, place);
    const auto spot = own ? *own : make_room(scope, place, now);
    if (!own && spot.opens_at > now && put_with_network(scope, networks, times, now)) return;
    if (!own) evict(scope, spot, place);
    const auto record = way(scope, place.user, spot.set, spot.index);
    record.times().assign(times);
    if (!own) occupy(scope, record, place, networks);
}

ThrottleSnapshot Throttle::Table::snapshot() const {
    ThrottleSnapshot snapshot;
    snapshot.secret = header().secret;
    const auto now = ticks_.now();
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope) {
        snapshot.scopes.push_back(in_file_.policies[scope].scope);
        const auto save = [&](const Way& record, bool is_user, bool is_network) {
            ThrottleSnapshot::Record saved{.scope = static_cast<std::uint32_t>(scope),
                                           .is_user = is_user,
                                           .tag = record.tag.load(std::memory_order_relaxed),
                                           .ages = {},
                                           .is_network = is_network,
                                           .networks = record.networks_of()};
            for (const auto time : record.times().times())
                if (record.window.expiry_of(time) > now)
                    saved.ages.push_back(static_cast<std::uint32_t>(time < now ? (now - time) / ThrottleSnapshot::kTicksPerAge : 0));
            if (!saved.ages.empty()) snapshot.records.push_back(std::move(saved));
        };
        for (const bool user : {false, true}) visit(scope, user, [&](const Way& record) { save(record, user, false); });
        visit_networks(scope, [&](const Way& record) { save(record, false, true); });
    }
    return snapshot;
}

}  // namespace recto
