// hang_watch.hpp - finds threads that have been at one piece of work for too long, and logs where they are.
//
// A thread notes when it begins with a piece of work and when it is done: two stores to memory of its own. A watching thread looks at all
// of them; one that has been at the same piece for `limit` gets a signal, whose handler takes down the thread's stack and the request it
// works on. They are logged as `request.hung`, once for a piece of work, which itself goes on.
//
// Errors:   the constructor throws std::system_error when there can be no thread.
// Threads:  safe to call from any thread; a Desk and its Work belong to the thread that made the Desk.
// Limits:   64 frames. A function that is not exported is shown as an address in its file, for addr2line. A thread that the kernel doesn't
//           let go of is logged without its stack. The signal, SIGRTMIN + 1, ends a system call where signal(7) says that it does.
// Time:     CLOCK_MONOTONIC_COARSE: exact to some milliseconds.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/types.h>

#include "util/context.hpp"

namespace recto {

class HangWatch {
public:
    explicit HangWatch(std::chrono::milliseconds limit);  // 0: watches nobody
    ~HangWatch();
    HangWatch(const HangWatch&) = delete;
    HangWatch& operator=(const HangWatch&) = delete;

    // The calling thread's place. The watch must outlive it.
    class Desk;

    // A piece of work, from here to the end of the scope.
    class Work;

private:
    void watch(const std::stop_token& stop);
    void look_at(Desk& desk);
    static void on_signal(int signal, siginfo_t* info, void* context);

    const std::chrono::milliseconds limit_;
    std::mutex mutex_;
    // guarded by mutex_
    std::vector<Desk*> desks_;
    std::condition_variable_any stopped_;
    std::jthread watcher_;
};

class HangWatch::Desk {
public:
    explicit Desk(HangWatch& watch);
    ~Desk();
    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;

private:
    friend class HangWatch;

    // What the handler takes down, in memory that is there beforehand. `asked` by the watcher; `taking` and `taken` by the handler.
    enum class State : std::uint8_t { idle, asked, taking, taken };
    struct Report {
        std::atomic<State> state = State::idle;
        std::array<void*, 64> frames;
        int depth = 0;
        std::array<char, 64> txid;
        std::size_t txid_size = 0;
        std::optional<std::int64_t> user_id;
        std::string_view view;
        std::optional<Phase> phase;  // none: the thread worked on no request
    };
    void take_down();
    [[nodiscard]] bool ask();
    void log(std::chrono::milliseconds since, bool has_report) const;

    HangWatch& watch_;
    const pthread_t thread_;
    const pid_t tid_;
    std::atomic<std::int64_t> begun_ = 0;  // on the clock of the header; 0: there is nothing to do
    std::int64_t logged_ = 0;              // the watcher's: the piece of work, by its beginning
    Report report_;
};

class HangWatch::Work {
public:
    explicit Work(Desk& desk);
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

private:
    Desk& desk_;
};

}  // namespace recto
