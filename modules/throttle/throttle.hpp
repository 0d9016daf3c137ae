// throttle.hpp - how many requests one client may make.
//
// No more than `limit` accepted requests in any trailing `period`, for each (scope, client). Exact: the accept times are kept, in shared
// memory, so the count is one for all processes and outlives each of them.
//
// Errors:   open() throws std::runtime_error when the shared memory can't be made or isn't ours alone; check() never does. The
//           operator's functions (usage, fullest, reset) throw when a stopped process holds a lock. A client never seen before has its
//           whole limit.
// Threads:  safe to call from any thread of any process that opened the same folder with the same policies.
// Crashes:  a process killed with -9 at any instruction leaves a valid table; at most its own request is counted and not served.
// Limits:   `clients` addresses and `users` users per scope; when full, the one with the fewest live requests is forgotten, never one at
//           its limit (when all that could make room are at theirs, the newcomer is refused until one isn't). 64 scopes, names of up to
//           47 bytes, limits of up to 2^24 - 2. Memory: about 5 bytes x (limit + 5) for each client and scope. It is never unmapped
//           (the kernel unlocks for the dead by address), so a program opens one table and keeps it.
// Time:     from a clock passed in (a test moves it), read under the lock; ticks of 1/1024 s of CLOCK_BOOTTIME, of 1/64 s for a period
//           of a year: a request is never forgotten early.
// Policies: the file belongs to one set of policies. open() with others makes a new one and keeps the counts of the scopes whose rate
//           didn't change; processes that still run with the old policies count in the old one until they end.
// Source:   DRF's rule (rest_framework/throttling.py); RFC 6585 section 4 (429), RFC 9110 section 10.2.3 (Retry-After).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "util/units.hpp"

namespace recto {

struct ThrottlePolicy {
    std::string scope;
    Rate rate;
    bool anonymous_only = false;  // `anon`: a logged-in user is neither counted nor refused

    bool operator==(const ThrottlePolicy&) const = default;
};

struct ThrottleOptions {
    std::filesystem::path folder;  // private, in memory
    std::vector<ThrottlePolicy> policies;
    std::uint32_t clients = 4096;
    std::uint32_t users = 1024;
};

// 1/1024 s. A test passes its own.
class TickSource {
public:
    virtual ~TickSource() = default;
    [[nodiscard]] virtual std::uint64_t now() const = 0;
};
[[nodiscard]] const TickSource& boot_ticks();  // CLOCK_BOOTTIME

// Who asks: a user if there is one, else an address. Users and addresses never share a counter; an IPv6 address counts by its /64, an
// IPv4-mapped one as IPv4; what isn't an address at all is a client of its own kind.
struct Client {
    std::optional<std::int64_t> user_id;
    std::string_view address;
};

class Throttle {
public:
    using Scope = std::size_t;  // the position in ThrottleOptions::policies

    enum class Outcome {
        accepted,
        refused,
        stalled,  // for 5 ms a stopped process held the lock: answer 503 rather than guess
    };
    struct Verdict {
        Outcome outcome = Outcome::accepted;
        std::chrono::seconds retry_after{0};  // refused: until all scopes would accept; rounded up, never zero
        Scope scope = 0;                      // refused: the scope that takes longest
    };

    [[nodiscard]] static Throttle open(const ThrottleOptions& options, const TickSource& ticks = boot_ticks());

    // The table in use, with its own policies, for the operator's program: never makes one. Empty when there is none of this boot.
    [[nodiscard]] static std::optional<Throttle> attach(const std::filesystem::path& folder, const TickSource& ticks = boot_ticks());

    Throttle(Throttle&&) noexcept;
    Throttle& operator=(Throttle&&) noexcept;
    ~Throttle();

    // What open() had to do, for the log: empty when it found the table, else a sentence.
    [[nodiscard]] const std::string& note() const;

    [[nodiscard]] std::optional<Scope> find(std::string_view scope) const;

    // All scopes or none: a refused request costs nothing anywhere, so Retry-After is always true. A scope named twice counts once.
    [[nodiscard]] Verdict check(std::span<const Scope> scopes, const Client& client);

    // For the operator. What a client has used, without counting.
    struct Usage {
        std::string scope;
        Rate rate;
        std::uint32_t used = 0;
        std::chrono::seconds retry_after{0};  // zero: the next one is accepted
    };
    [[nodiscard]] std::vector<Usage> usage(const Client& client) const;

    // The fullest records of each scope, the fullest first. Addresses aren't stored (only a keyed hash), so a record has no name.
    struct Record {
        std::string scope;
        bool is_user = false;
        std::uint32_t used = 0;
        std::uint32_t limit = 0;
    };
    [[nodiscard]] std::vector<Record> fullest(std::size_t count) const;

    void reset(const Client& client);  // in all scopes
    void reset(Scope scope);           // for all clients

    struct Counters {
        std::uint64_t accepted = 0, refused = 0, evicted_live_requests = 0, recovered_locks = 0, stalls = 0;
    };
    [[nodiscard]] Counters counters() const;  // of all processes since the table was made

private:
    class Table;
    explicit Throttle(std::unique_ptr<Table> table);
    std::unique_ptr<Table> table_;
};

}  // namespace recto
