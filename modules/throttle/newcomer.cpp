#include "throttle/newcomer.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <tuple>
#include <utility>

namespace recto {
namespace {

constexpr auto kRecountEvery = 9 * kTicksPerSecond / 10;
constexpr std::uint64_t kShareOfTime = 20;  // a recount takes at most one of so many seconds

// A network that holds less than this part of its share never gives way.
constexpr std::int64_t kLeastToGiveWay = 8;

bool is_crowded(std::int64_t taken, std::size_t records) { return taken * 4 > static_cast<std::int64_t>(records) * 3; }
bool has_room_again(std::int64_t taken, std::size_t records) { return taken * 8 <= static_cast<std::int64_t>(records) * 5; }
bool is_worth_a_recount(std::int64_t taken, std::size_t records) { return taken * 2 > static_cast<std::int64_t>(records); }

}  // namespace

const Networks& Throttle::Table::Newcomer::networks() {
    if (!networks_) {
        networks_ = Networks{};
        const auto names = client_.networks();
        for (std::size_t level = 0; level < names.size() && table_.layout_.groups(); ++level)
            if (!names[level].empty()) (*networks_)[level] = table_.hash_of_network(names[level]);
    }
    return *networks_;
}

const Place& Throttle::Table::Newcomer::place_of_network(std::size_t level) {
    auto& place = places_[level];
    if (!place) place = table_.place_of_network(level, networks());
    return *place;
}

// The stripe is the last one: who has that of a client and waits for this one waits for nobody who waits for his. While the table is
// replaced, this stripe is moved before all others: the few who need it then have to come again.
bool Throttle::Table::Newcomer::lock() {
    if (guard_) return !is_stalled_;
    auto& stripe = table_.stripe(table_.layout_.network_stripe());
    guard_.emplace(stripe, table_.heartbeat_, waiting_);
    is_stalled_ = !*guard_ || stripe.retired.load(std::memory_order_relaxed) != Stripe::kOpen;
    return !is_stalled_;
}

std::uint16_t Throttle::Table::hash_of_network(std::string_view name) const {
    const auto hash = std::bit_cast<std::array<std::uint16_t, 8>>(sip_hash(name, header().secret));
    return std::max<std::uint16_t>(hash[0], 1);
}

// A small network is known by the large one it is part of too: two of equal hash hardly ever share a record.
Place Throttle::Table::place_of_network(std::size_t level, const Networks& networks) const {
    const auto small = level == 0 ? std::uint64_t{networks[0]} << 16 : 0;
    return layout_.place_of_network(small | networks[1]);
}

Crowd& Throttle::Table::crowd(Position scope) const { return *reinterpret_cast<Crowd*>(memory_.data() + layout_.scopes[scope].crowd); }

RecordsOfNetworks& Throttle::Table::records_of_networks(Position scope) const {
    return *reinterpret_cast<RecordsOfNetworks*>(memory_.data() + layout_.scopes[scope].crowd + Layout::offset_of_crowd_numbers());
}

std::int64_t Throttle::Table::records_of(Position scope, std::uint16_t network) const {
    return network == 0 ? 0 : records_of_networks(scope)[network].load(std::memory_order_relaxed);
}

std::int64_t Throttle::Table::share_of_network(std::size_t level) const {
    return static_cast<std::int64_t>(layout_.addresses.records()) / kSharesOfNetworks[level];
}

// What a small network holds above its share counts as one client, so it isn't the large network's.
void Throttle::Table::note_taken(Position scope, bool user, std::size_t set_index, const Networks& networks, int change) const {
    auto& all = crowd(scope);
    if (user) {
        all.users.taken.fetch_add(change, std::memory_order_relaxed);
        return;
    }
    if (set_index >= layout_.addresses.sets()) {
        all.networks.fetch_add(change, std::memory_order_relaxed);
        return;
    }
    all.addresses.taken.fetch_add(change, std::memory_order_relaxed);
    if (!layout_.groups() || networks[0] == 0) return;
    auto& records = records_of_networks(scope);
    const auto others = records[networks[0]].fetch_add(change, std::memory_order_relaxed) + std::min(change, 0);
    if (others < share_of_network(0)) records[networks[1]].fetch_add(change, std::memory_order_relaxed);
}

void Throttle::Table::forget(Position scope, bool user, const Way& record) const {
    if (!record.taken()) return;
    record.forget();
    note_taken(scope, user, record.set, record.networks_of(), -1);
}

// The store of the tag comes last, and a network is noted before there is one: not even a death can leave it unseen.
void Throttle::Table::occupy(Position scope, const Way& record, const Place& place, const Networks& networks) const {
    note_taken(scope, place.user, record.set, networks, 1);
    record.networks.store(static_cast<std::uint32_t>(networks[0] << 16 | networks[1]), std::memory_order_relaxed);
    record.tag.store(place.tag, std::memory_order_release);
}

std::optional<std::size_t> Throttle::Table::network_above_its_share(Position scope, Newcomer& newcomer) const {
    if (!is_crowded(crowd(scope).addresses.taken.load(std::memory_order_relaxed), layout_.addresses.records())) return {};
    for (std::size_t level = 0; level < kSharesOfNetworks.size(); ++level)
        if (records_of(scope, newcomer.networks()[level]) > share_of_network(level)) return level;
    return {};
}

Throttle::Table::Spot Throttle::Table::assess_newcomer(Position scope, Newcomer& newcomer, std::uint64_t now, std::uint32_t cost) const {
    auto room = make_room(scope, newcomer.place(), now);
    const bool has_room = room.opens_at <= now;
    if (!newcomer.place().user && layout_.groups() && newcomer.networks()[0] != 0) {
        const auto above = network_above_its_share(scope, newcomer);
        if (above || !has_room || crowd(scope).networks.load(std::memory_order_relaxed) > 0) {
            if (!newcomer.lock()) return room;
            if (const auto together = above ? place_in(scope, newcomer.place_of_network(*above), now) : std::nullopt)
                room = *together;
            else if (const auto way_given = has_room ? std::nullopt : give_way(scope, newcomer, now))
                room = *way_given;
        }
    }
    const auto since = opens_at(scope, newcomer.place().user, inherited(scope, newcomer), now, cost);
    room.has_no_room = room.opens_at > now && since <= now;
    room.opens_at = std::max(room.opens_at, since);
    return room;
}

// The record of a network, or where there is room for it.
std::optional<Throttle::Table::Spot> Throttle::Table::place_in(Position scope, const Place& network, std::uint64_t now) const {
    auto spot = find(scope, network);
    if (!spot) spot = make_room(scope, network, now);
    if (!spot->own && spot->opens_at > now) return {};
    spot->opens_at = now;
    spot->place = &network;
    return spot;
}

bool Throttle::Table::has_free_record(Position scope, const Place& place, std::uint64_t now) const {
    const auto room = make_room(scope, place, now);
    return room.evicts == 0 && room.opens_at <= now;
}

// What a network holds against its share; of one that has all of it, the number of all records.
std::int64_t Throttle::Table::weight_of(Position scope, std::size_t level, std::uint16_t network) const {
    return records_of(scope, network) * kSharesOfNetworks[level];
}

std::optional<Throttle::Table::Spot> Throttle::Table::give_way(Position scope, Newcomer& newcomer, std::uint64_t now) const {
    auto most = static_cast<std::int64_t>(layout_.addresses.records()) / kLeastToGiveWay;
    for (std::size_t level = 0; level < kSharesOfNetworks.size(); ++level)
        most = std::max(most, weight_of(scope, level, newcomer.networks()[level]));
    std::optional<Spot> found;
    for (const auto set_index : newcomer.place().sets)
        for (std::size_t index = 0; index < kWays; ++index) {
            const auto networks = way(scope, false, set_index, index).networks_of();
            for (std::size_t level = 0; level < networks.size(); ++level) {
                const auto weight = weight_of(scope, level, networks[level]);
                if (weight <= most || !has_free_record(scope, place_of_network(level, networks), now)) continue;
                most = weight;
                found = Spot{.set = set_index, .index = index, .opens_at = now, .place = &newcomer.place(), .joins = level};
            }
        }
    return found;
}

void Throttle::Table::join_network(Position scope, const Way& record, std::size_t level, std::uint64_t now) const {
    raise_network(scope, place_of_network(level, record.networks_of()), record.times().times(), now);
}

// The i-th newest time of a network becomes no older than the i-th newest of these. In a new record, if there is room for one, for nothing
// else takes all times over at once: a death in between leaves the one or the other, or both.
void Throttle::Table::raise_network(Position scope, const Place& network, std::vector<std::uint64_t> times, std::uint64_t now) const {
    if (in_file_.strict) times = newest_of_both(std::move(times), floor_times(scope, network));
    const auto before = all_of(scope, network);
    for (const auto& other : before) times = newest_of_both(std::move(times), other.times().times());
    if (before.size() == 1 && before[0].times().times() == times) return;
    const auto is_free = has_free_record(scope, network, now);
    const auto spot = is_free || before.empty() ? make_room(scope, network, now) : *find(scope, network);
    const auto raised = way(scope, false, spot.set, spot.index);
    evict(scope, spot, network);
    raised.times().assign(times);
    occupy(scope, raised, network, {});
    for (const auto& other : before)
        if (&other.tag != &raised.tag) forget(scope, false, other);
}

// More than one after a death.
std::vector<Throttle::Table::Way> Throttle::Table::all_of(Position scope, const Place& network) const {
    std::vector<Way> found;
    for (const auto set_index : network.sets)
        for (std::size_t index = 0; index < kWays; ++index)
            if (const auto record = way(scope, false, set_index, index); record.tag.load(std::memory_order_relaxed) == network.tag)
                found.push_back(record);
    return found;
}

std::vector<std::uint64_t> Throttle::Table::times_of_network(Position scope, const Place& network) const {
    if (const auto spot = find(scope, network)) return way(scope, false, spot->set, spot->index).times().times();
    return in_file_.strict ? floor_times(scope, network) : std::vector<std::uint64_t>();
}

// All that the client may have used where it has no record: what it did as one of either network, and what was forgotten of it.
std::vector<std::uint64_t> Throttle::Table::inherited(Position scope, Newcomer& newcomer) const {
    auto times = in_file_.strict ? floor_times(scope, newcomer.place()) : std::vector<std::uint64_t>();
    if (!newcomer.is_locked()) return times;
    for (std::size_t level = 0; level < kSharesOfNetworks.size(); ++level) {
        const auto more = times_of_network(scope, newcomer.place_of_network(level));
        if (more.empty()) continue;
        std::vector<std::uint64_t> both;
        std::ranges::merge(times, more, std::back_inserter(both));
        times = std::move(both);
    }
    const auto most = window(scope, newcomer.place().user).capacity();
    if (times.size() > most) times.erase(times.begin(), times.end() - most);
    return times;
}

std::uint32_t Throttle::Table::live(Position scope, bool user, const std::vector<std::uint64_t>& times, std::uint64_t now) const {
    const auto is_live = [&](std::uint64_t time) { return window(scope, user).expiry_of(time) > now; };
    return static_cast<std::uint32_t>(std::ranges::count_if(times, is_live));
}

// Late by a tick or a unit rather than early.
std::uint64_t Throttle::Table::opens_at(Position scope, bool user, const std::vector<std::uint64_t>& times, std::uint64_t now,
                                        std::uint32_t cost) const {
    const auto& rate = window(scope, user);
    const auto count = live(scope, user, times, now);
    if (count + cost <= rate.limit()) return now;
    return rate.expiry_of(times[times.size() - count + (count + cost - rate.limit() - 1)]);
}

std::vector<Throttle::Room> Throttle::Table::recount() {
    const auto now = ticks_.now();
    auto due = header().recount_at.load(std::memory_order_relaxed);
    if (now >= due && !is_being_replaced() && header().recount_at.compare_exchange_strong(due, now + kRecountEvery)) {
        for (Position scope = 0; scope < in_file_.policies.size(); ++scope) recount(scope, now);
        header().recount_at.store(now + std::max(kRecountEvery, kShareOfTime * (ticks_.now() - now)), std::memory_order_relaxed);
    }
    return changes_of_room();
}

void Throttle::Table::recount(Position scope, std::uint64_t now) {
    auto& all = crowd(scope);
    for (const bool user : {false, true}) {
        auto& part = user ? all.users : all.addresses;
        const auto records = population(user).records();
        if (!counts(scope, user) || !is_worth_a_recount(part.taken.load(std::memory_order_relaxed), records)) continue;
        forget_expired(scope, user, now);
        recount_part(scope, user, part);
    }
    if (all.networks.load(std::memory_order_relaxed) > 0) recount_networks(scope, now);
}

bool Throttle::Table::has_expired(const Way& record, std::uint64_t now) const { return record.times().live(now) == 0; }

// Locks only where there is one: in a flood, nowhere.
void Throttle::Table::forget_expired(Position scope, bool user, std::uint64_t now) {
    const auto& whose = population(user);
    for (std::size_t part = 0; part < whose.stripes; ++part) {
        bool is_any = false;
        visit_part(scope, user, part, [&](const Way& record) { is_any = is_any || has_expired(record, now); });
        if (!is_any) continue;
        auto& home = stripe(whose.first_stripe + part);
        const Guard guard(home, heartbeat_);
        if (!guard || home.retired.load(std::memory_order_relaxed) != Stripe::kOpen) continue;
        visit_part(scope, user, part, [&](const Way& record) {
            if (has_expired(record, now)) forget(scope, user, record);
        });
    }
}

// What others take meanwhile may be missed: until the next one.
void Throttle::Table::recount_part(Position scope, bool user, Crowd::Part& part) {
    std::int64_t taken = 0;
    std::vector<std::int32_t> of_network(layout_.groups() && !user ? kNetworkHashes : 0);
    const auto count = [&](const Way& record) {
        ++taken;
        if (of_network.empty()) return;
        const auto networks = record.networks_of();
        if (networks[0] != 0 && of_network[networks[0]]++ < share_of_network(0)) ++of_network[networks[1]];
    };
    for (std::size_t index = 0; index < population(user).stripes; ++index) visit_part(scope, user, index, count);
    part.taken.store(taken, std::memory_order_relaxed);
    for (std::size_t network = 0; network < of_network.size(); ++network) {
        auto& published = records_of_networks(scope)[network];
        if (published.load(std::memory_order_relaxed) != of_network[network])
            published.store(of_network[network], std::memory_order_relaxed);
    }
}

void Throttle::Table::recount_networks(Position scope, std::uint64_t now) {
    auto& home = stripe(layout_.network_stripe());
    const Guard guard(home, heartbeat_);
    if (!guard || home.retired.load(std::memory_order_relaxed) != Stripe::kOpen) return;
    std::int64_t taken = 0;
    visit_networks_unlocked(scope, [&](const Way& record) {
        if (has_expired(record, now))
            record.forget();
        else
            ++taken;
    });
    crowd(scope).networks.store(taken, std::memory_order_relaxed);
}

std::vector<Throttle::Room> Throttle::Table::changes_of_room() {
    std::vector<Room> changes;
    for (Position scope = 0; scope < in_file_.policies.size(); ++scope)
        for (const bool user : {false, true}) {
            if (!counts(scope, user)) continue;
            auto& part = user ? crowd(scope).users : crowd(scope).addresses;
            const auto taken = part.taken.load(std::memory_order_relaxed);
            const auto records = population(user).records();
            std::uint32_t told = part.is_told_full.load(std::memory_order_relaxed);
            if (told != 0 ? !has_room_again(taken, records) : !is_crowded(taken, records)) continue;
            if (!part.is_told_full.compare_exchange_strong(told, 1 - told)) continue;  // another process tells it
            changes.push_back({.scope = in_file_.policies[scope].scope,
                               .users = user,
                               .is_full = told == 0,
                               .used = static_cast<std::uint64_t>(std::max<std::int64_t>(taken, 0)),
                               .records = records});
        }
    return changes;
}

}  // namespace recto
