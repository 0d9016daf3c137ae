#include "throttle/robust_mutex.hpp"

#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string_view>

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <unistd.h>

#include "util/file.hpp"

namespace recto {
namespace {

using std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::microseconds(4500);  // and the rest of 5 ms to wake up and answer
constexpr int kMostPatiences = 40;
constexpr int kSpins = 30;  // about as long as two others need to finish

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

int try_within_patience(pthread_mutex_t& mutex) {
    int code = EBUSY;
    for (const auto end = steady_clock::now() + kPatience; code == EBUSY && steady_clock::now() < end;
         code = ::pthread_mutex_trylock(&mutex))
        ::sched_yield();
    return code == EBUSY ? ETIMEDOUT : code;
}

// Whether a thread goes on by itself: it runs or would if it had a processor (R), or the kernel gets it a page (D). Nobody who holds a
// lock of ours sleeps otherwise. The state follows the name, which may hold anything but ends with the last parenthesis: proc(5).
bool goes_on(std::uint32_t tid) {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%u/stat", tid);
    const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    char text[128];
    const auto length = fd ? ::read(fd.get(), text, sizeof text) : -1;
    if (length <= 0) return false;
    const std::string_view stat(text, static_cast<std::size_t>(length));
    const auto end_of_name = stat.rfind(") ");
    if (end_of_name == std::string_view::npos) return false;
    const auto state = stat.substr(end_of_name + 2);
    return state.starts_with('R') || state.starts_with('D');
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

RobustMutex::Locked RobustMutex::lock(Waiting waiting) {
    int code = try_for_a_moment(mutex_);
    if (code == EBUSY) code = wait_patiently(waiting);
    if (code == 0) return Locked::yes;
    if (code != EOWNERDEAD) return Locked::stalled;
    ::pthread_mutex_consistent(&mutex_);
    return Locked::recovered;
}

void RobustMutex::unlock() {
    [[maybe_unused]] const int code = ::pthread_mutex_unlock(&mutex_);
    assert(code == 0);
}

// On a machine with too much to do a holder may be without a processor, or without its memory, for longer than our patience; that is no
// reason to give up.
int RobustMutex::wait_patiently(Waiting waiting) {
    int code = ETIMEDOUT;
    for (int patience = 0; patience < kMostPatiences && code == ETIMEDOUT; ++patience) {
        if (patience > 0 && holder_is_stuck()) break;
        code = waiting == Waiting::awake ? try_within_patience(mutex_) : lock_within_patience(mutex_);
    }
    return code;
}

// The kernel requires the word of a robust lock to hold its owner's thread id.
bool RobustMutex::holder_is_stuck() const {
    const auto holder = [&] {
        return static_cast<std::uint32_t>(__atomic_load_n(&mutex_.__data.__lock, __ATOMIC_RELAXED)) & FUTEX_TID_MASK;
    };
    const auto tid = holder();
    return tid != 0 && !goes_on(tid) && holder() == tid;
}

}  // namespace recto
