// refusals.hpp - the refusals of one stripe that nobody has been told of yet.
//
// Threads:  used under the lock of the stripe; any() without it.
// Crashes:  a slot counts once its count is stored, last; who is killed before that leaves it unused.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "throttle/client_key.hpp"

namespace recto {

struct RefusalSlot {
    std::atomic<std::uint64_t> count{0};  // 0: unused
    std::uint64_t first = 0;              // ticks
    std::uint64_t until = 0;
    std::uint32_t scope = 0;  // position in the file
    std::uint32_t dry_run = 0;
    ClientKey client;
};

struct NotedRefusals {
    static constexpr std::uint32_t kSeveral = ~0U;

    std::uint64_t count = 0;
    std::uint64_t first = 0;
    std::uint64_t until = 0;
    std::uint32_t scope = 0;  // kSeveral: of more than one
    bool dry_run = false;     // all of them
    ClientKey client;         // of nobody: of all who found no slot of their own
};

class RefusalNotes {
public:
    // The first slot is for all who find no other.
    explicit RefusalNotes(std::span<RefusalSlot> slots) : slots_(slots) {}

    [[nodiscard]] bool any() const;
    void add(const NotedRefusals& refusals);

    // A client, or all of a scope, are let in again before the time that was noted.
    void end(const ClientKey& client, std::uint64_t now);
    void end(std::uint32_t scope, std::uint64_t now);

    [[nodiscard]] std::vector<NotedRefusals> all() const;

    // And forgets them. Due: no longer refused and begun ten seconds ago, or begun ten minutes ago.
    [[nodiscard]] std::vector<NotedRefusals> take_due(std::uint64_t now);

private:
    [[nodiscard]] RefusalSlot& slot_for(const NotedRefusals& refusals);

    std::span<RefusalSlot> slots_;
};

}  // namespace recto
