// lease_keeper.hpp - keeps a clock's last look recent, as the follower does on a machine that is never busy. It doesn't look.
//
// Threads:  one thread of its own.
// Limits:   where a test lets others than Recto write, it needs a real Follower.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "clock/clock.hpp"

namespace recto {

class LeaseKeeper {
public:
    explicit LeaseKeeper(ChangeClock& clock) : clock_(clock) {
        renew();
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }

private:
    void renew() { (void)clock_.renew_lease(LeaseClock::now() + kAhead); }

    void run(const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock(mutex);
        while (!stopped.wait_for(lock, stop, std::chrono::milliseconds(10), [&] { return stop.stop_requested(); })) renew();
    }

    static constexpr auto kAhead = ChangeClock::kLease - std::chrono::milliseconds(100);
    ChangeClock& clock_;
    std::jthread thread_;
};

}  // namespace recto
