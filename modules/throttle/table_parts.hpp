// table_parts.hpp - what the files of Throttle::Table share: the lock of a stripe, one record, a floor.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "throttle/table.hpp"

namespace recto {

inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) { counter.fetch_add(amount, std::memory_order_relaxed); }

class Throttle::Table::Guard {
public:
    Guard(Stripe& stripe, const Heartbeat& own, RobustMutex::Waiting waiting = RobustMutex::Waiting::briefly)
        : stripe_(stripe), locked_(stripe.mutex.lock(own, waiting)) {
        // After a death there is nothing to repair: what the last store of a change didn't commit never happened.
        if (locked_ == RobustMutex::Locked::recovered) add(stripe.recovered_locks);
        if (locked_ == RobustMutex::Locked::stopped) add(stripe.stalls);
        if (locked_ == RobustMutex::Locked::late) add(stripe.late_locks);
    }
    ~Guard() {
        if (*this) stripe_.mutex.unlock();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    explicit operator bool() const { return locked_ == RobustMutex::Locked::yes || locked_ == RobustMutex::Locked::recovered; }
    void require() const {
        if (!*this) throw std::runtime_error(std::string("throttle: ") + reason() + " a lock of the table");
    }
    [[nodiscard]] const char* reason() const { return reason_of(locked_); }
    [[nodiscard]] Outcome outcome() const {
        return locked_ == RobustMutex::Locked::busy   ? Outcome::busy
               : locked_ == RobustMutex::Locked::late ? Outcome::late
                                                      : Outcome::stalled;
    }

private:
    Stripe& stripe_;
    RobustMutex::Locked locked_;
};

// The memory of one record.
struct Throttle::Table::Way {
    std::atomic<std::uint64_t>& tag;
    std::atomic<std::uint64_t>& word;
    std::atomic<std::uint32_t>& networks;
    std::byte* memory;
    std::size_t set;
    const Window& window;

    [[nodiscard]] bool taken() const { return tag.load(std::memory_order_relaxed) != 0; }
    [[nodiscard]] AcceptTimes times() const { return {window, word, memory}; }
    [[nodiscard]] Networks networks_of() const {
        const auto both = networks.load(std::memory_order_relaxed);
        return {static_cast<std::uint16_t>(both >> 16), static_cast<std::uint16_t>(both)};
    }
    void forget() const { tag.store(0, std::memory_order_release); }
};

// Where one scope would count a request, and from when on it would.
struct Throttle::Table::Spot {
    std::size_t set = 0;
    std::size_t index = 0;
    bool own = false;          // else the place of another, or of nobody
    std::uint32_t evicts = 0;  // live requests of that other
    std::uint64_t opens_at = 0;
    const Place* place = nullptr;           // of the client, or of a network in whose record it counts
    std::optional<std::size_t> joins = {};  // the level of the network that takes that other's times over
    bool has_no_room = false;               // that alone is why it doesn't open yet
};

// Both sorted, the oldest first; the longer list has the older ones.
[[nodiscard]] inline std::vector<std::uint64_t> newest_of_both(std::vector<std::uint64_t> a, const std::vector<std::uint64_t>& b) {
    if (a.size() < b.size()) return newest_of_both(b, a);
    for (std::size_t i = 1; i <= b.size(); ++i) a[a.size() - i] = std::max(a[a.size() - i], b[b.size() - i]);
    return a;
}

// The floor of a set; see Floor.
class Throttle::Table::FloorTimes {
public:
    FloorTimes(const Window& window, std::byte* memory) : window_(window), floor_(*reinterpret_cast<Floor*>(memory)), memory_(memory) {}

    [[nodiscard]] std::vector<std::uint64_t> times() const { return half(floor_.valid.load(std::memory_order_acquire)).times(); }

    void raise(const std::vector<std::uint64_t>& forgotten) { become(newest_of_both(times(), forgotten)); }
    void forget() { become({}); }

private:
    void become(const std::vector<std::uint64_t>& times) {
        const auto other = 1 - floor_.valid.load(std::memory_order_relaxed);
        half(other).assign(times);
        floor_.valid.store(other, std::memory_order_release);
    }
    [[nodiscard]] AcceptTimes half(std::uint64_t which) const {
        return {window_, floor_.words[which], memory_ + sizeof(Floor) + which * window_.record_bytes()};
    }

    const Window& window_;
    Floor& floor_;
    std::byte* memory_;
};

// Every record of the scope in one stripe.
template <class Visit>
void Throttle::Table::visit_part(Position scope, bool user, std::size_t part, const Visit& visit_record) const {
    const auto sets = population(user).sets_per_stripe;
    for (auto set_index = part * sets; set_index < (part + 1) * sets; ++set_index)
        for (std::size_t index = 0; index < kWays; ++index)
            if (const auto record = way(scope, user, set_index, index); record.taken()) visit_record(record);
}

template <class Visit>
void Throttle::Table::visit_networks_unlocked(Position scope, const Visit& visit_record) const {
    for (auto set_index = layout_.addresses.sets(); set_index < layout_.addresses.sets() + layout_.network_sets; ++set_index)
        for (std::size_t index = 0; index < kWays; ++index)
            if (const auto record = way(scope, false, set_index, index); record.taken()) visit_record(record);
}

// Every record of a network in the scope.
template <class Visit>
void Throttle::Table::visit_networks(Position scope, const Visit& visit_record, Stalled stalled) const {
    if (!layout_.groups()) return;
    const Guard guard(stripe(layout_.network_stripe()), heartbeat_);
    if (stalled == Stalled::throws) guard.require();
    visit_networks_unlocked(scope, visit_record);
}

// Every record of a client in the scope, stripe by stripe under its lock.
template <class Visit>
void Throttle::Table::visit(Position scope, bool user, const Visit& visit_record, Stalled stalled) const {
    if (!counts(scope, user)) return;
    const auto& whose = population(user);
    for (std::size_t part = 0; part < whose.stripes; ++part) {
        if (!is_touched(scope, stripe(whose.first_stripe + part))) continue;
        bring_in_records(scope, user, part);
        const Guard guard(stripe(whose.first_stripe + part), heartbeat_);
        if (stalled == Stalled::throws) guard.require();
        visit_part(scope, user, part, visit_record);
    }
}

}  // namespace recto
