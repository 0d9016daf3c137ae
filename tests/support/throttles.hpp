// throttles.hpp - what the tests of the throttle share: a clock that they move, tables in a folder of their own, children to kill.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "tests/support/sanitizers.hpp"
#include "tests/support/temporary_folder.hpp"
#include "throttle/throttle.hpp"

namespace recto {

using namespace std::literals;
using Outcome = Throttle::Outcome;
using Scopes = std::vector<Throttle::Scope>;

constexpr std::uint64_t kSecond = 1024;  // steps of the tests' clock
constexpr std::uint64_t kDay = 86'400 * kSecond;

// Its steps are long enough to be whole units of every period, and it stands still in between: what is counted in them is exact.
class FakeTicks : public TickSource {
public:
    explicit FakeTicks(std::uint64_t start = 1000 * kDay) : tick(start) {}
    [[nodiscard]] std::uint64_t now() const override { return tick * (kTicksPerSecond / kSecond); }
    std::uint64_t tick;
};

// The clock is read while the lock is held: what it does happens inside.
class HookedTicks : public TickSource {
public:
    explicit HookedTicks(std::function<void()> hook, const TickSource& ticks = boot_ticks()) : hook_(std::move(hook)), ticks_(ticks) {}
    [[nodiscard]] std::uint64_t now() const override {
        hook_();
        return ticks_.now();
    }
    [[nodiscard]] std::uint64_t end_of(std::uint64_t now) const override { return ticks_.end_of(now); }

private:
    std::function<void()> hook_;
    const TickSource& ticks_;
};

inline ThrottlePolicy policy(std::string scope, std::uint32_t limit, std::chrono::seconds period, bool addresses_only = false) {
    return {.scope = std::move(scope), .rate = {limit, period}, .addresses_only = addresses_only};
}

inline Client user(std::int64_t id) { return {.user_id = id, .address = "192.0.2.1"}; }
inline Client at(std::string_view address) { return {.user_id = {}, .address = address}; }
inline std::string address_number(unsigned number) {
    return "10." + std::to_string(number >> 16 & 255) + '.' + std::to_string(number >> 8 & 255) + '.' + std::to_string(number & 255);
}

inline const Scopes kFirst = {0};
inline const Client kSomeone = at("192.0.2.7");

struct Table {
    explicit Table(std::vector<ThrottlePolicy> policies, std::uint32_t clients = 64, std::uint32_t users = 64)
        : options{.folder = folder.path() / "t", .policies = std::move(policies), .clients = clients, .users = users} {}

    Throttle open(const TickSource& source) const { return Throttle::open(options, source); }

    TemporaryFolder folder{in_memory()};
    ThrottleOptions options;
};

struct OneClock : Table {
    using Table::Table;
    FakeTicks clock;
    Throttle throttle = open(clock);

    bool accepts(const Client& client = kSomeone, const Scopes& scopes = kFirst) {
        return throttle.check(scopes, client).outcome == Outcome::accepted;
    }
    unsigned accepted_of(unsigned requests, const Client& client = kSomeone) {
        unsigned count = 0;
        while (requests-- > 0) count += accepts(client);
        return count;
    }
    std::uint32_t used(const Client& client = kSomeone) { return throttle.usage(client).at(0).used; }
};

template <class T>
T* shared_memory(std::size_t count = 1) {
    void* const memory = ::mmap(nullptr, sizeof(T) * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BOOST_REQUIRE(memory != MAP_FAILED);
    return new (memory) T[count]();
}

// How long this thread has waited for anything but a processor, which says nothing about us. Source: proc(5), schedstat.
class WaitingTime {
public:
    [[nodiscard]] std::chrono::microseconds so_far() const {
        const auto time = std::chrono::steady_clock::now() - begun_ - (without_processor() - before_);
        return std::chrono::duration_cast<std::chrono::microseconds>(std::max(time, 0ns));
    }

private:
    static std::chrono::nanoseconds without_processor() {
        std::ifstream file("/proc/thread-self/schedstat");
        std::int64_t running = 0, waiting = 0;
        file >> running >> waiting;
        return std::chrono::nanoseconds(waiting);
    }

    std::chrono::nanoseconds before_ = without_processor();
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

inline pid_t in_child(const std::function<void()>& work) {
    const auto pid = ::fork();
    BOOST_REQUIRE(pid >= 0);
    if (pid != 0) return pid;
    try {
        work();
    } catch (...) {
        ::_exit(1);
    }
    ::_exit(0);
}

inline int wait_for(pid_t pid, int options = 0) {
    int status = 0;
    BOOST_REQUIRE(::waitpid(pid, &status, options) == pid);
    return status;
}

inline bool ended_well(pid_t pid) { return wait_for(pid) == 0; }

inline Outcome check_until_answered(Throttle& throttle, const Scopes& scopes, const Client& client) {
    for (;;)
        if (const auto verdict = throttle.check(scopes, client); verdict.outcome <= Outcome::refused) return verdict.outcome;
}

// Never more than the limit in any trailing period, whoever decided it.
inline void require_the_invariant(std::vector<std::uint64_t> accepts, const Rate& rate) {
    std::ranges::sort(accepts);
    const auto period = static_cast<std::uint64_t>(rate.period.count()) * kSecond;
    for (std::size_t i = rate.limit; i < accepts.size(); ++i) BOOST_REQUIRE_GE(accepts[i] - accepts[i - rate.limit], period);
}

}  // namespace recto
