#include "clock/epoch_memory.hpp"

#include <chrono>
#include <new>

#include "clock/clock.hpp"
#include "util/crypto.hpp"

namespace recto {
namespace {

template <class T>
T* at(std::span<std::byte> bytes) {
    if (bytes.size() != sizeof(T)) return nullptr;
    auto* const found = std::launder(reinterpret_cast<T*>(bytes.data()));
    return found->magic == T::kMagic ? found : nullptr;
}

// C++20 has no fetch_max.
void raise(SharedWord& word, std::uint64_t value) {
    auto now = word.load(std::memory_order_relaxed);
    while (now < value && !word.compare_exchange_weak(now, value, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

constexpr std::uint32_t fold(std::uint64_t word) { return static_cast<std::uint32_t>(word ^ (word >> 32)); }
constexpr std::uint32_t seq_of(std::uint64_t mark) { return static_cast<std::uint32_t>(mark >> 32); }
constexpr std::uint64_t mark_of(const ChangeSet& set) { return (set.seq << 32) | fold(set.nonce); }

// Half a number and half a nonce, so that no crash and no race can pair the one with another's other.
void raise_mark(SharedWord& mark, std::uint64_t value) {
    const auto is_later = [&](std::uint64_t now) { return static_cast<std::int32_t>(seq_of(value) - seq_of(now)) > 0; };
    auto now = mark.load(std::memory_order_relaxed);
    while (is_later(now) && !mark.compare_exchange_weak(now, value, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

}  // namespace

// Milliseconds in 44 bits are enough until 2527.
std::uint64_t new_epoch(std::uint64_t after) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    const auto epoch = static_cast<std::uint64_t>(now.count()) << 20 | random_number() >> 44;
    return epoch > after ? epoch : after + 1 + (random_number() >> 44);
}

ClockRoot* ClockRoot::make(std::span<std::byte> bytes) { return new (bytes.data()) ClockRoot; }
ClockRoot* ClockRoot::in(std::span<std::byte> bytes) { return at<ClockRoot>(bytes); }

EpochMemory* EpochMemory::make(std::span<std::byte> bytes, std::uint64_t id, std::uint64_t boot, const ChangeSet& all) {
    auto* const memory = new (bytes.data()) EpochMemory;
    memory->id = id;
    memory->epoch = all.epoch;
    memory->boot = boot;
    memory->state = all.trusted ? unsettled : broken;
    memory->mark = mark_of(all);
    memory->raise_to(all);
    return memory;
}

EpochMemory* EpochMemory::in(std::span<std::byte> bytes, std::uint64_t id) {
    auto* const memory = at<EpochMemory>(bytes);
    return memory != nullptr && memory->id == id ? memory : nullptr;
}

void EpochMemory::raise_to(const ChangeSet& set) {
    for (const auto& change : set.changes) raise(slots[slot_of(change.tag)], change.seq);
    if (set.since > synced_seq.load(std::memory_order_acquire)) return;
    raise_mark(mark, mark_of(set));
    raise(synced_seq, set.seq);
}

bool EpochMemory::is_contradicted_by(const ChangeSet& set) const {
    const auto known = mark.load(std::memory_order_acquire);
    return set.schema_moved || set.epoch < epoch || set.seq < set.since ||
           (seq_of(known) == static_cast<std::uint32_t>(set.seq) && known != mark_of(set));
}

bool EpochMemory::is_exactly(const ChangeSet& set, std::uint64_t boot_now) const {
    return boot == boot_now && state == usable && !set.schema_moved && epoch == set.epoch && synced_seq == set.seq && mark == mark_of(set);
}

}  // namespace recto
