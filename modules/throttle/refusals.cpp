#include "throttle/refusals.hpp"

#include <algorithm>

#include <sched.h>

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

bool is_due(const RefusalSlot& slot, std::uint64_t now) {
    return is_used(slot) && (now >= slot.first + kLatest || (now >= slot.first + kSoonest && now >= slot.until));
}

}  // namespace

NotedRefusals RefusalNotes::note_of(const RefusalSlot& slot) const {
    auto count = slot.count.load(std::memory_order_relaxed);
    for (const auto& part : again_) count += part.of_slots[index_of(slot)].load(std::memory_order_relaxed);
    return {.count = count,
            .first = slot.first,
            .until = slot.until,
            .scope = slot.scope,
            .dry_run = slot.dry_run != 0,
            .client = slot.client,
            .tag = slot.tag};
}

RefusalMemory::Again& RefusalNotes::again_here() const { return again_[static_cast<unsigned>(::sched_getcpu()) % again_.size()]; }

void RefusalNotes::count_refused() { again_here().refused.fetch_add(1, std::memory_order_relaxed); }

std::uint64_t RefusalNotes::refused() const {
    std::uint64_t sum = 0;
    for (const auto& part : again_) sum += part.refused.load(std::memory_order_relaxed);
    return sum;
}

bool RefusalNotes::any() const { return std::ranges::any_of(slots_, is_used); }

void RefusalNotes::add(const NotedRefusals& refusals) {
    auto& slot = slot_for(refusals);
    const auto before = slot.count.load(std::memory_order_relaxed);
    if (before == 0) {
        slot.first = refusals.first;
        slot.until = refusals.until;
        slot.scope = refusals.scope;
        slot.dry_run = static_cast<std::uint8_t>(refusals.dry_run);
        slot.client = &slot == slots_.data() ? ClientKey() : refusals.client;
        slot.tag = refusals.tag;
    }
    // Of all who come together.
    if (slot.scope != refusals.scope) slot.scope = NotedRefusals::kSeveral;
    slot.dry_run = static_cast<std::uint8_t>(slot.dry_run != 0 && refusals.dry_run);
    slot.until = std::max(slot.until.load(), refusals.until);
    slot.count.store(before + refusals.count, std::memory_order_release);
}

// The slot may become another's in between: then it tells one too many, and nobody knows of whom.
const RefusalSlot* RefusalNotes::known(std::uint64_t tag, std::uint32_t scope, std::uint64_t until) const {
    const auto own = slots_.subspan(1);
    const auto is_own = [&](const RefusalSlot& slot) { return slot.tag == tag && slot.scope == scope && slot.dry_run == 0; };
    const auto found = std::ranges::find_if(own, is_own);
    if (found == own.end() && !std::ranges::all_of(own, is_used)) return nullptr;
    const auto& slot = found != own.end() ? *found : slots_.front();
    const bool is_told_the_same =
        slot.dry_run == 0 && (slot.scope == scope || slot.scope == NotedRefusals::kSeveral) && slot.until >= until;
    return is_used(slot) && is_told_the_same ? &slot : nullptr;
}

void RefusalNotes::add_again(const RefusalSlot& slot) { again_here().of_slots[index_of(slot)].fetch_add(1, std::memory_order_relaxed); }

void RefusalNotes::end(const ClientKey& client, std::uint64_t now) {
    for (auto& slot : slots_)
        if (is_used(slot) && slot.client.bytes() == client.bytes()) slot.until = std::min(slot.until.load(), now);
}

void RefusalNotes::end(std::uint32_t scope, std::uint64_t now) {
    for (auto& slot : slots_)
        if (is_used(slot) && slot.scope == scope) slot.until = std::min(slot.until.load(), now);
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
        auto note = note_of(slot);
        note.count = slot.count.load(std::memory_order_relaxed);
        for (auto& part : again_) note.count += part.of_slots[index_of(slot)].exchange(0, std::memory_order_relaxed);
        notes.push_back(note);
        slot.count.store(0, std::memory_order_release);
    }
    return notes;
}

}  // namespace recto
