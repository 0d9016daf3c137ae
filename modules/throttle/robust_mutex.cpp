#include "throttle/robust_mutex.hpp"

#include <cassert>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <stdexcept>

#include <linux/futex.h>

namespace recto {
namespace {

constexpr auto kPatience = std::chrono::microseconds(4500);  // and the rest of 5 ms to wake up and answer
constexpr int kMostPatiences = 44;                           // 200 ms in all
constexpr int kSpins = 30;                                   // about as long as two others need to finish

timespec patience_from_now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    time.tv_nsec += std::chrono::nanoseconds(kPatience).count();
    if (time.tv_nsec >= 1'000'000'000) {
        time.tv_nsec -= 1'000'000'000;
        ++time.tv_sec;
    }
    return time;
}

int lock_within_patience(pthread_mutex_t& mutex) {
#ifdef __SANITIZE_THREAD__  // ThreadSanitizer of g++ 12 doesn't know clocklock and would see an unlock without a lock
    const auto until = patience_from_now(CLOCK_REALTIME);
    return ::pthread_mutex_timedlock(&mutex, &until);
#else
    const auto until = patience_from_now(CLOCK_MONOTONIC);
    return ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
#endif
}

int try_for_a_moment(pthread_mutex_t& mutex) {
    int code = ::pthread_mutex_trylock(&mutex);
    for (int spin = 0; code == EBUSY && spin < kSpins; ++spin) {
        __builtin_ia32_pause();
        code = ::pthread_mutex_trylock(&mutex);
    }
    return code;
}

void must(int code, const char* what) {
    if (code != 0) throw std::runtime_error(what);
}

}  // namespace

RobustMutex::RobustMutex() {
    pthread_mutexattr_t attributes;
    must(::pthread_mutexattr_init(&attributes), "no attributes for a mutex");
    must(::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "no mutexes between processes on this machine");
    must(::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), "no robust mutexes on this machine");
    must(::pthread_mutex_init(&mutex_, &attributes), "cannot make a mutex");
    ::pthread_mutexattr_destroy(&attributes);
}

// Who holds it: two looks that are equal mean one holder that has kept it in between, but for a rare chance.
struct RobustMutex::Holder {
    int word;  // of the kernel: a thread id, which only tells one holder from the next
    Heartbeat::Name name;
    bool operator==(const Holder&) const = default;
};

RobustMutex::Locked RobustMutex::lock(const Heartbeat& own, Waiting waiting) {
    int code = try_for_a_moment(mutex_);
    if (code == EBUSY && waiting == Waiting::never) return Locked::busy;
    if (code == EBUSY) code = wait_patiently(own);
    if (code == EBUSY) return Locked::stopped;
    if (code != 0 && code != EOWNERDEAD) return Locked::late;
    holder_.store(own.name(), std::memory_order_relaxed);
    if (code == 0) return Locked::yes;
    ::pthread_mutex_consistent(&mutex_);
    return Locked::recovered;
}

// Its name goes first: the next holder has none until it stores its own, and without a name it is waited for.
void RobustMutex::unlock() {
    holder_.store(0, std::memory_order_relaxed);
    [[maybe_unused]] const int code = ::pthread_mutex_unlock(&mutex_);
    assert(code == 0);
}

// On a machine with too much to do a holder may be without a processor, or without its memory, for longer than our patience; that is no
// reason to give up. EBUSY: it is stopped. Patiences are counted, not time: one may be long because the machine stood still.
int RobustMutex::wait_patiently(const Heartbeat& own) {
    int code = ETIMEDOUT;
    for (int patience = 0; patience < kMostPatiences && code == ETIMEDOUT; ++patience) {
        const auto before = holder();
        code = lock_within_patience(mutex_);
        if (code == ETIMEDOUT && holder() == before && own.is_stopped(before.name)) return EBUSY;
    }
    return code;
}

RobustMutex::Holder RobustMutex::holder() const {
    constexpr int kWithoutWaiters = static_cast<int>(~FUTEX_WAITERS);
    return {.word = __atomic_load_n(&mutex_.__data.__lock, __ATOMIC_RELAXED) & kWithoutWaiters,
            .name = holder_.load(std::memory_order_relaxed)};
}

const char* reason_of(RobustMutex::Locked locked) {
    switch (locked) {
        case RobustMutex::Locked::stopped:
            return "a stopped process holds";
        case RobustMutex::Locked::late:
            return "processes that run held for 200 ms";
        case RobustMutex::Locked::busy:
            return "another thread holds";
        default:
            return "no process holds";
    }
}

}  // namespace recto
