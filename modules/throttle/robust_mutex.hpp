// robust_mutex.hpp - a mutex in shared memory that outlives the death of its holder, and that nobody waits long for.
//
// Threads:  safe to call from any thread of any process that maps it. A holder must not fork.
// Crashes:  a holder killed with -9 leaves it to the next one, who is told (`recovered`).
// Limits:   the memory must stay mapped, at one address, as long as the process lives (glibc bug 14485).
// Source:   the kernel's Documentation/locking/robust-futex-ABI.rst; pthread_mutexattr_setrobust(3).
#pragma once

#include <pthread.h>

namespace recto {

class RobustMutex {
public:
    enum class Locked { yes, recovered, stalled };
    enum class Waiting { asleep, awake };

    RobustMutex();
    RobustMutex(const RobustMutex&) = delete;
    RobustMutex& operator=(const RobustMutex&) = delete;

    // `stalled` after 5 ms if the holder is stopped (a signal, a debugger), after 200 ms if it merely gets no processor or waits for
    // memory; then it is not ours. Who holds another one waits `awake`: asleep it would look as if it were stopped with that one.
    [[nodiscard]] Locked lock(Waiting waiting = Waiting::asleep);
    void unlock();

private:
    int wait_patiently(Waiting waiting);
    [[nodiscard]] bool holder_is_stuck() const;

    pthread_mutex_t mutex_;
};

}  // namespace recto
