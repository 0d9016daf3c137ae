// cache.hpp - bytes with a label, in process memory and in memcached, both judged by the change clock.
//
// memcached holds bytes, never truth: what comes from there is used only if its full key is the one asked for and the clock says that
// nothing it was made from has changed. A dead, slow or lying memcached is a miss.
//
// Errors:   the constructor throws std::runtime_error for a server or prefix it can't use. After that none but invalidate()'s
//           (DatabaseError): what memcached does wrong is a miss, logged once when it begins and once when it ends.
// Threads:  safe to call from any thread; operations that run at the same time have different connections to memcached.
// Limits:   `memory` bytes in this process (least recently used leave first); items over 1 MiB don't fit memcached and stay in process
//           memory. Keys may be any bytes: only their hash reaches the protocol.
// Source:   memcached's protocol.txt; libmemcached 1.1.4, whose traps are in memcached.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"
#include "util/units.hpp"

namespace recto {

struct CacheOptions {
    std::vector<std::string> servers;  // `unix:/path` or `host:port`; several share the keys by consistent hashing
    std::chrono::milliseconds timeout{50};
    Size memory{32u << 20};
    std::string prefix = "recto:";  // printable, at most 200 bytes
    std::string build;              // what another build of the program stored is not ours
};

// Immutable once made, so that threads share it.
struct CacheEntry {
    std::string key;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::vector<std::string> tags;
    std::vector<Slot> slots;  // of the tags
    TimePoint created;
    TimePoint expires;                  // at the end of its time to live, or at hard_end if that is earlier
    std::optional<TimePoint> hard_end;  // what it was made from ends then; so does what is made from it
    std::string bytes;
};
using CacheHit = std::shared_ptr<const CacheEntry>;

class Cache {
public:
    // The store must outlive it.
    Cache(const CacheOptions& options, Store& store);
    ~Cache();

    // A valid entry, or null. `now` is the caller's clock. A hit notes what the entry was made from (clock/reads.hpp).
    // Null always while this thread writes.
    [[nodiscard]] CacheHit find_in_memory(std::string_view key, TimePoint now);     // no system call; null when the lease ran out
    [[nodiscard]] CacheHit find_in_memcached(std::string_view key, TimePoint now);  // one round trip; a hit goes to memory too
    [[nodiscard]] CacheHit find(std::string_view key, TimePoint now);               // memory, then memcached

    // Stores into both what was computed while `reads` was collected. Does nothing for what isn't storable or already known changed.
    void put(std::string_view key, std::string bytes, const Reads& reads, std::chrono::milliseconds ttl, TimePoint now);

    // Raw items: memcached alone, no clock, the value as it is. Every host and build with this prefix sees them. A ttl is rounded up to
    // seconds, at least 2 s and at most 30 days; false: not stored (ttl not positive, too large, no server).
    bool set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl);
    [[nodiscard]] std::optional<std::string> get(std::string_view key);
    bool remove(std::string_view key);  // false: there was none, or no server

    // Whatever depends on the tag is changed, on all hosts and levels: a write of the tag into the database. In a write transaction of
    // one's own use its touch().
    void invalidate(std::string_view tag);

    [[nodiscard]] Store& store();

    struct ServerStats {
        std::string server;
        bool reachable = false;
        std::vector<std::pair<std::string, std::string>> values;  // memcached's own names
    };
    [[nodiscard]] std::vector<ServerStats> server_stats();

private:
    class State;
    std::unique_ptr<State> state_;
};

}  // namespace recto
