// flights.hpp - one computation at a time for each key, in this process and on this host.
//
// Whoever joins first leads: he computes and lands. The others of his process wait for him, without a thread if they like; those of
// other processes wait until his lock on the key is gone and look into memcached. What lands is judged by each who waited as any hit is
// (clock.md: the leader's snapshot may be older than a write acknowledged before the waiter came).
//
// Errors:   the constructor throws std::system_error if the lock file can't be opened. Where the kernel has no lock to give, everybody
//           leads in his process.
// Threads:  safe to call from any thread. A wake is called while our mutex is held: it may queue work, not call us.
// Limits:   `max_waiting` waiters a process, each for at most `patience`; the others compute by themselves. A leader that is killed
//           lets go of his lock by dying; one that hangs costs its waiters their patience.
// Source:   fcntl(2), open file description locks: one byte for each key, at a hash of it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "cache/entry.hpp"
#include "util/file.hpp"

namespace recto {

class Flights {
public:
    struct Options {
        std::filesystem::path lock_file;
        std::chrono::milliseconds patience{5000};
        std::size_t max_waiting = 4096;
    };
    explicit Flights(Options options);
    ~Flights();
    Flights(const Flights&) = delete;
    Flights& operator=(const Flights&) = delete;

    // The right to compute. Ends with land() or with the object; then those who wait compute by themselves.
    class Lead {
    public:
        Lead(Lead&& other) noexcept;
        Lead& operator=(Lead&&) = delete;
        ~Lead() { land(nullptr); }

        void land(const CacheHit& made);  // null: nothing that others may have

    private:
        friend class Flights;
        Lead(Flights& flights, std::string key) : flights_(&flights), key_(std::move(key)) {}
        Flights* flights_;  // null: has landed
        std::string key_;
    };

    struct Made {  // by a leader of this process
        CacheHit entry;
    };
    struct LookAgain {};  // another process has finished: what it made is in memcached
    struct Alone {};      // compute by yourself
    using Landing = std::variant<Alone, Made, LookAgain>;

    // One who waits: he stops when he is destroyed. Nothing of his may be touched after join() but by the wake or after it.
    class Waiter {
    public:
        explicit Waiter(std::function<void()> wake) : wake_(std::move(wake)) {}
        ~Waiter();
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;

        [[nodiscard]] const Landing& landing() const { return landing_; }

    private:
        friend class Flights;
        std::function<void()> wake_;
        Landing landing_;
        std::chrono::steady_clock::time_point until_;
        Flights* flights_ = nullptr;  // since he joined
        // guarded by its mutex_
        bool waits_ = false;
        std::string_view key_;
    };

    // Leads; or else, if there is a waiter, he waits and will be woken once, from any thread, perhaps before this returns; or neither.
    struct Joined {
        std::optional<Lead> lead;
        bool waits = false;
    };
    [[nodiscard]] Joined join(std::string_view key, Waiter* waiter);

    // The same for a thread that has time: Lead, or how it landed.
    [[nodiscard]] std::variant<Lead, Landing> join_and_wait(std::string_view key);

    [[nodiscard]] bool is_flying(std::string_view key);

private:
    struct Flight {
        bool elsewhere = false;  // led in another process
        std::vector<Waiter*> waiters;
    };
    using ByKey = std::map<std::string, Flight, std::less<>>;

    void land(const std::string& key, const CacheHit& made);
    void stop_waiting(Waiter& waiter);
    void watch(const std::stop_token& stop);
    void wake_late(std::chrono::steady_clock::time_point now);
    void look_elsewhere();
    [[nodiscard]] std::chrono::steady_clock::time_point next_look() const;
    void wake_all(Flight& flight, const Landing& landing);
    void wake(Waiter& waiter, Landing landing);

    [[nodiscard]] bool lock_on_host(std::string_view key) const;
    void unlock_on_host(std::string_view key) const;

    const Options options_;
    const UniqueFd lock_file_;

    std::mutex mutex_;
    // guarded by mutex_
    ByKey flights_;
    std::size_t waiting_ = 0;
    bool has_news_ = false;  // somebody joined since the watcher decided how long to sleep
    std::condition_variable_any changed_;
    std::jthread watcher_;  // since somebody waits; last: it uses the others
};

}  // namespace recto
