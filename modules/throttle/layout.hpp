// layout.hpp - where things lie in the throttle's shared file.
//
//     Header | stripes of addresses, of users | for each scope: sets of addresses, sets of users
//
// Two populations, addresses and users, so that no flood of addresses can push a user out. A stripe is a lock and a part of the sets of
// every scope; a client lies in one stripe, so one lock covers a request in all its scopes. A set is 8 tags, 8 words, 8 times the memory
// of AcceptTimes; within its stripe a client may lie in either of two sets. All of that follows from the client's tag.
//
// Networks have records of their own, in sets behind those of the addresses, under one more stripe; see newcomer.hpp. A table for fewer
// than kLeastToGroup addresses has none.
//
// While a file is replaced there are two. The new one is `throttle.next`, beside `throttle`, and each stripe of the old one is moved by
// itself: its records are copied under its lock, then it says that they are gone. So every client counts in one file at each moment, and
// nobody waits for longer than one stripe takes. When all are moved, the new file takes the old one's name.
//
// Threads:  plain values, immutable after construction.
// Source:   two choices: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "throttle/accept_times.hpp"
#include "throttle/client_key.hpp"
#include "throttle/refusals.hpp"
#include "throttle/robust_mutex.hpp"
#include "throttle/throttle.hpp"
#include "util/crypto.hpp"

namespace recto {

constexpr std::size_t kWays = 8;
constexpr std::size_t kNetworkSets = 32;
constexpr std::uint32_t kLeastToGroup = 1024;

// The two networks in which an address lies, the smaller first: keyed hashes of its /48 and /32, or /24 and /16. 0: in none.
using Networks = std::array<std::uint16_t, 2>;
constexpr std::size_t kNetworkHashes = 1 << 16;

// What must be equal for a process to use a file: every byte. Whatever changes the layout of what follows changes kLayout.
struct Description {
    static constexpr std::uint64_t kMagic = 0x656c74746f726874;  // "throttle"
    static constexpr std::uint32_t kLayout = 6;

    struct Policy {
        std::array<char, 48> scope;
        std::uint32_t limit;
        std::uint16_t addresses_only;
        std::uint8_t representation;
        std::uint8_t representation_of_users;
        std::int64_t period_seconds;
        std::uint64_t capacity;  // at least the limit
        bool operator==(const Policy&) const = default;
    };

    std::uint64_t magic;
    std::uint32_t layout;
    std::uint32_t policy_count;
    std::uint32_t clients;
    std::uint32_t users;
    std::uint64_t strict;
    Hash128 boot;
    std::array<Policy, kMaxScopes> policies;
    bool operator==(const Description&) const = default;
};

struct Header {
    Description description;
    SipKey secret;
    std::uint64_t id;       // random
    std::uint64_t follows;  // the id of the one whose place it takes; 0: of none

    // From when another file begins to take its place on. Whoever finds it set at the start of its work goes on with that file, should
    // the one who began be dead.
    enum Retired : std::uint32_t { kInUse, kStopped, kMoving, kReplaced };
    std::atomic<std::uint32_t> retired;

    std::atomic<std::uint64_t> recount_at;  // the tick before which no process counts the records again
};

// How many records of a scope are taken. Changed as they are taken and given up; a recount leaves out those that have expired, and mends
// what a killed process left wrong.
struct Crowd {
    struct Part {
        std::atomic<std::int64_t> taken{0};
        std::atomic<std::uint32_t> is_told_full{0};
    };
    Part addresses, users;
    std::atomic<std::int64_t> networks{0};  // never fewer than there are
};

// By network, of the addresses of one scope. What a small network holds above its share isn't counted for the large one it is part of.
using RecordsOfNetworks = std::array<std::atomic<std::int32_t>, kNetworkHashes>;

struct alignas(128) Stripe {
    RobustMutex mutex;
    // Under the lock; without it only if a stopped process holds it. Nobody counts in a closed stripe; the clients of one that was moved
    // count in the file that follows. Who finds it so after it counted counts again there.
    enum Retired : std::uint32_t { kOpen, kClosed, kMoved };
    std::atomic<std::uint32_t> retired{kOpen};
    std::atomic<std::uint64_t> accepted{0}, refused{0}, would_refuse{0}, evicted_live_requests{0}, recovered_locks{0}, stalls{0},
        late_locks{0}, no_room{0};
    std::atomic<std::uint64_t> touched{0};  // scopes in which a client of it was ever counted, as bits
    RefusalMemory refusals;
};

// In a strict table each set has one: the i-th newest of its times is not older than the i-th newest of anybody who was forgotten there,
// so who starts with these times can't have more than the limit. Two AcceptTimes, of which one is valid while the other is written.
// Two lists sorted the same way are both bounded by their maximum, element by element.
struct Floor {
    std::atomic<std::uint64_t> valid;  // 0 or 1
    std::array<std::atomic<std::uint64_t>, 2> words;
    std::uint64_t unused;
};

struct Set {
    std::array<std::atomic<std::uint64_t>, kWays> tags;  // 0: nobody
    std::array<std::atomic<std::uint64_t>, kWays> words;
    std::array<std::atomic<std::uint32_t>, kWays> networks;  // of the addresses: Networks
    // and kWays records; then perhaps a Floor and its two
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && sizeof(Set) == 160);

struct Population {
    std::size_t first_stripe = 0;
    std::size_t stripes = 0;
    std::size_t sets_per_stripe = 0;

    [[nodiscard]] std::size_t sets() const { return stripes * sets_per_stripe; }
    [[nodiscard]] std::size_t records() const { return sets() * kWays; }
};

// Where a client or a network lies, the same in every scope.
struct Place {
    bool user;
    std::uint64_t tag;
    std::size_t stripe;
    std::array<std::size_t, 2> sets;
};
[[nodiscard]] Place place_of(std::uint64_t tag, bool user, const Population& population);

// The sets of one scope and one population.
struct Region {
    std::size_t offset = 0;
    std::size_t set_bytes = 0;
};

class Layout {
public:
    explicit Layout(const ThrottleOptions& options);

    struct ScopeRegions {
        Window window;  // of addresses and their networks
        Window of_users;
        Region addresses;
        std::optional<Region> users;  // none if a user isn't counted in this scope
        std::size_t crowd = 0;        // the offset of its Crowd, and of the RecordsOfNetworks behind it
    };

    Population addresses, users;
    std::size_t network_sets = 0;  // behind those of the addresses
    std::vector<ScopeRegions> scopes;
    std::size_t size = 0;

    [[nodiscard]] bool groups() const { return network_sets > 0; }
    [[nodiscard]] std::size_t network_stripe() const { return addresses.stripes + users.stripes; }
    [[nodiscard]] std::size_t stripes() const { return network_stripe() + (groups() ? 1 : 0); }
    [[nodiscard]] Place place_of_network(std::uint64_t tag) const;
    [[nodiscard]] static std::size_t offset_of_stripes();
    [[nodiscard]] static std::size_t offset_of_crowd_numbers();  // of the RecordsOfNetworks, from the Crowd on
};

// Throws std::runtime_error when the options don't fit the header.
[[nodiscard]] Description describe(const ThrottleOptions& options);

// The policies a file was made for; empty when it isn't a table of this boot and this program. Folder, charge, dry runs and snapshot
// aren't filled in: they are a matter of each process.
[[nodiscard]] std::optional<ThrottleOptions> read_description(std::span<const std::byte> file);

}  // namespace recto
