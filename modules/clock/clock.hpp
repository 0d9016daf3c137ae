// clock.hpp - the change clock: whether something read from the database at moment S is still what the database says.
//
// Each committed change has a number (seq) and tags that name what it changed. The host's shared memory holds, for each of 2^16 slots,
// the number of the last change whose tag hashes there. A cached thing made at seq S from tags T is valid iff last_change[slot(t)] <= S
// for all of T. Collisions, lost writes to a cache and restarts cost a miss, never an error.
//
// Errors:   open() and sync() throw std::runtime_error when the database or the shared memory can't be used.
// Threads:  safe to call from any thread of any process of the host; safe to be killed in the middle of anything.
// Limits:   an answer that passes is_valid() is not older than a write acknowledged, or data shown, before Reading was taken on this
//           host. A change that went around Recto is seen by the follower within 50 ms; after 2 s without a look at the database
//           (the lease) nothing is valid.
// Not seen: triggers switched off in a database shell; a file restored under a running service and advanced past the synced seq
//           within one poll.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "clock/change_source.hpp"

namespace recto {

using Slot = std::uint16_t;
[[nodiscard]] Slot slot_of(std::string_view tag);  // stable: the same in every process and version

class ChangeClock {
public:
    static constexpr std::chrono::milliseconds kLease{2000};

    // The folder is private and in memory; the source is used before open() returns and not kept.
    [[nodiscard]] static ChangeClock open(const std::filesystem::path& folder, ChangeSource& source);
    ChangeClock(ChangeClock&&) noexcept;
    ChangeClock& operator=(ChangeClock&&) noexcept;
    ~ChangeClock();

    // One look at the clock. Take it BEFORE looking a cached thing up (Y of the protocol); it judges things of its own epoch only.
    class Reading {
    public:
        [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
        [[nodiscard]] std::uint64_t synced() const { return synced_; }

        // False too when the triggers can't be trusted.
        [[nodiscard]] bool is_valid(std::uint64_t seq, std::span<const Slot> slots) const;

        // Somebody looked at the database within the lease. If not: sync(), then take a new reading.
        [[nodiscard]] bool is_fresh() const;

    private:
        friend class ChangeClock;
        const void* memory_ = nullptr;
        std::uint64_t epoch_ = 0;
        std::uint64_t synced_ = 0;
    };
    [[nodiscard]] Reading read() const;  // no system call

    // Brings the host up to the database. A new epoch is found, or made if the database went back.
    void sync(ChangeSource& source);

    // After our own COMMIT, from memory: the rows read as the transaction's last statement.
    void publish(const ChangeSet& own);

    // Looks again where the shared memory is; it may have been replaced under us.
    void remap_if_replaced(ChangeSource& source);

private:
    class Memory;
    explicit ChangeClock(std::unique_ptr<Memory> memory);
    std::unique_ptr<Memory> memory_;
};

// A thread that runs sync() whenever someone else committed, and renews the lease.
class Follower {
public:
    static constexpr std::chrono::milliseconds kInterval{50};

    // The clock must outlive it. Failures are logged when they begin and when they end.
    Follower(ChangeClock& clock, std::unique_ptr<ChangeSource> source);
    ~Follower();

private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace recto
