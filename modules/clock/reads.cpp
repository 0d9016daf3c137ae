#include "clock/reads.hpp"

#include <algorithm>
#include <cassert>
#include <exception>

namespace recto {
namespace {

thread_local CollectReads* innermost = nullptr;
thread_local int writes = 0;

void insert_sorted(std::vector<std::string>& tags, const std::string& tag) {
    const auto place = std::ranges::lower_bound(tags, tag);
    if (place == tags.end() || *place != tag) tags.insert(place, tag);
}

}  // namespace

CollectReads::CollectReads(std::uint64_t epoch, std::uint64_t synced) : outer_(innermost) {
    reads_.epoch = epoch;
    reads_.seq = synced;
    reads_.storable = !is_writing();
    innermost = this;
}

CollectReads::~CollectReads() {
    assert(innermost == this);
    innermost = outer_;
    if (outer_ != nullptr) outer_->note_inner(*this);
}

// One that read nothing has nothing that could change: its label says nothing about the outer one.
void CollectReads::note_inner(const CollectReads& inner) noexcept {
    if (inner.has_noted_) note(inner.reads_.epoch, inner.reads_.seq, inner.reads_.tags);
    if (inner.reads_.hard_end) note_hard_end(*inner.reads_.hard_end);
    if (!inner.reads_.storable) note_unstorable();
}

// The first note replaces the label of what reads nothing; the later ones can only make it older.
void CollectReads::note(std::uint64_t epoch, std::uint64_t seq, std::span<const std::string> tags) noexcept {
    if ((has_noted_ && epoch != reads_.epoch) || is_writing()) note_unstorable();
    reads_.seq = has_noted_ ? std::min(reads_.seq, seq) : seq;
    reads_.epoch = epoch;
    has_noted_ = true;
    try {
        for (const auto& tag : tags) insert_sorted(reads_.tags, tag);
    } catch (const std::exception&) {
        note_unstorable();
    }
}

void CollectReads::note_hard_end(TimePoint end) noexcept { reads_.hard_end = std::min(end, reads_.hard_end.value_or(end)); }

void note_read(std::uint64_t epoch, std::uint64_t seq, std::span<const std::string> tags) {
    if (innermost != nullptr) innermost->note(epoch, seq, tags);
}

void note_hard_end(TimePoint end) {
    if (innermost != nullptr) innermost->note_hard_end(end);
}

void note_unstorable() {
    if (innermost != nullptr) innermost->note_unstorable();
}

// What is being collected outside of the transaction would see what it wrote.
WriteInProgress::WriteInProgress() {
    ++writes;
    note_unstorable();
}

WriteInProgress::~WriteInProgress() { --writes; }

bool is_writing() { return writes > 0; }

}  // namespace recto
