#include "throttle/accept_times.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <ranges>
#include <span>

namespace recto {
namespace {

constexpr std::uint64_t kMostUnits = 1ULL << 31;        // half of what a slot of 32 bits holds: room for clocks that differ
constexpr std::uint64_t kMostNarrowUnits = 3ULL << 14;  // three quarters of 16 bits

std::uint64_t most_units(Representation representation) { return representation == Representation::ring16 ? kMostNarrowUnits : kMostUnits; }

}  // namespace

Window::Window(Rate rate, Representation representation, std::uint32_t capacity)
    : limit_(rate.limit),
      capacity_(std::max(rate.limit, capacity)),
      representation_(representation),
      period_(ticks_of(rate.period)),
      units_(period_),
      width_((period_ + kWindows - 1) / kWindows) {
    assert(capacity_ <= most(representation));
    for (; units_ > most_units(representation); units_ = unit_after(period_)) ++shift_;
}

// A time is rounded up by less than a unit, and so is the period.
std::uint64_t Window::lateness() const {
    if (representation_ == Representation::windows) return (kWindows + 1) * width_ - period_;
    return shift_ == 0 ? 0 : expiry(1) - 1 - period_;
}

std::size_t Window::record_bytes() const {
    const auto bytes = representation_ == Representation::windows  ? (kWindows + 1) * sizeof(std::uint16_t)
                       : representation_ == Representation::ring16 ? slots() * sizeof(std::uint16_t)
                                                                   : slots() * sizeof(std::uint32_t);
    return (bytes + 3) / 4 * 4;
}

template <class Slot>
Ring<Slot>::Ring(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory)
    : window_(&window), word_(&word), slots_(reinterpret_cast<Slot*>(memory)) {
    const auto value = word.load(std::memory_order_acquire);
    // What another process wrote is no reason to look anywhere but into this ring.
    head_ = std::min(static_cast<std::uint32_t>(value >> (64 - kIndexBits)), window.slots() - 1);
    count_ = std::min(static_cast<std::uint32_t>(value >> (64 - 2 * kIndexBits) & kIndexMask), window.capacity());
    constexpr std::uint64_t kUpperMask = (1ULL << (64 - 2 * kIndexBits)) - 1;
    if (count_ > 0) newest_ = (value & kUpperMask) << kSlotBits | slot(count_ - 1);
}

template <class Slot>
Slot Ring<Slot>::slot(std::uint32_t index) const {
    return std::atomic_ref(slots_[slot_of(index)]).load(std::memory_order_acquire);
}

template <class Slot>
std::uint32_t Ring<Slot>::slot_of(std::uint32_t index) const {
    const auto slot = head_ + index;
    return slot < window_->slots() ? slot : slot - window_->slots();
}

template <class Slot>
std::uint64_t Ring<Slot>::unit_of(std::uint32_t index) const {
    return newest_ - static_cast<Slot>(static_cast<Slot>(newest_) - slot(index));
}

// Times only grow along the ring, so what has expired is a prefix.
template <class Slot>
std::uint32_t Ring<Slot>::expired(std::uint64_t now) const {
    if (count_ == 0 || expiry_of(0) > now) return 0;
    if (window_->expiry(newest_) <= now) return count_;
    const auto indices = std::views::iota(0U, count_);
    return *std::ranges::partition_point(indices, [&](std::uint32_t index) { return expiry_of(index) <= now; });
}

template <class Slot>
std::uint64_t Ring<Slot>::opens_at(std::uint64_t now, std::uint32_t cost) const {
    if (count_ + cost <= window_->limit()) return now;
    const auto gone = expired(now);
    return count_ - gone + cost <= window_->limit() ? now : expiry_of(count_ + cost - window_->limit() - 1);
}

template <class Slot>
std::uint64_t Ring<Slot>::oldest_expiry(std::uint64_t now) const {
    const auto gone = expired(now);
    return gone == count_ ? now : expiry_of(gone);
}

template <class Slot>
std::vector<std::uint64_t> Ring<Slot>::times() const {
    std::vector<std::uint64_t> times;
    times.reserve(count_);
    for (std::uint32_t index = 0; index < count_; ++index) times.push_back(window_->tick_of(unit_of(index)));
    return times;
}

// There is one spare slot: to write more, those that have expired are given up first, by a store of its own.
template <class Slot>
void Ring<Slot>::push(std::uint64_t now, std::uint32_t cost, std::uint64_t end) {
    const auto gone = expired(now);
    const auto behind = slot_of(count_);
    head_ = slot_of(gone);
    count_ -= gone;
    if (cost > 1 && gone > 0) commit();
    newest_ = std::max(newest_, window_->unit_after(std::max(now, end)));  // a clock that is behind must not break the order
    for (std::uint32_t i = 0; i < cost; ++i)
        std::atomic_ref(slots_[(behind + i) % window_->slots()]).store(static_cast<Slot>(newest_), std::memory_order_release);
    count_ += cost;
    commit();
}

template <class Slot>
void Ring<Slot>::assign(const std::vector<std::uint64_t>& times) {
    clear();
    if (times.empty() || window_->capacity() == 0) return;
    newest_ = window_->unit_after(times.back());
    const auto most = std::min<std::size_t>(times.size(), window_->capacity());
    for (const auto time : std::span(times).last(most)) {
        const auto unit = window_->unit_after(time);
        if (newest_ - unit < window_->units()) std::atomic_ref(slots_[count_++]).store(static_cast<Slot>(unit), std::memory_order_release);
    }
    commit();
}

template <class Slot>
void Ring<Slot>::clear() {
    word_->store(0, std::memory_order_release);
    head_ = count_ = 0;
    newest_ = 0;
}

template <class Slot>
void Ring<Slot>::commit() {
    const auto upper = newest_ >> kSlotBits;
    word_->store(std::uint64_t{head_} << (64 - kIndexBits) | std::uint64_t{count_} << (64 - 2 * kIndexBits) | upper,
                 std::memory_order_release);
}

Windows::Windows(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory)
    : window_(&window), word_(&word), counters_(reinterpret_cast<std::uint16_t*>(memory)) {
    const auto value = word.load(std::memory_order_relaxed);
    is_empty_ = value == 0;
    if (!is_empty_) newest_ = value - 1;
}

std::uint64_t Windows::first() const { return newest_ < Window::kWindows ? 0 : newest_ - Window::kWindows; }

std::uint32_t Windows::live(std::uint64_t now) const {
    if (is_empty_) return 0;
    auto sum = std::accumulate(counters_, counters_ + kCounters, std::uint32_t{0});
    for (auto number = first(); number <= newest_ && expiry(number) <= now; ++number) sum -= counter(number);
    return sum;
}

std::uint64_t Windows::opens_at(std::uint64_t now, std::uint32_t cost) const {
    auto counted = live(now);
    if (counted + cost <= window_->limit()) return now;
    for (auto number = first(); number <= newest_; ++number) {
        if (expiry(number) <= now) continue;
        counted -= counter(number);
        if (counted + cost <= window_->limit()) return expiry(number);
    }
    return expiry(newest_);
}

std::uint64_t Windows::oldest_expiry(std::uint64_t now) const {
    if (is_empty_) return now;
    for (auto number = first(); number <= newest_; ++number)
        if (counter(number) > 0 && expiry(number) > now) return expiry(number);
    return now;
}

std::vector<std::uint64_t> Windows::times() const {
    std::vector<std::uint64_t> times;
    if (is_empty_) return times;
    for (auto number = first(); number <= newest_; ++number)
        times.insert(times.end(), counter(number), (number + 1) * window_->width() - 1);
    return times;
}

// Only counters of windows that have expired are cleared before the word says that they are others'. A tick lies in one window whole.
void Windows::push(std::uint64_t now, std::uint32_t cost, std::uint64_t) {
    const auto number = is_empty_ ? now / window_->width() : std::max(newest_, now / window_->width());
    if (is_empty_) {
        std::fill_n(counters_, kCounters, std::uint16_t{0});
    } else {
        const auto most = std::min(number, newest_ + kCounters);
        for (auto next = newest_ + 1; next <= most; ++next) counter(next) = 0;
    }
    newest_ = number;
    is_empty_ = false;
    word_->store(newest_ + 1, std::memory_order_release);
    const std::atomic_ref last(counter(newest_));
    last.store(static_cast<std::uint16_t>(counter(newest_) + cost), std::memory_order_release);
}

void Windows::assign(const std::vector<std::uint64_t>& times) {
    clear();
    if (times.empty() || window_->capacity() == 0) return;
    std::fill_n(counters_, kCounters, std::uint16_t{0});
    newest_ = times.back() / window_->width();
    is_empty_ = false;
    const auto most = std::min<std::size_t>(times.size(), window_->capacity());
    for (const auto time : std::span(times).last(most))
        if (const auto number = time / window_->width(); number >= first()) ++counter(number);
    word_->store(newest_ + 1, std::memory_order_release);
}

void Windows::clear() {
    word_->store(0, std::memory_order_release);
    is_empty_ = true;
    newest_ = 0;
}

AcceptTimes::Kept AcceptTimes::kept(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory) {
    switch (window.representation()) {
        case Representation::ring16:
            return Ring<std::uint16_t>(window, word, memory);
        case Representation::windows:
            return Windows(window, word, memory);
        case Representation::ring32:
            break;
    }
    return Ring<std::uint32_t>(window, word, memory);
}

AcceptTimes::AcceptTimes(const Window& window, std::atomic<std::uint64_t>& word, std::byte* memory) : kept_(kept(window, word, memory)) {}

std::uint32_t AcceptTimes::live(std::uint64_t now) const {
    return std::visit([&](const auto& kept) { return kept.live(now); }, kept_);
}
std::uint64_t AcceptTimes::newest() const {
    return std::visit([](const auto& kept) { return kept.newest(); }, kept_);
}
std::uint64_t AcceptTimes::opens_at(std::uint64_t now, std::uint32_t cost) const {
    return std::visit([&](const auto& kept) { return kept.opens_at(now, cost); }, kept_);
}
std::uint64_t AcceptTimes::oldest_expiry(std::uint64_t now) const {
    return std::visit([&](const auto& kept) { return kept.oldest_expiry(now); }, kept_);
}
void AcceptTimes::push(std::uint64_t now, std::uint32_t cost, std::uint64_t end) {
    std::visit([&](auto& kept) { kept.push(now, cost, end); }, kept_);
}
void AcceptTimes::clear() {
    std::visit([](auto& kept) { kept.clear(); }, kept_);
}
std::vector<std::uint64_t> AcceptTimes::times() const {
    return std::visit([](const auto& kept) { return kept.times(); }, kept_);
}
void AcceptTimes::assign(const std::vector<std::uint64_t>& times) {
    std::visit([&](auto& kept) { kept.assign(times); }, kept_);
}

}  // namespace recto
