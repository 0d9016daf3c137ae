// layout.hpp - where things lie in the throttle's shared file.
//
//     Header | stripes of addresses, of users | for each scope: sets of addresses, sets of users
//
// Two populations, addresses and users, so that no flood of addresses can push a user out. A stripe is a lock and a part of the sets of
// every scope; a client lies in one stripe, so one lock covers a request in all its scopes. A set is 8 tags, 8 words, 8 rings; within its
// stripe a client may lie in either of two sets.
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
#include <type_traits>
#include <vector>

#include "throttle/ring.hpp"
#include "throttle/robust_mutex.hpp"
#include "throttle/throttle.hpp"
#include "util/crypto.hpp"

namespace recto {

constexpr std::size_t kMaxScopes = 64;
constexpr std::size_t kWays = 8;

// What must be equal for a process to use a file: every byte. Whatever changes the layout of what follows changes kLayout.
struct Description {
    static constexpr std::uint64_t kMagic = 0x656c74746f726874;  // "throttle"
    static constexpr std::uint32_t kLayout = 1;

    struct Policy {
        std::array<char, 48> scope;
        std::uint32_t limit;
        std::uint32_t anonymous_only;
        std::int64_t period_seconds;
        bool operator==(const Policy&) const = default;
    };

    std::uint64_t magic;
    std::uint32_t layout;
    std::uint32_t policy_count;
    std::uint32_t clients;
    std::uint32_t users;
    Hash128 boot;
    std::array<Policy, kMaxScopes> policies;
    bool operator==(const Description&) const = default;
};

struct Header {
    Description description;
    SipKey secret;
};
static_assert(std::is_trivially_copyable_v<Header>);

struct alignas(128) Stripe {
    RobustMutex mutex;
    std::atomic<std::uint64_t> accepted{0}, refused{0}, evicted_live_requests{0}, recovered_locks{0}, stalls{0};
};

struct Set {
    std::array<std::atomic<std::uint64_t>, kWays> tags;  // 0: nobody
    std::array<std::atomic<std::uint64_t>, kWays> words;
    // and kWays rings
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && sizeof(Set) == 128);

struct Population {
    std::size_t first_stripe = 0;
    std::size_t stripes = 0;
    std::size_t sets_per_stripe = 0;
};

// The sets of one scope and one population.
struct Region {
    std::size_t offset = 0;
    std::size_t set_bytes = 0;
};

class Layout {
public:
    explicit Layout(const ThrottleOptions& options);

    struct ScopeRegions {
        Window window;
        Region addresses;
        std::optional<Region> users;  // none if a user isn't counted in this scope
    };

    Population addresses, users;
    std::vector<ScopeRegions> scopes;
    std::size_t size = 0;

    [[nodiscard]] std::size_t stripes() const { return addresses.stripes + users.stripes; }
    [[nodiscard]] static std::size_t offset_of_stripes();
};

// Throws std::runtime_error when the options don't fit the header.
[[nodiscard]] Description describe(const ThrottleOptions& options);

// The policies a file was made for; empty when it isn't a table of this boot and this program. The folder isn't filled in.
[[nodiscard]] std::optional<ThrottleOptions> read_description(std::span<const std::byte> file);

}  // namespace recto
