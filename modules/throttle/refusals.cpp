#include "throttle/refusals.hpp"

#include <algorithm>

#include "throttle/accept_times.hpp"

namespace recto {
namespace {

constexpr std::uint64_t kSoonest = 10 * kTicksPerSecond;
constexpr std::uint64_t kLatest = 600 * kTicksPerSecond;

bool is_used(const RefusalSlot& slot) { return slot.count.load(std::memory_order_relaxed) > 0; }

bool is_of(const RefusalSlot& slot, const NotedRefusals& refusals) {
    return is_used(slot) && slot.scope == refusals.scope && slot.dry_run == refusals.dry_run &&
           slot.client.bytes() == refusals.client.bytes();
}

NotedRefusals note_of(const RefusalSlot& slot) {
    return {.count = slot.count.load(std::memory_order_relaxed),
            .first = slot.first,
            .until = slot.until,
            .scope = slot.scope,
            .dry_run = slot.dry_run != 0,
            .client = slot.client};
}

bool is_due(const RefusalSlot& slot, std::uint64_t now) {
    return is_used(slot) && (now >= slot.first + kLatest || (now >= slot.first + kSoonest && now >= slot.until));
}

}  // namespace

bool RefusalNotes::any() const { return std::ranges::any_of(slots_, is_used); }

void RefusalNotes::add(const NotedRefusals& refusals) {
    auto& slot = slot_for(refusals);
    const auto before = slot.count.load(std::memory_order_relaxed);
    if (before == 0) {
        slot.first = refusals.first;
        slot.until = refusals.until;
        slot.scope = refusals.scope;
        slot.dry_run = refusals.dry_run;
        slot.client = &slot == slots_.data() ? ClientKey() : refusals.client;
    }
    // Of all who come together.
    if (slot.scope != refusals.scope) slot.scope = NotedRefusals::kSeveral;
    slot.dry_run = slot.dry_run != 0 && refusals.dry_run;
    slot.until = std::max(slot.until, refusals.until);
    slot.count.store(before + refusals.count, std::memory_order_release);
}

void RefusalNotes::end(const ClientKey& client, std::uint64_t now) {
    for (auto& slot : slots_)
        if (is_used(slot) && slot.client.bytes() == client.bytes()) slot.until = std::min(slot.until, now);
}

void RefusalNotes::end(std::uint32_t scope, std::uint64_t now) {
    for (auto& slot : slots_)
        if (is_used(slot) && slot.scope == scope) slot.until = std::min(slot.until, now);
}

RefusalSlot& RefusalNotes::slot_for(const NotedRefusals& refusals) {
    const auto own = slots_.subspan(1);
    if (const auto found = std::ranges::find_if(own, [&](const RefusalSlot& slot) { return is_of(slot, refusals); }); found != own.end())
        return *found;
    const auto unused = std::ranges::find_if_not(own, is_used);
    return unused != own.end() ? *unused : slots_.front();
}

std::vector<NotedRefusals> RefusalNotes::all() const {
    std::vector<NotedRefusals> notes;
    for (const auto& slot : slots_)
        if (is_used(slot)) notes.push_back(note_of(slot));
    return notes;
}

std::vector<NotedRefusals> RefusalNotes::take_due(std::uint64_t now) {
    std::vector<NotedRefusals> notes;
    for (auto& slot : slots_) {
        if (!is_due(slot, now)) continue;
        notes.push_back(note_of(slot));
        slot.count.store(0, std::memory_order_release);
    }
    return notes;
}

}  // namespace recto
