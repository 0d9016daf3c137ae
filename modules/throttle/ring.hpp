// ring.hpp - the accept times of one client in one scope, in shared memory.
//
// A ring has one slot more than the limit, so that the slot being written is never one that counts; a store of one 64-bit word then makes
// it count. A process killed before that store has changed nothing, one killed after it has counted one request.
//
// The word: head (24 bits), count (24), epoch (16). A slot holds the lower half of a time, `epoch` is the upper half of the newest one,
// so a ring that nobody touched for the 48 days in which slots wrap around is still read right.
//
// Threads:  a Window is immutable; a Ring is used under the lock of its client's stripe.
#pragma once

#include <atomic>
#include <cstdint>

#include "util/units.hpp"

namespace recto {

// `rate` in ticks. A slot counts in units of 2^n ticks, n = 0 for periods of up to 24 days: times are rounded up, now down.
class Window {
public:
    static constexpr std::uint32_t kMostLimit = (1U << 24) - 2;

    explicit Window(Rate rate);

    [[nodiscard]] std::uint32_t limit() const { return limit_; }
    [[nodiscard]] std::uint32_t slots() const { return limit_ + 1; }

    [[nodiscard]] std::uint64_t unit_after(std::uint64_t tick) const { return (tick + (1U << shift_) - 1) >> shift_; }
    [[nodiscard]] std::uint64_t expiry(std::uint64_t unit) const { return (unit + period_) << shift_; }  // the first tick without it

private:
    std::uint32_t limit_;
    unsigned shift_ = 0;
    std::uint64_t period_;  // in units, at most 2^31
};

class Ring {
public:
    Ring(const Window& window, std::atomic<std::uint64_t>& word, std::uint32_t* slots);

    [[nodiscard]] std::uint32_t live(std::uint64_t now) const { return count_ - expired(now); }
    [[nodiscard]] std::uint64_t newest() const { return newest_; }

    // The tick from which on a request would be accepted; not after `now`: at once.
    [[nodiscard]] std::uint64_t opens_at(std::uint64_t now) const;

    void push(std::uint64_t now);  // only when opens_at(now) <= now
    void clear();

private:
    [[nodiscard]] std::uint32_t expired(std::uint64_t now) const;
    [[nodiscard]] std::uint64_t expiry_of(std::uint32_t index) const;  // 0 is the oldest
    [[nodiscard]] std::uint32_t slot_of(std::uint32_t index) const;

    const Window& window_;
    std::atomic<std::uint64_t>& word_;
    std::uint32_t* slots_;
    std::uint32_t head_;
    std::uint32_t count_;
    std::uint64_t newest_ = 0;  // in units
};

}  // namespace recto
