// signals.hpp - the signals that are sent to a worker, taken by one thread.
//
// SIGTERM and SIGINT ask the worker to stop. SIGHUP, SIGUSR1, SIGUSR2 and SIGALRM are logged and change nothing: other servers reload or
// reopen their logs at some of them, and their default would end the worker in the middle of its requests. SIGPIPE is ignored. Others keep
// their default: SIGQUIT and the signals of a crash end the worker with a core.
//
// Threads:  made by the main thread before any other, which then inherit that these signals are blocked; its functions are safe to call
//           from any thread. stop_token()'s callbacks run on the thread of the signals, so they may lock and log.
#pragma once

#include <csignal>
#include <stop_token>
#include <thread>

namespace recto {

class Signals {
public:
    Signals();
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    // Asked to stop once SIGTERM or SIGINT has come.
    [[nodiscard]] std::stop_token stop_token() const { return stop_.get_token(); }

private:
    void take();

    sigset_t taken_{};
    std::stop_source stop_;
    std::jthread thread_;
};

}  // namespace recto
