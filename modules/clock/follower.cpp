#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <thread>

#include "clock/clock.hpp"
#include "log/log.hpp"

namespace recto {
namespace {

constexpr std::string_view kLogger = "recto.clock";

// Signals are for the threads that wait for them.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

}  // namespace

class Follower::Loop {
public:
    Loop(ChangeClock& clock, std::unique_ptr<ChangeSource> source, LeaseClock::duration tend_interval)
        : clock_(clock), source_(std::move(source)), tend_interval_(tend_interval) {
        const SignalsBlocked blocked;
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }

private:
    void run(const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock(mutex);
        do {
            look();
        } while (!stopped.wait_for(lock, stop, kInterval, [&] { return stop.stop_requested(); }));
    }

    void look() {
        try {
            follow();
            say_reachable(true);
            say_trusted(clock_.read().is_trusted());
            tend_daily();
        } catch (const std::exception& problem) {
            is_behind_ = true;
            say_reachable(false, problem.what());
        }
    }

    // The time is taken before the look: a thread that is stopped in between must not promise more than it saw.
    void follow() {
        clock_.remap_if_replaced(*source_);
        const auto looked_at = LeaseClock::now();
        const bool moved = source_->moved();
        if (!moved && !is_behind_ && clock_.renew_lease(looked_at)) return;
        is_behind_ = true;
        clock_.sync(*source_);
        is_behind_ = false;
    }

    void tend_daily() {
        if (LeaseClock::now() < tended_at_ + tend_interval_) return;
        tended_at_ = LeaseClock::now();
        source_->tend();
    }

    void say_reachable(bool reachable, std::string_view why = {}) {
        if (std::exchange(is_reachable_, reachable) == reachable) return;
        if (reachable)
            log_event("clock.reachable", {}, kLogger);
        else
            log_event("clock.unreachable", json::object{{"error", why}}, kLogger, Level::error);
    }

    void say_trusted(bool trusted) {
        if (std::exchange(is_trusted_, trusted) == trusted) return;
        if (trusted)
            log_event("clock.trusted", {}, kLogger);
        else
            log_event("clock.untrusted",
                      json::object{{"error", "the database's triggers are not the expected ones, or it was moved away; nothing is cached"}},
                      kLogger, Level::error);
    }

    ChangeClock& clock_;
    const std::unique_ptr<ChangeSource> source_;
    const LeaseClock::duration tend_interval_;
    LeaseClock::time_point tended_at_ = LeaseClock::now();
    bool is_behind_ = true;
    bool is_reachable_ = true;
    bool is_trusted_ = true;
    std::jthread thread_;  // last: it uses the others
};

Follower::Follower(ChangeClock& clock, std::unique_ptr<ChangeSource> source, std::chrono::milliseconds tend_interval)
    : loop_(std::make_unique<Loop>(clock, std::move(source), tend_interval)) {}
Follower::~Follower() = default;

}  // namespace recto
