#include "fcgi/signals.hpp"

#include <string>

#include <pthread.h>

#include "log/log.hpp"

namespace recto {
namespace {

constexpr int kEndOfThread = SIGURG;  // ignored by default, so that one from outside does no harm

void log_ignored(int signal) {
    log_message(Level::warning, std::string("SIG") + ::sigabbrev_np(signal) +
                                    " is ignored: the configuration is read when a worker starts; restart the workers to apply a change");
}

}  // namespace

Signals::Signals() {
    std::signal(SIGPIPE, SIG_IGN);  // a client that went away is an error of a write
    std::signal(SIGXFSZ, SIG_IGN);  // and so is a full disk
    ::sigemptyset(&taken_);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, kEndOfThread}) ::sigaddset(&taken_, signal);
    ::pthread_sigmask(SIG_BLOCK, &taken_, nullptr);
    thread_ = std::jthread([this](const std::stop_token& end) {
        while (!end.stop_requested()) take();
    });
}

// The signals stay blocked: one that comes late finds nothing to stop.
Signals::~Signals() {
    thread_.request_stop();
    ::pthread_kill(thread_.native_handle(), kEndOfThread);
}

void Signals::take() {
    int signal = 0;
    if (::sigwait(&taken_, &signal) != 0 || signal == kEndOfThread) return;
    if (signal == SIGTERM || signal == SIGINT)
        stop_.request_stop();
    else
        log_ignored(signal);
}

}  // namespace recto
