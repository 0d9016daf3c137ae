// refusals.hpp - the refusals of one stripe that nobody has been told of yet.
//
// Threads:  used under the lock of the stripe; any(), known(), add_again() and the numbers refused without it.
// Crashes:  a slot counts once its count is stored, last; who is killed before that leaves it unused.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "throttle/client_key.hpp"

namespace recto {

struct RefusalSlot {
    std::atomic<std::uint64_t> count{0};  // 0: unused
    std::atomic<std::uint64_t> tag{0};    // of the client
    std::atomic<std::uint64_t> until{0};  // ticks
    std::uint64_t first = 0;
    std::atomic<std::uint32_t> scope{0};  // position in the file
    std::atomic<std::uint8_t> dry_run{0};
    ClientKey client;
};

// The refusals of one stripe. What is counted without the lock is written on one processor apart from that of another: a line of memory
// that two write costs each of them more than all the rest of a refusal.
struct RefusalMemory {
    static constexpr std::size_t kSlots = 8;
    static constexpr std::size_t kProcessors = 4;
    struct alignas(128) Again {
        std::atomic<std::uint64_t> refused{0};
        std::array<std::atomic<std::uint64_t>, kSlots> of_slots{};
    };

    std::array<RefusalSlot, kSlots> slots{};
    std::array<Again, kProcessors> again{};
};

struct NotedRefusals {
    static constexpr std::uint32_t kSeveral = ~0U;

    std::uint64_t count = 0;
    std::uint64_t first = 0;
    std::uint64_t until = 0;
    std::uint32_t scope = 0;  // kSeveral: of more than one
    bool dry_run = false;     // all of them
    ClientKey client;         // of nobody: of all who found no slot of their own
    std::uint64_t tag = 0;    // of the client
};

class RefusalNotes {
public:
    // The first slot is for all who find no other.
    explicit RefusalNotes(RefusalMemory& memory) : slots_(memory.slots), again_(memory.again) {}

    [[nodiscard]] bool any() const;
    void add(const NotedRefusals& refusals);

    // The slot of which only the number would change; nothing where more is new, which is to be added under the lock.
    [[nodiscard]] const RefusalSlot* known(std::uint64_t tag, std::uint32_t scope, std::uint64_t until) const;
    void add_again(const RefusalSlot& slot);
    void count_refused();
    [[nodiscard]] std::uint64_t refused() const;  // as counted by count_refused(), since the table was made

    // A client, or all of a scope, are let in again before the time that was noted.
    void end(const ClientKey& client, std::uint64_t now);
    void end(std::uint32_t scope, std::uint64_t now);

    [[nodiscard]] std::vector<NotedRefusals> all() const;

    // And forgets them. Due: no longer refused and begun ten seconds ago, or begun ten minutes ago.
    [[nodiscard]] std::vector<NotedRefusals> take_due(std::uint64_t now);

private:
    [[nodiscard]] RefusalSlot& slot_for(const NotedRefusals& refusals);
    [[nodiscard]] NotedRefusals note_of(const RefusalSlot& slot) const;
    [[nodiscard]] std::size_t index_of(const RefusalSlot& slot) const { return static_cast<std::size_t>(&slot - slots_.data()); }
    [[nodiscard]] RefusalMemory::Again& again_here() const;

    std::span<RefusalSlot> slots_;
    std::span<RefusalMemory::Again> again_;
};

}  // namespace recto
