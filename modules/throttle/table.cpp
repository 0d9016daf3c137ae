#include "throttle/table.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <functional>
#include <iterator>
#include <new>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "throttle/client_key.hpp"

namespace recto {
namespace {

constexpr std::uint64_t kTicksPerSecond = 1024;

std::chrono::seconds seconds_until(std::uint64_t tick, std::uint64_t now) {
    return std::chrono::seconds(tick <= now ? 0 : (tick - now + kTicksPerSecond - 1) / kTicksPerSecond);
}

std::uint64_t period_in_ticks(const Rate& rate) { return static_cast<std::uint64_t>(rate.period.count()) * kTicksPerSecond; }

void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) { counter.fetch_add(amount, std::memory_order_relaxed); }

// One of `size`, by 24 random bits.
std::size_t pick(std::uint64_t bits, std::size_t size) { return (bits & 0xFFFFFF) * size >> 24; }

template <class Visit>
void for_each_bit(std::uint64_t bits, const Visit& visit) {
    for (; bits != 0; bits &= bits - 1) visit(static_cast<std::size_t>(std::countr_zero(bits)));
}

}  // namespace

class Throttle::Table::Guard {
public:
    explicit Guard(Stripe& stripe) : stripe_(stripe), locked_(stripe.mutex.lock()) {
        // After a death there is nothing to repair: what the last store of a change didn't commit never happened.
        if (locked_ == RobustMutex::Locked::recovered) add(stripe.recovered_locks);
        if (locked_ == RobustMutex::Locked::stalled) add(stripe.stalls);
    }
    ~Guard() {
        if (*this) stripe_.mutex.unlock();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    explicit operator bool() const { return locked_ != RobustMutex::Locked::stalled; }
    void require() const {
        if (!*this) throw std::runtime_error("throttle: a stopped process holds a lock of the table");
    }

private:
    Stripe& stripe_;
    RobustMutex::Locked locked_;
};

// Where a client lies, the same in every scope.
struct Throttle::Table::Place {
    bool user;
    std::uint64_t tag;
    std::size_t stripe;
    std::array<std::size_t, 2> sets;
};

// The memory of one record.
struct Throttle::Table::Way {
    std::atomic<std::uint64_t>& tag;
    std::atomic<std::uint64_t>& word;
    std::uint32_t* slots;

    [[nodiscard]] bool taken() const { return tag.load(std::memory_order_relaxed) != 0; }
    [[nodiscard]] Ring ring(const Window& window) const { return {window, word, slots}; }
    void forget() const { tag.store(0, std::memory_order_release); }
};

// Where one scope would count a request, and from when on it would.
struct Throttle::Table::Spot {
    std::size_t set;
    std::size_t index;
    bool own;              // else the place of another, or of nobody
    std::uint32_t evicts;  // live requests of that other
    std::uint64_t opens_at;
};

Throttle::Table::Table(std::span<std::byte> memory, const ThrottleOptions& options, const TickSource& ticks, std::string note)
    : memory_(memory), options_(options), layout_(options), ticks_(ticks), note_(std::move(note)) {
    assert(memory.size() == layout_.size);
}

std::vector<std::string> Throttle::Table::fill(std::span<std::byte> memory, const ThrottleOptions& options, const Table* previous) {
    auto& header = *new (memory.data()) Header{.description = describe(options), .secret = {}};
    const Table table(memory, options, boot_ticks(), "");
    for (std::size_t i = 0; i < table.layout_.stripes(); ++i) new (&table.stripe(i)) Stripe;
    random_bytes(header.secret);

    std::vector<std::string> kept;
    if (!previous || previous->options_.clients != options.clients || previous->options_.users != options.users) return kept;
    header.secret = previous->header().secret;
    for (Scope scope = 0; scope < options.policies.size(); ++scope) {
        const auto from = previous->find(options.policies[scope].scope);
        if (!from || previous->options_.policies[*from] != options.policies[scope]) continue;
        for (const bool user : {false, true})
            if (table.counts(scope, user)) previous->copy_to(table, *from, scope, user);
        kept.push_back(options.policies[scope].scope);
    }
    return kept;
}

// Where a stopped process holds the lock its memory stands still, and is whole as after a death: copied all the same.
void Throttle::Table::copy_to(const Table& target, Scope from, Scope to, bool user) const {
    const auto& whose = population(user);
    const auto bytes = whose.sets_per_stripe * region(from, user).set_bytes;
    for (std::size_t i = 0; i < whose.stripes; ++i) {
        const Guard guard(stripe(whose.first_stripe + i));
        std::memcpy(target.memory_.data() + target.region(to, user).offset + i * bytes,
                    memory_.data() + region(from, user).offset + i * bytes, bytes);
    }
}

std::optional<Throttle::Scope> Throttle::Table::find(std::string_view scope) const {
    const auto found = std::ranges::find(options_.policies, scope, &ThrottlePolicy::scope);
    if (found == options_.policies.end()) return {};
    return static_cast<Scope>(found - options_.policies.begin());
}

Throttle::Verdict Throttle::Table::check(std::span<const Scope> scopes, const Client& client) {
    const auto wanted = counting(scopes, client.user_id.has_value());
    if (wanted == 0) return {};
    const auto place = place_of(client);
    auto& home = stripe(place.stripe);
    const Guard guard(home);
    if (!guard) return {.outcome = Outcome::stalled};

    const auto now = ticks_.now();
    std::array<Spot, kMaxScopes> spots;
    std::uint64_t opens_at = now;
    Verdict verdict;
    for_each_bit(wanted, [&](Scope scope) {
        spots[scope] = assess(scope, place, now);
        if (spots[scope].opens_at <= opens_at) return;
        opens_at = spots[scope].opens_at;
        verdict = {.outcome = Outcome::refused, .retry_after = seconds_until(opens_at, now), .scope = scope};
    });
    if (verdict.outcome == Outcome::accepted) for_each_bit(wanted, [&](Scope scope) { charge(scope, spots[scope], place, now); });
    add(verdict.outcome == Outcome::accepted ? home.accepted : home.refused);
    return verdict;
}

// The scopes that count such a client, as bits.
std::uint64_t Throttle::Table::counting(std::span<const Scope> scopes, bool user) const {
    std::uint64_t bits = 0;
    for (const auto scope : scopes) {
        assert(scope < options_.policies.size());
        if (counts(scope, user)) bits |= std::uint64_t{1} << scope;
    }
    return bits;
}

Throttle::Table::Place Throttle::Table::place_of(const Client& client) const {
    const bool user = client.user_id.has_value();
    const auto& whose = population(user);
    const auto [tag, bits] = std::bit_cast<std::array<std::uint64_t, 2>>(sip_hash(ClientKey(client).bytes(), header().secret));
    const auto part = (bits >> 48) * whose.stripes >> 16;
    const auto first = pick(bits >> 24, whose.sets_per_stripe);
    const auto second = pick(bits, whose.sets_per_stripe);
    const auto other = second != first ? second : (second + 1) % whose.sets_per_stripe;
    const auto begin = part * whose.sets_per_stripe;
    return {
        .user = user, .tag = std::max<std::uint64_t>(tag, 1), .stripe = whose.first_stripe + part, .sets = {begin + first, begin + other}};
}

Stripe& Throttle::Table::stripe(std::size_t index) const {
    return reinterpret_cast<Stripe*>(memory_.data() + Layout::offset_of_stripes())[index];
}

const Region& Throttle::Table::region(Scope scope, bool user) const {
    const auto& regions = layout_.scopes[scope];
    return user ? *regions.users : regions.addresses;
}

// Memory of zeros is a Set of nobodies.
Throttle::Table::Way Throttle::Table::way(Scope scope, bool user, std::size_t set, std::size_t index) const {
    const auto& where = region(scope, user);
    auto* const bytes = memory_.data() + where.offset + set * where.set_bytes;
    auto& heads = *reinterpret_cast<Set*>(bytes);
    auto* const slots = reinterpret_cast<std::uint32_t*>(bytes + sizeof(Set));
    return {heads.tags[index], heads.words[index], slots + index * layout_.scopes[scope].window.slots()};
}

std::optional<Throttle::Table::Spot> Throttle::Table::find(Scope scope, const Place& place) const {
    for (const auto set : place.sets)
        for (std::size_t index = 0; index < kWays; ++index)
            if (way(scope, place.user, set, index).tag.load(std::memory_order_relaxed) == place.tag)
                return Spot{.set = set, .index = index, .own = true, .evicts = 0, .opens_at = 0};
    return {};
}

Throttle::Table::Spot Throttle::Table::assess(Scope scope, const Place& place, std::uint64_t now) const {
    const auto& window = layout_.scopes[scope].window;
    if (window.limit() == 0)
        return {.set = 0, .index = 0, .own = false, .evicts = 0, .opens_at = now + period_in_ticks(options_.policies[scope].rate)};
    auto spot = find(scope, place);
    if (!spot) return make_room(scope, place, now);
    spot->opens_at = way(scope, place.user, spot->set, spot->index).ring(window).opens_at(now);
    return *spot;
}

// The record that loses least: of the sets' free ones one in the emptier set; else the one with the fewest live requests, among equals
// the one idle for longest. Never one at its limit: where all are, the newcomer waits for the first of them to fall below.
Throttle::Table::Spot Throttle::Table::make_room(Scope scope, const Place& place, std::uint64_t now) const {
    const auto& window = layout_.scopes[scope].window;
    using Loss = std::tuple<std::uint64_t, std::uint32_t, std::uint64_t>;  // opens at, live requests, how full its set or how recent
    std::optional<Loss> least;
    Spot best{};
    for (const auto set : place.sets) {
        std::uint64_t taken_in_set = 0;
        std::optional<std::size_t> free;
        for (std::size_t index = 0; index < kWays; ++index) {
            const auto candidate = way(scope, place.user, set, index);
            const auto ring = candidate.ring(window);
            const auto live = candidate.taken() ? ring.live(now) : 0;
            if (live == 0) {
                free = index;
                continue;
            }
            ++taken_in_set;
            const Loss loss{ring.opens_at(now), live, ring.newest()};
            if (least && *least <= loss) continue;
            least = loss;
            best = {.set = set, .index = index, .own = false, .evicts = live, .opens_at = ring.opens_at(now)};
        }
        const Loss nothing{now, 0, taken_in_set};
        if (!free || (least && *least <= nothing)) continue;
        least = nothing;
        best = {.set = set, .index = *free, .own = false, .evicts = 0, .opens_at = now};
    }
    return best;
}

// The order of the stores is what makes a death between any two of them harmless.
void Throttle::Table::charge(Scope scope, const Spot& spot, const Place& place, std::uint64_t now) {
    const auto record = way(scope, place.user, spot.set, spot.index);
    const auto& window = layout_.scopes[scope].window;
    if (spot.own) return record.ring(window).push(now);
    if (spot.evicts > 0) add(stripe(place.stripe).evicted_live_requests, spot.evicts);
    record.forget();
    auto ring = record.ring(window);
    ring.clear();
    ring.push(now);
    record.tag.store(place.tag, std::memory_order_release);
}

std::vector<Throttle::Usage> Throttle::Table::usage(const Client& client) const {
    const auto place = place_of(client);
    const Guard guard(stripe(place.stripe));
    guard.require();
    const auto now = ticks_.now();
    std::vector<Usage> usages;
    for (Scope scope = 0; scope < options_.policies.size(); ++scope) {
        if (!counts(scope, place.user)) continue;
        const auto& policy = options_.policies[scope];
        const auto spot = assess(scope, place, now);
        const auto used = spot.own ? way(scope, place.user, spot.set, spot.index).ring(layout_.scopes[scope].window).live(now) : 0;
        usages.push_back({.scope = policy.scope, .rate = policy.rate, .used = used, .retry_after = seconds_until(spot.opens_at, now)});
    }
    return usages;
}

// Every record of the scope, stripe by stripe under its lock.
template <class Visit>
void Throttle::Table::visit(Scope scope, bool user, const Visit& visit_record) const {
    if (!counts(scope, user)) return;
    const auto& whose = population(user);
    for (std::size_t part = 0; part < whose.stripes; ++part) {
        const Guard guard(stripe(whose.first_stripe + part));
        guard.require();
        for (auto set = part * whose.sets_per_stripe; set < (part + 1) * whose.sets_per_stripe; ++set)
            for (std::size_t index = 0; index < kWays; ++index)
                if (const auto record = way(scope, user, set, index); record.taken()) visit_record(record);
    }
}

std::vector<Throttle::Record> Throttle::Table::fullest(std::size_t count) const {
    std::vector<Record> all;
    for (Scope scope = 0; scope < options_.policies.size(); ++scope) {
        const auto& policy = options_.policies[scope];
        std::vector<Record> records;
        for (const bool user : {false, true})
            visit(scope, user, [&](const Way& record) {
                const auto used = record.ring(layout_.scopes[scope].window).live(ticks_.now());
                if (used > 0) records.push_back({.scope = policy.scope, .is_user = user, .used = used, .limit = policy.rate.limit});
            });
        std::ranges::stable_sort(records, std::greater(), &Record::used);
        records.resize(std::min(count, records.size()));
        std::ranges::move(records, std::back_inserter(all));
    }
    return all;
}

void Throttle::Table::reset(const Client& client) {
    const auto place = place_of(client);
    const Guard guard(stripe(place.stripe));
    guard.require();
    for (Scope scope = 0; scope < options_.policies.size(); ++scope) {
        if (!counts(scope, place.user)) continue;
        if (const auto spot = find(scope, place)) way(scope, place.user, spot->set, spot->index).forget();
    }
}

void Throttle::Table::reset(Scope scope) {
    assert(scope < options_.policies.size());
    for (const bool user : {false, true}) visit(scope, user, [](const Way& record) { record.forget(); });
}

Throttle::Counters Throttle::Table::counters() const {
    Counters sum;
    for (std::size_t i = 0; i < layout_.stripes(); ++i) {
        const auto& part = stripe(i);
        sum.accepted += part.accepted.load(std::memory_order_relaxed);
        sum.refused += part.refused.load(std::memory_order_relaxed);
        sum.evicted_live_requests += part.evicted_live_requests.load(std::memory_order_relaxed);
        sum.recovered_locks += part.recovered_locks.load(std::memory_order_relaxed);
        sum.stalls += part.stalls.load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace recto
