#include "throttle/table.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <tuple>
#include <utility>

#include <sys/mman.h>

#include "throttle/client_key.hpp"
#include "throttle/newcomer.hpp"
#include "throttle/snapshot.hpp"
#include "throttle/table_parts.hpp"

namespace recto {
namespace {

template <class Visit>
void for_each_bit(std::uint64_t bits, const Visit& visit) {
    for (; bits != 0; bits &= bits - 1) visit(static_cast<std::size_t>(std::countr_zero(bits)));
}

constexpr std::uint64_t bit(std::size_t index) { return std::uint64_t{1} << index; }

enum class Access { reading, writing };

// All pages of it, as if each was read or written; a kernel before 5.14 can't, then they come when they are used.
void populate(std::span<std::byte> memory, Access access) {
    constexpr std::uintptr_t kPage = 4096;
    const auto begin = reinterpret_cast<std::uintptr_t>(memory.data()) / kPage * kPage;
    const auto end = reinterpret_cast<std::uintptr_t>(memory.data() + memory.size());
    static_cast<void>(
        ::madvise(reinterpret_cast<void*>(begin), end - begin, access == Access::writing ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
}

bool is_retired(const Stripe& stripe) { return stripe.retired.load(std::memory_order_relaxed) != Stripe::kOpen; }

}  // namespace

Throttle::Table::Table(std::span<std::byte> memory, const ThrottleOptions& in_file, const ThrottleOptions& own, const TickSource& ticks,
                       const Heartbeat& heartbeat)
    : memory_(memory), in_file_(in_file), layout_(in_file), ticks_(ticks), heartbeat_(heartbeat), charge_(own.charge) {
    std::size_t sets = 0;
    for (const auto& one : layout_.scopes) {
        const auto of_addresses = layout_.addresses.sets() + layout_.network_sets;
        first_sets_.push_back({sets, sets + of_addresses});
        sets += of_addresses + (one.users ? layout_.users.sets() : 0);
    }
    brought_in_ = std::vector<std::atomic<std::uint64_t>>(sets / 64 + 1);
    assert(memory.size() == layout_.size);
    for (Scope scope = 0; scope < own.policies.size(); ++scope) {
        positions_.push_back(position(own.policies[scope].scope));
        if (!positions_.back()) continue;
        own_scopes_[*positions_.back()] = scope;
        if (own.policies[scope].dry_run) dry_runs_ |= bit(*positions_.back());
    }
}

std::optional<Throttle::Table::Position> Throttle::Table::position(std::string_view scope) const {
    const auto found = std::ranges::find(in_file_.policies, scope, &ThrottlePolicy::scope);
    if (found == in_file_.policies.end()) return {};
    return static_cast<Position>(found - in_file_.policies.begin());
}

std::optional<Throttle::Verdict> Throttle::Table::check(const Ask& ask) {
    const bool user = ask.client.user_id.has_value();
    const auto wanted = counting(ask.scopes, user);
    if (wanted == 0) return Verdict{};
    const ClientKey client(ask.client);
    const auto place = place_of(client);
    if (auto refusal = refuse_at_sight(ask, wanted, place)) return refusal;
    auto& home = stripe(place.stripe);
    for_each_bit(wanted, [&](Position scope) { bring_in(scope, place); });
    const auto waiting = ask.may_wait ? RobustMutex::Waiting::briefly : RobustMutex::Waiting::never;
    const Guard guard(home, heartbeat_, waiting);
    if (!guard) return Verdict{.outcome = guard.outcome()};
    if (is_retired(home)) return answer_of_retired(home);

    const auto now = ticks_.now();
    std::array<Spot, kMaxScopes> spots;
    Bits full = 0;
    Verdict verdict;
    Newcomer newcomer(*this, client, place, waiting);
    auto opens_at = now;
    Position longest = 0;
    for_each_bit(wanted, [&](Position scope) {
        spots[scope] = ask.counts ? assess(scope, newcomer, now, ask.weight.cost) : as_known(scope, place, now);
        if (spots[scope].opens_at <= now) return;
        full |= bit(scope);
        if ((dry_runs_ & bit(scope)) != 0 || spots[scope].opens_at <= opens_at) return;
        opens_at = spots[scope].opens_at;
        longest = scope;
        verdict.outcome = Outcome::refused;
        verdict.scope = own_scopes_[scope];
        verdict.no_room = spots[scope].has_no_room;
    });
    if (newcomer.is_stalled()) return Verdict{.outcome = newcomer.outcome()};

    verdict.retry_after = wait_in(longest, place.user, opens_at, now);
    const bool accepted = verdict.outcome == Outcome::accepted;
    if (ask.counts && (accepted || charge_ == Charge::drf))
        for_each_bit(wanted & ~full, [&](Position scope) { charge(scope, spots[scope], newcomer, now, ask.weight.cost); });
    if (!accepted || ask.counts) add(accepted ? home.accepted : home.refused);
    if (verdict.no_room) add(home.no_room);
    if (full != 0) note_refusals(accepted ? full : full & ~dry_runs_, spots, client, place.tag, home, now);
    if (!accepted || ask.weight.tell_quotas)
        for_each_bit(wanted,
                     [&](Position scope) { verdict.quotas.push_back(quota_of(scope, spots[scope], newcomer, now, ask.weight.cost)); });
    // Only whoever slept with the lock in his hand can find it so: what was taken over without waiting for him may lack his request.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (is_retired(home)) return answer_of_retired(home);
    if (newcomer.is_locked() && is_retired(stripe(layout_.network_stripe()))) return Verdict{.outcome = Outcome::stalled};
    return verdict;
}

// A client that goes on asking at its limit is refused without the lock, which would only keep those waiting who have something to count.
// What is read is true if all words are the same before and after; anything less simple is for those who have the lock.
std::optional<Throttle::Verdict> Throttle::Table::refuse_at_sight(const Ask& ask, Bits wanted, const Place& place) {
    if (charge_ != Charge::atomic || (wanted & dry_runs_) != 0) return {};
    std::array<Spot, kMaxScopes> spots;
    std::array<std::uint64_t, kMaxScopes> words;
    bool is_full = false;
    for (auto bits = wanted; bits != 0; bits &= bits - 1) {
        const auto scope = static_cast<Position>(std::countr_zero(bits));
        const auto& rate = window(scope, place.user);
        if (rate.limit() < ask.weight.cost || rate.representation() == Representation::windows) return {};
        const auto spot = find(scope, place);
        if (!spot) return {};
        spots[scope] = *spot;
        const auto record = way(scope, place.user, spot->set, spot->index);
        words[scope] = record.word.load(std::memory_order_acquire);
        constexpr std::uint64_t kBeforeAll = 0;  // a time at which nothing that is kept has expired
        is_full = is_full || record.times().opens_at(kBeforeAll, ask.weight.cost) > kBeforeAll;
    }
    if (!is_full) return {};

    const auto now = ticks_.now();
    auto opens_at = now;
    Position longest = 0;
    for_each_bit(wanted, [&](Position scope) {
        auto& spot = spots[scope];
        spot.opens_at = way(scope, place.user, spot.set, spot.index).times().opens_at(now, ask.weight.cost);
        if (spot.opens_at <= opens_at) return;
        opens_at = spot.opens_at;
        longest = scope;
    });
    if (opens_at == now) return {};
    Verdict verdict{.outcome = Outcome::refused,
                    .retry_after = wait_in(longest, place.user, opens_at, now),
                    .scope = own_scopes_[longest],
                    .quotas = {}};
    verdict.quotas.reserve(static_cast<std::size_t>(std::popcount(wanted)));
    const ClientKey client(ask.client);
    Newcomer known(*this, client, place);
    for_each_bit(wanted, [&](Position scope) { verdict.quotas.push_back(quota_of(scope, spots[scope], known, now, ask.weight.cost)); });

    auto& home = stripe(place.stripe);
    std::atomic_thread_fence(std::memory_order_acquire);
    bool is_true = !is_retired(home);
    for_each_bit(wanted, [&](Position scope) {
        const auto record = way(scope, place.user, spots[scope].set, spots[scope].index);
        is_true = is_true && record.word.load(std::memory_order_relaxed) == words[scope] &&
                  record.tag.load(std::memory_order_relaxed) == place.tag;
    });
    RefusalNotes notes(home.refusals);
    const auto for_each_full = [&](const auto& visit_note) {
        for_each_bit(wanted, [&](Position scope) {
            if (const auto until = spots[scope].opens_at; until > now)
                visit_note(notes.known(place.tag, static_cast<std::uint32_t>(scope), until));
        });
    };
    for_each_full([&](const RefusalSlot* slot) { is_true = is_true && slot != nullptr; });
    if (!is_true) return {};
    for_each_full([&](const RefusalSlot* slot) {
        if (slot != nullptr) notes.add_again(*slot);
    });
    notes.count_refused();
    return verdict;
}

// Closed while others can be found in the next table already: a stopped process holds the lock, and what it held is just being moved.
std::optional<Throttle::Verdict> Throttle::Table::answer_of_retired(const Stripe& stripe) const {
    if (stripe.retired.load(std::memory_order_relaxed) == Stripe::kClosed && is_moving()) return Verdict{.outcome = Outcome::stalled};
    return {};
}

// The scopes that count such a client, as bits.
Throttle::Table::Bits Throttle::Table::counting(std::span<const Scope> scopes, bool user) const {
    Bits bits = 0;
    for (const auto scope : scopes) {
        assert(scope < positions_.size());
        if (const auto there = positions_[scope]; there && counts(*there, user)) bits |= bit(*there);
    }
    return bits;
}

Place Throttle::Table::place_of(const ClientKey& client) const {
    const auto hash = std::bit_cast<std::array<std::uint64_t, 2>>(sip_hash(client.bytes(), header().secret));
    const auto tag = std::max<std::uint64_t>(hash[0], 1);
    return recto::place_of(tag, client.is_user(), population(client.is_user()));
}

Stripe& Throttle::Table::stripe(std::size_t index) const {
    return reinterpret_cast<Stripe*>(memory_.data() + Layout::offset_of_stripes())[index];
}

const Region& Throttle::Table::region(Position scope, bool user) const {
    const auto& regions = layout_.scopes[scope];
    return user ? *regions.users : regions.addresses;
}

std::byte* Throttle::Table::set(Position scope, bool user, std::size_t set) const {
    const auto& where = region(scope, user);
    return memory_.data() + where.offset + set * where.set_bytes;
}

// Memory of zeros is a Set of nobodies.
Throttle::Table::Way Throttle::Table::way(Position scope, bool user, std::size_t set_index, std::size_t index) const {
    auto* const bytes = set(scope, user, set_index);
    auto& heads = *reinterpret_cast<Set*>(bytes);
    auto* const memory = bytes + sizeof(Set) + index * window(scope, user).record_bytes();
    return {heads.tags[index], heads.words[index], heads.networks[index], memory, set_index, window(scope, user)};
}

Throttle::Table::FloorTimes Throttle::Table::floor(Position scope, bool user, std::size_t set_index) const {
    auto* const bytes = set(scope, user, set_index) + sizeof(Set) + kWays * window(scope, user).record_bytes();
    return {window(scope, user), bytes};
}

// Where a process comes first, it has a page fault for each page: some microseconds, or milliseconds if the file is on a disk, in which
// all who wait for the stripe would wait too. So it has them before it takes the lock.
void Throttle::Table::bring_in(Position scope, const Place& place) const {
    for (const auto set_index : place.sets) {
        const auto number = first_sets_[scope][place.user ? 1 : 0] + set_index;
        auto& known = brought_in_[number / 64];
        if ((known.load(std::memory_order_relaxed) & bit(number % 64)) != 0) continue;
        populate({set(scope, place.user, set_index), region(scope, place.user).set_bytes}, Access::writing);
        known.fetch_or(bit(number % 64), std::memory_order_relaxed);
    }
}

void Throttle::Table::bring_in_records(Position scope, bool user, std::size_t part) const {
    visit_part(scope, user, part, [&](const Way& record) { populate({record.memory, record.window.record_bytes()}, Access::reading); });
}

void Throttle::Table::bring_in_stripes() const {
    populate(memory_.first(Layout::offset_of_stripes() + layout_.stripes() * sizeof(Stripe)), Access::writing);
}

// What nobody was ever counted in needs no look, which would bring it into memory.
bool Throttle::Table::is_touched(Position scope, const Stripe& stripe) {
    return (stripe.touched.load(std::memory_order_acquire) & bit(scope)) != 0;
}

void Throttle::Table::touch(Position scope, Stripe& stripe) {
    if (!is_touched(scope, stripe)) stripe.touched.fetch_or(bit(scope), std::memory_order_release);
}

std::optional<Throttle::Table::Spot> Throttle::Table::find(Position scope, const Place& place) const {
    for (const auto set_index : place.sets)
        for (std::size_t index = 0; index < kWays; ++index)
            if (way(scope, place.user, set_index, index).tag.load(std::memory_order_relaxed) == place.tag)
                return Spot{.set = set_index, .index = index, .own = true, .place = &place};
    return {};
}

Throttle::Table::Spot Throttle::Table::assess(Position scope, Newcomer& client, std::uint64_t now, std::uint32_t cost) const {
    const auto& place = client.place();
    const auto& rate = window(scope, place.user);
    auto spot = find(scope, place);
    if (rate.limit() < cost) {
        if (!spot) spot = Spot{.place = &place};
        spot->opens_at = now + rate.period();
        return *spot;
    }
    if (!spot) return assess_newcomer(scope, client, now, cost);
    spot->opens_at = way(scope, place.user, spot->set, spot->index).times().opens_at(now, cost);
    return *spot;
}

// Whether the client itself is at its limit. One without a record has done nothing that is known: that a table has no room for it, or
// what others of its network did, is no reason to say so.
Throttle::Table::Spot Throttle::Table::as_known(Position scope, const Place& place, std::uint64_t now) const {
    const auto& rate = window(scope, place.user);
    if (rate.limit() == 0) return {.opens_at = now + rate.period(), .place = &place};
    auto spot = find(scope, place);
    if (!spot) return {.opens_at = now, .place = &place};
    spot->opens_at = way(scope, place.user, spot->set, spot->index).times().opens_at(now);
    return *spot;
}

// The record that loses least: of the sets' free ones one in the emptier set; else the one with the fewest live requests, among equals
// the one idle for longest. Never one at its limit: where all are, the newcomer waits for the first of them to fall below.
Throttle::Table::Spot Throttle::Table::make_room(Position scope, const Place& place, std::uint64_t now) const {
    using Loss = std::tuple<std::uint64_t, std::uint32_t, std::uint64_t>;  // opens at, live requests, how full its set or how recent
    std::optional<Loss> least;
    Spot best{};
    for (const auto set_index : place.sets) {
        std::uint64_t taken_in_set = 0;
        std::optional<std::size_t> free;
        for (std::size_t index = 0; index < kWays; ++index) {
            const auto candidate = way(scope, place.user, set_index, index);
            const auto times = candidate.times();
            const auto live = candidate.taken() ? times.live(now) : 0;
            if (live == 0) {
                free = index;
                continue;
            }
            ++taken_in_set;
            const Loss loss{times.opens_at(now), live, times.newest()};
            if (least && *least <= loss) continue;
            least = loss;
            best = {.set = set_index, .index = index, .evicts = live, .opens_at = times.opens_at(now), .place = &place};
        }
        const Loss nothing{now, 0, taken_in_set};
        if (!free || (least && *least <= nothing)) continue;
        least = nothing;
        best = {.set = set_index, .index = *free, .opens_at = now, .place = &place};
    }
    return best;
}

std::vector<std::uint64_t> Throttle::Table::floor_times(Position scope, const Place& place) const {
    return newest_of_both(floor(scope, place.user, place.sets[0]).times(), floor(scope, place.user, place.sets[1]).times());
}

// The order of the stores is what makes a death between any two of them harmless.
void Throttle::Table::charge(Position scope, const Spot& spot, Newcomer& client, std::uint64_t now, std::uint32_t cost) {
    const auto& place = *spot.place;
    const bool counts_with_network = &place != &client.place();
    const auto record = way(scope, place.user, spot.set, spot.index);
    auto times = record.times();
    if (spot.own) return times.push(now, cost, ticks_.end_of(now));
    touch(scope, stripe(place.stripe));
    const auto before = counts_with_network ? times_of_network(scope, place) : inherited(scope, client);
    if (spot.joins) join_network(scope, record, *spot.joins, now);
    evict(scope, spot, place);
    times.assign(before);
    times.push(now, cost, ticks_.end_of(now));
    occupy(scope, record, place, counts_with_network ? Networks{} : client.networks());
}

void Throttle::Table::evict(Position scope, const Spot& spot, const Place& place) const {
    const auto record = way(scope, place.user, spot.set, spot.index);
    if (spot.evicts > 0 && in_file_.strict) floor(scope, place.user, spot.set).raise(record.times().times());
    if (spot.evicts > 0 && !in_file_.strict) add(stripe(place.stripe).evicted_live_requests, spot.evicts);
    forget(scope, place.user, record);
}

// Rounded up, from the end of the tick: nobody reads the answer sooner.
std::chrono::seconds Throttle::Table::seconds_until(std::uint64_t tick, std::uint64_t now) const {
    if (tick <= now) return std::chrono::seconds(0);
    const auto ticks = tick - std::min(tick - 1, ticks_.end_of(now));
    return std::chrono::seconds((ticks + kTicksPerSecond - 1) / kTicksPerSecond);
}

// A ring of exact times rounds up by less than an answer takes; that is no reason to tell more than the period.
std::chrono::seconds Throttle::Table::wait_in(Position scope, bool user, std::uint64_t tick, std::uint64_t now) const {
    const auto seconds = seconds_until(tick, now);
    const auto& policy = in_file_.policies[scope];
    return policy.representation_of(user) == Representation::ring32 ? std::min(seconds, policy.rate.period) : seconds;
}

// Of a newcomer, what it may have as one of its network; nothing while there is no room for it.
Throttle::Quota Throttle::Table::quota_of(Position scope, const Spot& spot, Newcomer& client, std::uint64_t now, std::uint32_t cost) const {
    const bool user = client.place().user;
    const auto& rate = window(scope, user);
    Quota quota{.scope = own_scopes_[scope], .remaining = 0, .more_in = wait_in(scope, user, spot.opens_at, now)};
    if (rate.limit() == 0) return quota;
    const auto record = way(scope, client.place().user, spot.set, spot.index);
    if (spot.place != &client.place() || record.tag.load(std::memory_order_relaxed) != client.place().tag) {
        if (spot.has_no_room) return quota;
        const auto before = inherited(scope, client);
        const auto used = live(scope, user, before, now);
        quota.remaining = rate.limit() - std::min(rate.limit(), used);
        const auto more = used == 0             ? now
                          : quota.remaining > 0 ? rate.expiry_of(before[before.size() - used])
                                                : opens_at(scope, user, before, now, std::min(cost, rate.limit()));
        quota.more_in = wait_in(scope, user, more, now);
        return quota;
    }
    const auto times = record.times();
    quota.remaining = rate.limit() - std::min(rate.limit(), times.live(now));
    // Above a limit that was lowered the oldest one's end brings nothing.
    const auto more = quota.remaining > 0 || cost > rate.limit() ? times.oldest_expiry(now) : times.opens_at(now, cost);
    quota.more_in = wait_in(scope, user, more, now);
    return quota;
}

void Throttle::Table::note_refusals(Bits scopes, std::span<const Spot> spots, const ClientKey& client, std::uint64_t tag, Stripe& home,
                                    std::uint64_t now) const {
    RefusalNotes notes(home.refusals);
    for_each_bit(scopes, [&](Position scope) {
        const bool dry_run = (dry_runs_ & bit(scope)) != 0;
        if (dry_run) add(home.would_refuse);
        notes.add({.count = 1,
                   .first = now,
                   .until = spots[scope].opens_at,
                   .scope = static_cast<std::uint32_t>(scope),
                   .dry_run = dry_run,
                   .client = client,
                   .tag = tag});
    });
}

Throttle::Refusals Throttle::Table::named(const NotedRefusals& refusals, std::uint64_t now) const {
    return {.scope = refusals.scope < in_file_.policies.size() ? in_file_.policies[refusals.scope].scope : "several",
            .client = refusals.client.name(),
            .count = refusals.count,
            .lasted = seconds_until(now, refusals.first),
            .retry_after = seconds_until(refusals.until, now),
            .dry_run = refusals.dry_run};
}

std::vector<Throttle::Refusals> Throttle::Table::take_refusals() {
    std::vector<Refusals> taken;
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        RefusalNotes notes(stripe(i).refusals);
        if (!notes.any()) continue;
        const Guard guard(stripe(i), heartbeat_);
        if (!guard) continue;
        if (is_retired(stripe(i))) continue;
        const auto now = ticks_.now();
        for (const auto& due : notes.take_due(now)) taken.push_back(named(due, now));
    }
    return taken;
}

std::vector<Throttle::Refusals> Throttle::Table::refusals() const {
    std::vector<Refusals> found;
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        const RefusalNotes notes(stripe(i).refusals);
        if (!notes.any()) continue;
        const Guard guard(stripe(i), heartbeat_);
        guard.require();
        const auto now = ticks_.now();
        for (const auto& note : notes.all()) found.push_back(named(note, now));
    }
    return found;
}

std::vector<Throttle::Usage> Throttle::Table::usage(const Client& client) const {
    const ClientKey key(client);
    const auto place = place_of(key);
    const Guard guard(stripe(place.stripe), heartbeat_);
    guard.require();
    Newcomer newcomer(*this, key, place);
    const auto now = ticks_.now();
    std::vector<Usage> usages;
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope) {
        if (!counts(scope, place.user)) continue;
        const auto& policy = in_file_.policies[scope];
        const auto spot = assess(scope, newcomer, now, 1);
        if (newcomer.is_stalled()) throw std::runtime_error("throttle: the records of networks can't be read now");
        const auto used = policy.rate.limit == 0             ? 0
                          : spot.own && spot.place == &place ? way(scope, place.user, spot.set, spot.index).times().live(now)
                                                             : live(scope, place.user, inherited(scope, newcomer), now);
        usages.push_back({.scope = policy.scope,
                          .rate = policy.rate,
                          .used = used,
                          .more_in = quota_of(scope, spot, newcomer, now, 1).more_in,
                          .retry_after = wait_in(scope, place.user, spot.opens_at, now)});
    }
    return usages;
}

std::vector<Throttle::Record> Throttle::Table::fullest(std::size_t count) const {
    std::vector<Record> all;
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope) {
        const auto& policy = in_file_.policies[scope];
        std::vector<Record> records;
        for (const bool user : {false, true})
            visit(scope, user, [&](const Way& record) {
                const auto used = record.times().live(ticks_.now());
                if (used > 0) records.push_back({.scope = policy.scope, .is_user = user, .used = used, .limit = policy.rate.limit});
            });
        visit_networks(scope, [&](const Way& record) {
            const auto used = record.times().live(ticks_.now());
            if (used > 0) records.push_back({.scope = policy.scope, .is_network = true, .used = used, .limit = policy.rate.limit});
        });
        std::ranges::stable_sort(records, std::greater(), &Record::used);
        records.resize(std::min(count, records.size()));
        std::ranges::move(records, std::back_inserter(all));
    }
    return all;
}

bool Throttle::Table::reset(const Client& client) {
    const ClientKey key(client);
    const auto place = place_of(key);
    const Guard guard(stripe(place.stripe), heartbeat_);
    guard.require();
    if (is_retired(stripe(place.stripe))) return false;
    Newcomer newcomer(*this, key, place);
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope) {
        if (!counts(scope, place.user)) continue;
        if (const auto spot = find(scope, place))
            forget(scope, place.user, way(scope, place.user, spot->set, spot->index));
        else if (!reset_networks(scope, newcomer))
            return false;
    }
    RefusalNotes(stripe(place.stripe).refusals).end(key, ticks_.now());
    return true;
}

// A client that counts with others gets its limit back with them.
bool Throttle::Table::reset_networks(Position scope, Newcomer& client) const {
    if (client.place().user || client.networks()[0] == 0 || crowd(scope).networks.load(std::memory_order_relaxed) == 0) return true;
    if (!client.lock()) return false;
    for (std::size_t level = 0; level < kSharesOfNetworks.size(); ++level)
        for (const auto& record : all_of(scope, client.place_of_network(level))) forget(scope, false, record);
    return true;
}

bool Throttle::Table::reset(std::string_view scope) {
    if (const auto there = position(scope)) {
        for (const bool user : {false, true}) {
            visit(*there, user, [&](const Way& record) { forget(*there, user, record); });
            forget_floors(*there, user);
        }
        visit_networks(*there, [&](const Way& record) { forget(*there, false, record); });
        end_refusals(*there);
    }
    return !is_being_replaced();  // else perhaps before we came to its last record
}

void Throttle::Table::end_refusals(Position scope) {
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        RefusalNotes notes(stripe(i).refusals);
        if (!notes.any()) continue;
        const Guard guard(stripe(i), heartbeat_);
        guard.require();
        notes.end(static_cast<std::uint32_t>(scope), ticks_.now());
    }
}

void Throttle::Table::forget_floors(Position scope, bool user) {
    if (!in_file_.strict || !counts(scope, user)) return;
    const auto& whose = population(user);
    for (std::size_t set_index = 0; set_index < whose.sets(); ++set_index) {
        auto& home = stripe(whose.first_stripe + set_index / whose.sets_per_stripe);
        if (!is_touched(scope, home)) continue;
        const Guard guard(home, heartbeat_);
        guard.require();
        floor(scope, user, set_index).forget();
    }
    if (user || !layout_.groups()) return;
    const Guard guard(stripe(layout_.network_stripe()), heartbeat_);
    guard.require();
    for (std::size_t i = 0; i < layout_.network_sets; ++i) floor(scope, false, whose.sets() + i).forget();
}

Throttle::Counters Throttle::Table::counters() const {
    Counters sum;
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        const auto& part = stripe(i);
        sum.accepted += part.accepted.load(std::memory_order_relaxed);
        sum.refused += part.refused.load(std::memory_order_relaxed) + RefusalNotes(stripe(i).refusals).refused();
        sum.would_refuse += part.would_refuse.load(std::memory_order_relaxed);
        sum.evicted_live_requests += part.evicted_live_requests.load(std::memory_order_relaxed);
        sum.recovered_locks += part.recovered_locks.load(std::memory_order_relaxed);
        sum.stalls += part.stalls.load(std::memory_order_relaxed);
        sum.no_room += part.no_room.load(std::memory_order_relaxed);
        sum.late_locks += part.late_locks.load(std::memory_order_relaxed);
    }
    return sum;
}

Throttle::Fill Throttle::Table::fill(bool users) const {
    Fill fill;
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope) {
        if (!counts(scope, users)) continue;
        fill.records += population(users).sets() * kWays;
        visit(scope, users, [&](const Way& record) { fill.used += record.times().live(ticks_.now()) > 0 ? 1 : 0; });
    }
    return fill;
}

}  // namespace recto
