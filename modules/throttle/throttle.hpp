// throttle.hpp - how many requests one client may make.
//
// No more than `limit` accepted requests in any trailing `period`, for each (scope, client). Exact: the accept times are kept, in shared
// memory, so the count is one for all processes and outlives each of them.
//
// Errors:   open() throws std::runtime_error when the shared memory can't be made or isn't ours alone; check() never does. The
//           operator's functions (usage, fullest, reset) throw when a lock can't be had, and say why. A client never seen before has its
//           whole limit.
// Threads:  safe to call from any thread of any process that opened the same folder. A client at its limit is mostly refused without a
//           lock, and no processor writes what another one does: many who ask for one client don't wait for each other.
// Crashes:  a process killed with -9 at any instruction leaves a valid table; at most its own request is counted and not served.
// Limits:   `clients` addresses and `users` users per scope; when full, the one with the fewest live requests is forgotten, never one at
//           its limit (when all that could make room are at theirs, the newcomer is refused until one isn't). In a table for 1,024
//           clients or more a network can't take the room of all: see newcomer.hpp. 64 scopes, names of up to
//           47 bytes, limits of up to 2^24 - 2. Memory: memory_of(); it is never unmapped (the kernel unlocks for the dead by address),
//           so a program opens one table and keeps it.
// Time:     from a clock passed in (a test moves it), read under the lock where a request may be counted; ticks of 2^-18 s (4 microseconds)
//           of CLOCK_BOOTTIME. A request counts from the end of its tick on, so it is never forgotten early; how late at worst:
//           lateness_of().
// Policies: the file belongs to one set of policies. open() with others makes a new file, into which the counts of all scopes that both
//           have are moved, whatever else changed (rate, representation, size); also those above a lowered limit, should it be raised
//           again. Clients are moved a few hundred at a time; the processes that still run with the old policies count those that were
//           moved in the new file, by the rates it has. Each client is in one file at each moment: nobody gets a limit twice, and no
//           request waits for longer than those few hundred take, some milliseconds. (Only where a strict table changes its size all
//           wait for all.) Whoever is killed while he moves them leaves both files to the next one, who goes on.
//           A file that somebody removed is made again from what running processes have of it: look_after().
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

// How the accept times of a client are kept.
enum class Representation : std::uint8_t {
    ring32,   // each one, in 4 bytes
    ring16,   // each one, in 2 bytes, rounded up to period/49152 .. period/24576 (2 s of a day)
    windows,  // 121 counters of period/120 each, however high the limit
};

struct ThrottlePolicy {
    std::string scope;
    Rate rate;
    bool addresses_only = false;  // `anon`: a logged-in user is neither counted nor refused
    Representation representation = Representation::ring32;
    std::optional<Representation> of_users = {};  // else that of addresses
    bool dry_run = false;                         // would refuse: counted and told, but accepted

    // How many times a record holds, if that is more than the limit: as it was before the limit was lowered. Set by open().
    std::uint32_t capacity = 0;

    [[nodiscard]] Representation representation_of(bool user) const { return user ? of_users.value_or(representation) : representation; }
    bool operator==(const ThrottlePolicy&) const = default;
};

enum class Charge : std::uint8_t {
    atomic,  // all scopes or none: a refused request costs nothing anywhere, so Retry-After is always true
    drf,     // each scope that has room counts the request, also when another one refuses it
};

struct ThrottleOptions {
    std::filesystem::path folder;  // private, in memory
    std::vector<ThrottlePolicy> policies;
    std::uint32_t clients = 4096;
    std::uint32_t users = 1024;
    Charge charge = Charge::atomic;
    bool strict = false;               // who was forgotten gets nothing back: see Floor in layout.hpp
    std::filesystem::path snapshot{};  // where save() leaves the counts for after a reboot; empty: nowhere
};

constexpr std::uint64_t kTicksPerSecond = 1 << 18;

// A test passes its own.
class TickSource {
public:
    virtual ~TickSource() = default;
    [[nodiscard]] virtual std::uint64_t now() const = 0;  // the ticks that are over

    // Where the moment lies at the latest at which `now` were over. One that stands still in between is exact.
    [[nodiscard]] virtual std::uint64_t end_of(std::uint64_t now) const { return now; }
};
[[nodiscard]] const TickSource& boot_ticks();  // CLOCK_BOOTTIME, and two years: what happened before the boot has a time too

// Who asks: a user if there is one, else an address. Users and addresses never share a counter; an IPv6 address counts by its /64, an
// IPv4-mapped one as IPv4; what isn't an address at all is a client of its own kind.
struct Client {
    std::optional<std::int64_t> user_id;
    std::string_view address;
};

// What one request is to check().
struct RequestWeight {
    std::uint32_t cost = 1;    // how often it counts; one above a limit is refused always
    bool tell_quotas = false;  // also when it is accepted
    bool may_wait = true;      // for a lock, 200 ms at most; an event thread may not
};

class Throttle {
public:
    using Scope = std::size_t;  // the position in ThrottleOptions::policies

    enum class Outcome {
        accepted,
        refused,
        stalled,  // for 5 ms a stopped process held the lock: answer 503 rather than guess
        late,     // for 200 ms processes that run held the lock, or the table is being replaced: the same
        busy,     // only if the check may not wait: another thread holds the lock just now; ask again where waiting is allowed
    };
    // What is left to a client in one scope.
    struct Quota {
        Scope scope = 0;
        std::uint32_t remaining = 0;
        std::chrono::seconds more_in{0};  // until something comes back; zero: nothing was taken
    };
    struct Verdict {
        Outcome outcome = Outcome::accepted;
        std::chrono::seconds retry_after{0};  // refused: until all scopes would accept; rounded up, never zero
        Scope scope = 0;                      // refused: the scope that takes longest
        bool no_room = false;                 // refused: there is no room to count the client in; it has used nothing that is known
        std::vector<Quota> quotas = {};       // refused, or asked for: of each scope that counts such a client, as it is afterwards
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
    [[nodiscard]] const std::vector<ThrottlePolicy>& policies() const;  // as given to open()

    // Counts the request in each of the scopes, or refuses it. A scope named twice counts once.
    [[nodiscard]] Verdict check(std::span<const Scope> scopes, const Client& client, const RequestWeight& weight = {});

    // Whether the client is at its limit in one of the scopes, by what is known of itself: one that was never counted isn't, also where
    // check() would find no room for it. Counts nothing but the refusal.
    [[nodiscard]] Verdict look(std::span<const Scope> scopes, const Client& client, bool may_wait = true);

    // The refusals of one client in one scope, from the first one on; those of clients beyond what can be told apart come together.
    struct Refusals {
        std::string scope;   // `several`, for `others` of more than one
        std::string client;  // `192.0.2.1`, `2001:db8::/64`, `user 12`; `others`
        std::uint64_t count = 0;
        std::chrono::seconds lasted{0};
        std::chrono::seconds retry_after{0};  // as told last, from now
        bool dry_run = false;
    };
    // Those that are due to be told: the scope accepts again, or ten minutes are over; each once, whichever process asks.
    [[nodiscard]] std::vector<Refusals> take_refusals();

    // Once a second, in each process that runs on: follows a table that was replaced, and puts back one whose file somebody removed. What
    // there is to tell the log, else empty. Throws std::runtime_error.
    [[nodiscard]] std::string look_after();

    // A part of the table, the addresses or the users of one scope, that became full (more than three quarters of its records are taken),
    // or of which at most five eighths are taken again.
    struct Room {
        std::string scope;
        bool users = false;
        bool is_full = false;
        std::uint64_t used = 0, records = 0;
    };
    // Once a second, in each process that runs on; one of them counts the records of full parts and of networks again. What changed since
    // the last time, told to one of the processes.
    [[nodiscard]] std::vector<Room> recount();

    // Leaves the live counts in options.snapshot, from where open() takes them when it finds no table. Throws std::system_error.
    void save() const;

    // For the operator. What a client has used, without counting.
    struct Usage {
        std::string scope;
        Rate rate;
        std::uint32_t used = 0;
        std::chrono::seconds more_in{0};      // until something comes back; zero: nothing was used
        std::chrono::seconds retry_after{0};  // zero: the next one is accepted
    };
    [[nodiscard]] std::vector<Usage> usage(const Client& client) const;

    // The fullest records of each scope, the fullest first. Addresses aren't stored (only a keyed hash), so a record has no name.
    struct Record {
        std::string scope;
        bool is_user = false;
        bool is_network = false;  // of all who count with their network
        std::uint32_t used = 0;
        std::uint32_t limit = 0;
    };
    [[nodiscard]] std::vector<Record> fullest(std::size_t count) const;
    [[nodiscard]] std::vector<Refusals> refusals() const;  // those not told yet: these have names

    void reset(const Client& client);  // in all scopes
    void reset(Scope scope);           // for all clients

    struct Counters {
        std::uint64_t accepted = 0, refused = 0, would_refuse = 0, evicted_live_requests = 0, recovered_locks = 0;
        std::uint64_t stalls = 0;      // a stopped process held a lock
        std::uint64_t late_locks = 0;  // processes that run held one for 200 ms
        std::uint64_t no_room = 0;     // of those refused
    };
    [[nodiscard]] Counters counters() const;  // of all processes since the table was made

    // How full: records with live requests and those there are, over all scopes.
    struct Fill {
        std::uint64_t used = 0, records = 0;
    };
    [[nodiscard]] Fill fill(bool users) const;

private:
    class Table;
    class Shared;
    explicit Throttle(std::unique_ptr<Shared> shared);
    std::unique_ptr<Shared> shared_;
};

// How much later than one period after it was accepted a request may be forgotten.
[[nodiscard]] std::chrono::milliseconds lateness_of(const ThrottlePolicy& policy, bool user = false);

// The size of the table.
[[nodiscard]] Size memory_of(const ThrottleOptions& options);

// `192.0.2.1`, `2001:db8::/64`, `user 12`: whom check() counts.
[[nodiscard]] std::string name_of(const Client& client);

}  // namespace recto
