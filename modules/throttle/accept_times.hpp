// accept_times.hpp - when one client's requests were accepted in one scope, in shared memory.
//
// A Ring keeps each time. It has one slot more than the limit (or than a higher one before it), so that the slot being written is never one
// that counts; a store of one 64-bit word then makes it count. Windows keep how many there were in each 120th of the period; the store of
// one counter makes them count. A process killed before that store has changed nothing, one killed after it has counted one request.
//
// Times are ticks. A Ring rounds them up to units of 2^n ticks, so that a period fits a slot; Windows take each for the end of its window:
// a request is forgotten late at most, never early. Ticks have up to 48 bits.
//
// Threads:  a Window is immutable; a AcceptTimes is used under the lock of its client's stripe. What is read of a ring without it is true
//           if its word is the same before and after.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "throttle/throttle.hpp"
#include "util/units.hpp"

namespace recto {

[[nodiscard]] constexpr std::uint64_t ticks_of(std::chrono::seconds time) {
    return static_cast<std::uint64_t>(time.count()) * kTicksPerSecond;
}

// A rate and how it is kept: what is the same for all clients of a scope.
class Window {
public:
    static constexpr std::uint32_t kMostLimit = (1U << 24) - 2;
    static constexpr std::uint32_t kMostNarrowLimit = (1U << 16) - 2;  // of ring16 and windows
    static constexpr std::uint64_t kWindows = 120;

    // `capacity`: of the memory, if more than the limit.
    Window(Rate rate, Representation representation, std::uint32_t capacity = 0);

    [[nodiscard]] static constexpr std::uint32_t most(Representation representation) {
        return representation == Representation::ring32 ? kMostLimit : kMostNarrowLimit;
    }

    [[nodiscard]] std::uint32_t limit() const { return limit_; }
    [[nodiscard]] std::uint64_t period() const { return period_; }  // in ticks
    [[nodiscard]] Representation representation() const { return representation_; }
    [[nodiscard]] std::uint64_t lateness() const;    // in ticks
    [[nodiscard]] std::size_t record_bytes() const;  // of the memory behind a word
    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint32_t slots() const { return capacity_ + 1; }

    // In units of a ring.
    [[nodiscard]] std::uint64_t units() const { return units_; }
    [[nodiscard]] std::uint64_t unit_after(std::uint64_t tick) const { return (tick + (1U << shift_) - 1) >> shift_; }
    [[nodiscard]] std::uint64_t tick_of(std::uint64_t unit) const { return unit << shift_; }
    [[nodiscard]] std::uint64_t expiry(std::uint64_t unit) const { return (unit + units_) << shift_; }  // the first tick without it

    // The first tick without a time that times() told.
    [[nodiscard]] std::uint64_t expiry_of(std::uint64_t time) const {
        return representation_ == Representation::windows ? (time / width_ + kWindows + 1) * width_ : expiry(unit_after(time));
    }

    [[nodiscard]] std::uint64_t width() const { return width_; }  // of one of the windows, in ticks

private:
    std::uint32_t limit_;
    std::uint32_t capacity_;
    Representation representation_;
    std::uint64_t period_;
    unsigned shift_ = 0;
    std::uint64_t units_;
    std::uint64_t width_;
};

// The word: head, count (24 bits each, or 16 for 16-bit slots) and in the rest the upper part of the newest time, of which the slot holds
// the lower one: a ring that nobody touched for as long as slots need to wrap around is still read right.
template <class Slot>
class Ring {
public:
    Ring(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory);

    [[nodiscard]] std::uint32_t live(std::uint64_t now) const { return count_ - expired(now); }
    [[nodiscard]] std::uint64_t newest() const { return window_->tick_of(newest_); }
    [[nodiscard]] std::uint64_t opens_at(std::uint64_t now, std::uint32_t cost) const;
    [[nodiscard]] std::uint64_t oldest_expiry(std::uint64_t now) const;
    [[nodiscard]] std::vector<std::uint64_t> times() const;

    void push(std::uint64_t now, std::uint32_t cost, std::uint64_t end);
    void assign(const std::vector<std::uint64_t>& times);
    void clear();

private:
    static constexpr unsigned kSlotBits = 8 * sizeof(Slot);
    static constexpr unsigned kIndexBits = sizeof(Slot) == 4 ? 24 : 16;
    static constexpr std::uint64_t kIndexMask = (1ULL << kIndexBits) - 1;

    [[nodiscard]] std::uint32_t expired(std::uint64_t now) const;
    [[nodiscard]] Slot slot(std::uint32_t index) const;  // 0 is the oldest
    [[nodiscard]] std::uint64_t unit_of(std::uint32_t index) const;
    [[nodiscard]] std::uint64_t expiry_of(std::uint32_t index) const { return window_->expiry(unit_of(index)); }
    [[nodiscard]] std::uint32_t slot_of(std::uint32_t index) const;
    void commit();

    const Window* window_;
    std::atomic<std::uint64_t>* word_;
    Slot* slots_;
    std::uint32_t head_;
    std::uint32_t count_;
    std::uint64_t newest_ = 0;  // in units
};

// The word: the number of the newest window, counted from tick zero, and one.
class Windows {
public:
    Windows(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory);

    [[nodiscard]] std::uint32_t live(std::uint64_t now) const;
    [[nodiscard]] std::uint64_t newest() const { return newest_ * window_->width(); }
    [[nodiscard]] std::uint64_t opens_at(std::uint64_t now, std::uint32_t cost) const;
    [[nodiscard]] std::uint64_t oldest_expiry(std::uint64_t now) const;
    [[nodiscard]] std::vector<std::uint64_t> times() const;

    void push(std::uint64_t now, std::uint32_t cost, std::uint64_t end);
    void assign(const std::vector<std::uint64_t>& times);
    void clear();

private:
    static constexpr std::uint64_t kCounters = Window::kWindows + 1;

    [[nodiscard]] std::uint64_t first() const;  // the oldest one that has a counter
    [[nodiscard]] std::uint64_t expiry(std::uint64_t number) const { return (number + kCounters) * window_->width(); }
    [[nodiscard]] std::uint16_t& counter(std::uint64_t number) const { return counters_[number % kCounters]; }

    const Window* window_;
    std::atomic<std::uint64_t>* word_;
    std::uint16_t* counters_;
    bool is_empty_;
    std::uint64_t newest_ = 0;  // its number
};

// `memory` has window.record_bytes(), aligned to 4.
class AcceptTimes {
public:
    AcceptTimes(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory);

    [[nodiscard]] std::uint32_t live(std::uint64_t now) const;
    [[nodiscard]] std::uint64_t newest() const;  // about; to compare those of one scope

    // The tick from which on a request that counts `cost` (at most the limit) times would be accepted; not after `now`: at once.
    [[nodiscard]] std::uint64_t opens_at(std::uint64_t now, std::uint32_t cost = 1) const;

    // The tick at which the oldest one that counts will no longer; `now` when none does.
    [[nodiscard]] std::uint64_t oldest_expiry(std::uint64_t now) const;

    // Only when opens_at(now, cost) <= now. `end`: of the tick, if the clock goes on within it.
    void push(std::uint64_t now, std::uint32_t cost = 1, std::uint64_t end = 0);
    void clear();

    // For taking over into another table: the times, oldest first, none earlier than it was. Of those assigned the newest `capacity` count;
    // a limit looks at no more than its own number. Nobody may look at the memory while they are assigned; the word is stored last.
    [[nodiscard]] std::vector<std::uint64_t> times() const;
    void assign(const std::vector<std::uint64_t>& times);

private:
    using Kept = std::variant<Ring<std::uint32_t>, Ring<std::uint16_t>, Windows>;
    static Kept kept(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory);

    Kept kept_;
};

}  // namespace recto
