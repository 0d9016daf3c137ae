// epoch_memory.hpp - the shared memory's layout: the root names an epoch memory, which holds what the host knows of one epoch.
//
// Each epoch memory is a file with a name of its own (a random number), so that changing the root's one word moves all processes at once
// and a name never means two things. A new one is `unsettled`: filled before it was named, it lacks what was committed and published
// elsewhere in between; the first sync that begins after the naming has seen that, and makes it `usable`.
//
// Errors:   none.
// Threads:  each field that changes is one atomic; a process may be killed between any two of them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "clock/change_source.hpp"

namespace recto {

using SharedWord = std::atomic<std::uint64_t>;
static_assert(SharedWord::is_always_lock_free && sizeof(SharedWord) == 8);

// Change it with the layout: it is part of the files' names, so that versions don't meet.
inline constexpr std::uint64_t kLayoutVersion = 1;

struct ClockRoot {
    static constexpr std::uint64_t kMagic = 0x524f4f54434c4b00 + kLayoutVersion;

    std::uint64_t magic = kMagic;
    SharedWord current{0};  // the number of the epoch memory in use; 0: none

    static ClockRoot* make(std::span<std::byte> bytes);
    static ClockRoot* in(std::span<std::byte> bytes);  // null: it isn't one
};

struct EpochMemory {
    static constexpr std::uint64_t kMagic = 0x45504f43434c4b00 + kLayoutVersion;
    enum : std::uint64_t { unsettled, usable, broken };  // broken: a change may have gone unseen; only another epoch helps

    std::uint64_t magic = kMagic;
    std::uint64_t id = 0;
    SharedWord epoch{0};  // never changes, but is read through an EpochWindow
    std::uint64_t boot = 0;
    alignas(64) SharedWord state{unsettled};
    SharedWord synced_seq{0};  // all changes up to it are in `slots`
    SharedWord mark{0};        // the nonce that belongs to a seq: both in one word, set before synced_seq is
    SharedWord synced_at{0};   // LeaseClock
    alignas(64) std::array<SharedWord, 1 << 16> slots{};

    // Filled from all changes.
    static EpochMemory* make(std::span<std::byte> bytes, std::uint64_t id, std::uint64_t boot, const ChangeSet& all);
    static EpochMemory* in(std::span<std::byte> bytes, std::uint64_t id);  // null: it isn't the one

    // The slots first. synced_seq only if nothing is missing between it and the rows.
    void raise_to(const ChangeSet& set);

    // The database is not the one that was synced: its epoch or its numbers went back, or one of them has another nonce, or its schema
    // moved.
    [[nodiscard]] bool is_contradicted_by(const ChangeSet& set) const;

    // Not a change more or less than what was synced in this boot.
    [[nodiscard]] bool is_exactly(const ChangeSet& set, std::uint64_t boot_now) const;
};

}  // namespace recto
