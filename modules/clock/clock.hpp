// clock.hpp - the change clock: whether something read from the database at moment S is still what the database says.
//
// Each committed change has a number (seq) and tags that name what it changed. The host's shared memory holds, for each of 2^16 slots,
// the number of the last change whose tag hashes there. A cached thing made at seq S from tags T is valid iff last_change[slot(t)] <= S
// for all of T. Collisions, lost writes to a cache and restarts cost a miss, never an error.
//
// Errors:   open() and sync() throw std::runtime_error when the database or the shared memory can't be used.
// Threads:  safe to call from any thread of any process of the host; safe to be killed in the middle of anything. Open it after fork.
// Limits:   an answer that passes is_valid() is not older than a write acknowledged, or data shown, before Reading was taken on this
//           host. A change that went around Recto is seen by the follower within 50 ms, and so is shared memory that someone removed
//           or replaced under running processes. A request that finds the last look older than 100 ms (the processes were stopped, or
//           wait for a processor) looks itself. If the database can't be asked, what is known counts for the lease of 2 s.
//           Half a megabyte of shared memory; an earlier epoch's is free once each process has looked at the clock again.
//           A file put in the place of the database (`mv`) is seen as soon: nothing is trusted until the old one is back.
//           Triggers that were dropped or replaced for a while are seen too, because that moves the schema's number: a new epoch begins.
// Not seen: a shell's `.dbconfig enable_trigger off`, and PRAGMA writable_schema or schema_version used to put a changed schema back as it
//           was; bytes of another file copied over the database (`cp`), which damages it. What `recto restore` writes has another epoch and
//           is seen.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "clock/change_source.hpp"

namespace recto {

using Slot = std::uint16_t;
[[nodiscard]] Slot slot_of(std::string_view tag);  // stable: the same in every process and version

// Monotonic, in steps of some milliseconds, the same for all processes of the host; no system call. It stands still while the machine is
// suspended, and so does everything on the host that could write.
struct LeaseClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<LeaseClock>;
    static constexpr bool is_steady = true;
    [[nodiscard]] static time_point now() noexcept;
};

class EpochWindow;

class ChangeClock {
public:
    static constexpr std::chrono::milliseconds kLease{2000};
    static constexpr std::chrono::milliseconds kRecent{100};

    // The folder is private and in memory; the source is used before open() returns and not kept.
    [[nodiscard]] static ChangeClock open(const std::filesystem::path& folder, ChangeSource& source);
    ChangeClock(ChangeClock&&) noexcept;
    ChangeClock& operator=(ChangeClock&&) noexcept;
    ~ChangeClock();

    // One look at the clock, which must outlive it. Take it BEFORE looking a cached thing up (Y of the protocol); it judges things of
    // its own epoch only, and nothing any more once this process uses another.
    class Reading {
    public:
        [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
        [[nodiscard]] std::uint64_t synced() const { return synced_; }

        // False too for what is labelled later than this host has synced (whoever made it here synced first; showing it would let later
        // hits go back), and for everything while is_trusted() is false.
        [[nodiscard]] bool is_valid(std::uint64_t seq, std::span<const Slot> slots) const;

        // A process of the host looked at the database within kRecent. If not: sync(), then take a new reading.
        [[nodiscard]] bool is_recent() const;

        // Within the lease: enough if the database can't be asked now.
        [[nodiscard]] bool is_fresh() const;

        // How long ago that was.
        [[nodiscard]] std::chrono::nanoseconds age() const;

        // False: changes may have gone unseen (the triggers are not the expected ones), so nothing is valid.
        [[nodiscard]] bool is_trusted() const;

    private:
        friend class ChangeClock;
        [[nodiscard]] bool is_current() const;  // after loads: they were from the memory that the reading was taken of

        const EpochWindow* window_ = nullptr;  // null: the shared memory can't be used; nothing is valid
        std::uint64_t id_ = 0;                 // of the epoch memory
        std::uint64_t epoch_ = 0;
        std::uint64_t synced_ = 0;
    };
    [[nodiscard]] Reading read() const;  // no system call

    // Brings the host up to the database. A new epoch is found, or made if the database went back.
    void sync(ChangeSource& source);

    // After our own COMMIT, from memory: changes_since(a synced() read earlier), read as the transaction's last statement. What follows
    // in the same request must take a new Reading. Never fails: what can't be published makes everything invalid until a sync().
    void publish(const ChangeSet& own);

    // The follower's: nobody committed between the last sync() and `looked_at`. False: not enough, sync() is needed.
    [[nodiscard]] bool renew_lease(LeaseClock::time_point looked_at);

    // Looks again where the shared memory is; it may have been replaced or removed under us.
    void remap_if_replaced(ChangeSource& source);

private:
    class State;
    explicit ChangeClock(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// A thread that runs sync() whenever someone else committed, and renews the lease.
class Follower {
public:
    static constexpr std::chrono::milliseconds kInterval{50};

    // The clock must outlive it. Failures, and triggers that can't be trusted, are logged when they begin and when they end. It tends the
    // source at each `tend_interval`.
    Follower(ChangeClock& clock, std::unique_ptr<ChangeSource> source, std::chrono::milliseconds tend_interval = std::chrono::hours(24));
    ~Follower();

private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace recto
