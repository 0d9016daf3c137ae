// process_memory.hpp - entries of this process, the least recently used leave first.
//
// Threads:  safe to call from any thread: shards by a hash of the key, each with its own lock, held for about 50 ns.
// Limits:   `limit` bytes, counting what the entries' strings and our own tables take, after each put(). Who holds a CacheHit keeps its
//           entry alive beyond that. An entry that is larger than the limit is not kept.
#pragma once

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "cache/entry.hpp"
#include "util/crypto.hpp"
#include "util/units.hpp"

namespace recto {

class ProcessMemory {
public:
    explicit ProcessMemory(Size limit);

    // Without allocation. `now` orders what is used.
    [[nodiscard]] CacheHit find(std::string_view key, TimePoint now);
    void put(CacheHit entry, TimePoint now);

    [[nodiscard]] Size used() const { return Size{used_.load(std::memory_order_relaxed)}; }

private:
    // Visitors choose keys (addresses of pages), so the hash has a secret.
    struct Name {
        std::uint64_t hash;
        std::string_view key;  // of the entry
        bool operator==(const Name& other) const { return key == other.key; }
    };
    struct HashOfName {
        std::size_t operator()(const Name& name) const { return name.hash; }
    };
    struct Item {
        Name name;
        CacheHit entry;
        TimePoint last_used;
        std::uint64_t size;
    };
    using Items = std::list<Item>;  // most recently used first
    struct alignas(64) Shard {
        std::mutex mutex;
        // Guarded by mutex:
        Items items;
        std::unordered_map<Name, Items::iterator, HashOfName> by_name;
    };

    [[nodiscard]] Name name_of(std::string_view key) const;
    [[nodiscard]] Shard& shard_of(const Name& name) { return shards_[name.hash >> 60]; }
    CacheHit take(Shard& shard, Items::iterator item);
    void evict_the_oldest();

    const std::uint64_t limit_;
    SipKey secret_;
    std::atomic<std::uint64_t> used_{0};
    std::array<Shard, 16> shards_;
};

}  // namespace recto
