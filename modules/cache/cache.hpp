// cache.hpp - bytes with a label, in process memory and in memcached, both judged by the change clock.
//
// memcached holds bytes, never truth: what comes from there is used only if its full key is the one asked for and the clock says that
// nothing it was made from has changed. A dead, slow or lying memcached is a miss. What has changed is never shown again. What has only
// grown old may be shown while another request recomputes it, and while the database can't be read. An entry that was made later than
// now, by a clock that ran ahead, is invalid: its times mean nothing.
//
// An item's name and the key of its checksum are keyed by the site's secret: who may write to memcached can lose entries, not forge them.
//
// Errors:   the constructor throws std::runtime_error for a server, prefix or folder it can't use. After that none but invalidate()'s and
//           flush()'s (DatabaseError): what memcached does wrong is a miss, logged once when it begins and once when it ends.
// Threads:  safe to call from any thread; operations that run at the same time have different connections to memcached.
// Limits:   `memory` bytes in this process (least recently used leave first); items over `max_item` don't fit memcached, are counted and
//           stay in process memory. Keys may be any bytes: only their hash reaches the protocol.
// Source:   memcached's protocol.txt; libmemcached 1.1.4, whose traps are in memcached.hpp; RFC 5861 for the two kinds of stale; Vattani
//           and others, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, for the early refresh.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/entry.hpp"
#include "cache/flights.hpp"
#include "store/store.hpp"
#include "util/units.hpp"

namespace recto {

struct CacheOptions {
    std::vector<std::string> servers;   // `unix:/path` or `host:port`; several share the keys by consistent hashing
    std::filesystem::path runtime_dir;  // counters and locks that the host's processes share
    std::chrono::milliseconds timeout{50};
    std::chrono::milliseconds retry{1000};  // how long a server that failed is left alone
    Size memory{32u << 20};
    Size max_item{1u << 20};        // memcached's own -I
    std::string prefix = "recto:";  // printable, at most 200 bytes
    std::string build;              // what another build of the program stored is not ours
    // Made if it isn't there (site_secret.hpp). All processes and hosts of a site have the same; empty: one in runtime_dir. Without one
    // that can be read memcached isn't used, which is logged once (`cache.no_secret`).
    std::filesystem::path secret_file = {};
    std::chrono::milliseconds stale_while_revalidate{30'000};
    std::chrono::milliseconds stale_if_error{3'600'000};
    std::chrono::milliseconds patience{5000};  // for another's computation
    std::string user = {}, password = {};      // for SASL over TCP; both or none
    std::vector<std::string> subjects = {};    // what is counted apart: the names of the views
};

// What is known of a key, best first.
struct CacheLookup {
    enum class State {
        fresh,
        aging,            // fresh, but hot and soon to expire: one who may wait should make a new one (early refresh)
        expired,          // its time ran out, nothing it was made from has changed: to be shown while another is made
        kept_for_errors,  // the same, longer ago: to be shown only if no other can be made
        unverified,       // the database can't be asked whether it changed; to be shown, as no other can be made
        changed,          // not to be shown; `entry` is null, as with absent
        absent,
    };
    State state = State::absent;
    bool in_memory = false;    // else it was memcached that had it
    std::uint64_t synced = 0;  // what it was judged by
    CacheHit entry;

    [[nodiscard]] bool is_fresh() const { return state <= State::aging; }
    [[nodiscard]] bool may_be_shown_meanwhile() const { return state <= State::expired; }
    [[nodiscard]] bool may_be_shown_on_error() const { return state <= State::unverified; }
    [[nodiscard]] bool is_newer_than(const CacheLookup& old) const { return !old.entry || entry->created > old.entry->created; }
};

// The entry, after noting what it was made from (clock/reads.hpp): for what is made from it in turn.
CacheHit used(const CacheLookup& lookup);

enum class CacheEvent {
    memory_hit,
    memory_miss,     // absent, or its time ran out
    memory_invalid,  // changed
    memcached_hit,
    memcached_miss,
    memcached_invalid,
    stale,      // shown although its time ran out or it couldn't be verified
    collapsed,  // answered by another's computation
    stored,
    too_large,  // for memcached
    error,      // computing it failed
};
inline constexpr std::size_t kCacheEvents = 11;
[[nodiscard]] std::string_view to_text(CacheEvent event);

class Cache {
public:
    // What is counted apart: the place of a name in CacheOptions::subjects.
    using Subject = std::size_t;
    static constexpr Subject kFunctions = SIZE_MAX;

    // The store must outlive it.
    Cache(const CacheOptions& options, Store& store);
    ~Cache();

    // `now` is the caller's clock. Absent always while this thread writes.
    [[nodiscard]] CacheLookup look_in_memory(std::string_view key, TimePoint now, Subject = kFunctions);     // no system call
    [[nodiscard]] CacheLookup look_in_memcached(std::string_view key, TimePoint now, Subject = kFunctions);  // one round trip
    [[nodiscard]] CacheLookup look_further(std::string_view key, TimePoint now, Subject = kFunctions);  // once memory had nothing fresh
    [[nodiscard]] CacheLookup look(std::string_view key, TimePoint now, Subject = kFunctions);          // memory, then further

    // What memcached has under the key, right or not: for the operator.
    [[nodiscard]] std::optional<CacheEntry> stored_in_memcached(std::string_view key);

    // Whether an entry that was made meanwhile is right for who asks now.
    [[nodiscard]] CacheLookup judge(const CacheHit& entry, std::string_view key, TimePoint now);

    // A fresh entry, noted as used, or null.
    [[nodiscard]] CacheHit find(std::string_view key, TimePoint now) { return fresh(look(key, now)); }
    [[nodiscard]] CacheHit find_in_memory(std::string_view key, TimePoint now) { return fresh(look_in_memory(key, now)); }

    // Null, and not stored: it isn't storable, or already known changed.
    enum class Reach { host, process };  // both levels, or process memory alone
    struct Computed {
        std::string_view key;
        std::string bytes;
        const Reads& reads;  // collected since `begun`
        std::chrono::milliseconds ttl;
        TimePoint begun, ended;
        Reach reach = Reach::host;
    };
    CacheHit put(Computed computed, Subject = kFunctions);

    // Who computes what is missing.
    [[nodiscard]] Flights& flights();

    void count(CacheEvent event, Subject = kFunctions) noexcept;
    [[nodiscard]] std::uint64_t counted(CacheEvent event, Subject) const;  // since the machine started, by all processes of the host

    // Raw items: memcached alone, no clock, the value as it is. Every host and build with this prefix sees them. A ttl is rounded up to
    // seconds, at least 2 s and at most 30 days; false: not stored (ttl not positive, too large, no server).
    bool set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl);
    [[nodiscard]] std::optional<std::string> get(std::string_view key);
    bool remove(std::string_view key);  // false: there was none, or no server

    // Whatever depends on the tag is changed, on all hosts and levels: a write of the tag into the database. In a write transaction of
    // one's own use its touch().
    void invalidate(std::string_view tag);

    // All that is cached of this database is gone, on all hosts and levels: a new epoch. Raw items stay.
    void flush();

    [[nodiscard]] Store& store();

    struct ServerStats {
        std::string server;
        bool reachable = false;
        std::vector<std::pair<std::string, std::string>> values;  // memcached's own names
    };
    [[nodiscard]] std::vector<ServerStats> server_stats();

private:
    struct Look;
    [[nodiscard]] Look look_of_who_may_wait(TimePoint now);
    [[nodiscard]] static CacheHit fresh(const CacheLookup& lookup) { return lookup.is_fresh() ? used(lookup) : nullptr; }

    class State;
    std::unique_ptr<State> state_;
};

}  // namespace recto
