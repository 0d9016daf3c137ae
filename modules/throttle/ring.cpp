#include "throttle/ring.hpp"

#include <algorithm>
#include <cassert>
#include <ranges>

namespace recto {
namespace {

constexpr std::uint64_t kMostUnits = 1ULL << 31;  // half of what 32 bits hold: room for clocks that differ
constexpr std::uint64_t kTicksPerSecond = 1024;
constexpr unsigned kCountShift = 16;
constexpr unsigned kHeadShift = 40;
constexpr std::uint64_t kField = (1U << 24) - 1;

std::uint64_t pack(std::uint32_t head, std::uint32_t count, std::uint64_t newest) {
    return std::uint64_t{head} << kHeadShift | std::uint64_t{count} << kCountShift | (newest >> 32 & 0xFFFF);
}

}  // namespace

Window::Window(Rate rate) : limit_(rate.limit) {
    assert(limit_ <= kMostLimit);
    const auto ticks = static_cast<std::uint64_t>(rate.period.count()) * kTicksPerSecond;
    while (unit_after(ticks) > kMostUnits) ++shift_;
    period_ = unit_after(ticks);
}

Ring::Ring(const Window& window, std::atomic<std::uint64_t>& word, std::uint32_t* slots) : window_(window), word_(word), slots_(slots) {
    const auto value = word.load(std::memory_order_relaxed);
    head_ = static_cast<std::uint32_t>(value >> kHeadShift);
    count_ = static_cast<std::uint32_t>(value >> kCountShift & kField);
    if (count_ > 0) newest_ = (value & 0xFFFF) << 32 | slots_[slot_of(count_ - 1)];
}

std::uint32_t Ring::slot_of(std::uint32_t index) const {
    const auto slot = head_ + index;
    return slot < window_.slots() ? slot : slot - window_.slots();
}

std::uint64_t Ring::expiry_of(std::uint32_t index) const {
    const auto age = static_cast<std::uint32_t>(newest_) - slots_[slot_of(index)];
    return window_.expiry(newest_ - age);
}

// Times only grow along the ring, so what has expired is a prefix.
std::uint32_t Ring::expired(std::uint64_t now) const {
    if (count_ == 0 || expiry_of(0) > now) return 0;
    if (window_.expiry(newest_) <= now) return count_;
    const auto indices = std::views::iota(0U, count_);
    return *std::ranges::partition_point(indices, [&](std::uint32_t index) { return expiry_of(index) <= now; });
}

std::uint64_t Ring::opens_at(std::uint64_t now) const {
    if (count_ < window_.limit()) return now;
    const auto gone = expired(now);
    return count_ - gone < window_.limit() ? now : expiry_of(count_ - window_.limit());
}

void Ring::push(std::uint64_t now) {
    const auto gone = expired(now);
    newest_ = std::max(newest_, window_.unit_after(now));  // a clock that is behind must not break the order
    slots_[slot_of(count_)] = static_cast<std::uint32_t>(newest_);
    head_ = slot_of(gone);
    count_ = count_ - gone + 1;
    word_.store(pack(head_, count_, newest_), std::memory_order_release);
}

void Ring::clear() {
    word_.store(0, std::memory_order_release);
    head_ = count_ = 0;
    newest_ = 0;
}

}  // namespace recto
