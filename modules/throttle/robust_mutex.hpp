// robust_mutex.hpp - a mutex in shared memory that outlives the death of its holder, and for which no thread waits long.
//
// The kernel tells the death of a holder (EOWNERDEAD); its Heartbeat tells that it is stopped.
//
// Threads:  safe to call from any thread of any process that maps it. A holder must not fork.
// Crashes:  a holder killed with -9 leaves it to the next one, which is told (`recovered`).
// Limits:   the memory must stay mapped, at one address, as long as the process lives (glibc bug 14485).
// Source:   the kernel's Documentation/locking/robust-futex-ABI.rst; pthread_mutexattr_setrobust(3).
#pragma once

#include <atomic>

#include <pthread.h>

#include "throttle/heartbeat.hpp"

namespace recto {

class RobustMutex {
public:
    enum class Waiting { never, briefly };

    // With the last three it is not ours.
    enum class Locked {
        yes,
        recovered,
        busy,     // waiting never, and another thread holds it
        stopped,  // for 5 ms a process held it whose beat is older than 200 ms
        late,     // for 200 ms processes that run held it: they get no processor, or wait for memory
    };

    RobustMutex();
    RobustMutex(const RobustMutex&) = delete;
    RobustMutex& operator=(const RobustMutex&) = delete;

    [[nodiscard]] Locked lock(const Heartbeat& own, Waiting waiting = Waiting::briefly);
    void unlock();

private:
    struct Holder;
    [[nodiscard]] int wait_patiently(const Heartbeat& own);
    [[nodiscard]] Holder holder() const;

    pthread_mutex_t mutex_;
    std::atomic<Heartbeat::Name> holder_{0};  // 0: of none that is known
};

// Why the lock can't be had: `a stopped process holds`, ...
[[nodiscard]] const char* reason_of(RobustMutex::Locked locked);

}  // namespace recto
