#include "cache/process_memory.hpp"

#include <cstring>

namespace recto {

namespace {

// Nodes of the list and the table, a bucket, shared_ptr's counts, and malloc's own bytes for each of them.
constexpr std::uint64_t kOverhead = 320;

std::uint64_t heap_of(const std::string& text) {
    return text.capacity() > std::string().capacity() ? text.capacity() + 17 : 0;  // its NUL, malloc's header
}

std::uint64_t size_of(const CacheEntry& entry) {
    std::uint64_t size = sizeof entry + kOverhead + heap_of(entry.key) + heap_of(entry.bytes);
    size += entry.tags.capacity() * sizeof(std::string) + entry.slots.capacity() * sizeof(Slot);
    for (const auto& tag : entry.tags) size += heap_of(tag);
    return size;
}

}  // namespace

ProcessMemory::ProcessMemory(Size limit) : limit_(limit.bytes) { random_bytes(secret_); }

ProcessMemory::Name ProcessMemory::name_of(std::string_view key) const {
    const auto hash = sip_hash(key, secret_);
    std::uint64_t number = 0;
    std::memcpy(&number, hash.data(), sizeof number);
    return {number, key};
}

CacheHit ProcessMemory::find(std::string_view key, TimePoint now) {
    const auto name = name_of(key);
    auto& shard = shard_of(name);
    const std::scoped_lock lock(shard.mutex);
    const auto found = shard.by_name.find(name);
    if (found == shard.by_name.end()) return nullptr;
    const auto item = found->second;
    item->last_used = now;
    shard.items.splice(shard.items.begin(), shard.items, item);
    return item->entry;
}

void ProcessMemory::put(CacheHit entry, TimePoint now) {
    const auto size = size_of(*entry);
    if (size > limit_) return;
    const auto name = name_of(entry->key);
    auto& shard = shard_of(name);
    CacheHit old;  // its memory is given back after the lock
    {
        const std::scoped_lock lock(shard.mutex);
        if (const auto found = shard.by_name.find(name); found != shard.by_name.end()) old = take(shard, found->second);
        shard.items.push_front({name, std::move(entry), now, size});
        shard.by_name.emplace(name, shard.items.begin());
        used_ += size;
    }
    while (used_ > limit_) evict_the_oldest();
}

CacheHit ProcessMemory::take(Shard& shard, Items::iterator item) {
    auto entry = std::move(item->entry);
    used_ -= item->size;
    shard.by_name.erase(item->name);
    shard.items.erase(item);
    return entry;
}

void ProcessMemory::evict_the_oldest() {
    Shard* oldest = nullptr;
    auto last_used = TimePoint::max();
    for (auto& shard : shards_) {
        const std::scoped_lock lock(shard.mutex);
        if (shard.items.empty() || shard.items.back().last_used > last_used) continue;
        oldest = &shard;
        last_used = shard.items.back().last_used;
    }
    if (oldest == nullptr) return;
    CacheHit entry;
    const std::scoped_lock lock(oldest->mutex);
    if (!oldest->items.empty()) entry = take(*oldest, std::prev(oldest->items.end()));  // another thread may have been here
}

}  // namespace recto
