#include "fcgi/hang_watch.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <span>
#include <string>

#include <dlfcn.h>
#include <execinfo.h>
#include <unistd.h>

#include <boost/core/demangle.hpp>

#include "fcgi/slow_request.hpp"
#include "log/log.hpp"
#include "util/json.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

constexpr int kOwnFrames = 2;  // the handler's and that of its return

// Not SIGRTMIN itself: programs that use one real-time signal use that.
int stack_signal() { return SIGRTMIN + 1; }

sigset_t stack_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, stack_signal());
    return set;
}

void set_blocked(int how) {
    const auto set = stack_signals();
    ::pthread_sigmask(how, &set, nullptr);
}

// What came since it is blocked. This thread's desk may be gone when it lets signals in again.
void forget_late_signals() {
    const auto set = stack_signals();
    const timespec at_once{};
    while (::sigtimedwait(&set, nullptr, &at_once) > 0) {
    }
}

std::int64_t coarse_milliseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::string hex_offset(const void* address, const void* base) {
    char text[32];
    const auto offset = static_cast<const char*>(address) - static_cast<const char*>(base);
    std::snprintf(text, sizeof text, "+0x%tx", offset);
    return text;
}

// `recto::Store::read()+0x41`, or `recto.fcgi+0x5f3c1` where the function has no name to the outside.
std::string name_of_frame(const void* address) {
    Dl_info info{};
    if (::dladdr(address, &info) == 0) return "?" + hex_offset(address, nullptr);
    if (info.dli_sname != nullptr) return boost::core::demangle(info.dli_sname) + hex_offset(address, info.dli_saddr);
    const std::string_view file = info.dli_fname;
    return std::string(file.substr(file.rfind('/') + 1)) + hex_offset(address, info.dli_fbase);
}

}  // namespace

HangWatch::HangWatch(std::chrono::milliseconds limit) : limit_(limit) {
    if (limit_ == 0ms) return;
    std::array<void*, 1> frame;
    ::backtrace(frame.data(), 1);  // the first call loads a library and allocates, what a handler must not
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(stack_signal(), &action, nullptr);
    watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

HangWatch::~HangWatch() { watcher_ = {}; }  // before anything that it uses

void HangWatch::watch(const std::stop_token& stop) {
    const auto interval = std::clamp<std::chrono::milliseconds>(limit_ / 8, 10ms, 1s);
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        stopped_.wait_for(lock, stop, interval, [] { return false; });
        for (auto* desk : desks_) look_at(*desk);
    }
}

void HangWatch::look_at(Desk& desk) {
    const auto begun = desk.begun_.load(std::memory_order_relaxed);
    const std::chrono::milliseconds since(coarse_milliseconds() - begun);
    if (begun == 0 || since < limit_ || begun == desk.logged_) return;
    desk.logged_ = begun;
    const bool has_report = desk.ask();
    if (desk.begun_.load(std::memory_order_relaxed) == begun) desk.log(since, has_report);  // else it went on in time
    desk.report_.state = Desk::State::idle;
}

// Only this process may ask. Where it came from is the desk, so that nothing here has to be known to all.
void HangWatch::on_signal(int, siginfo_t* info, void*) {
    const int error = errno;
    if (info->si_code == SI_QUEUE && info->si_pid == ::getpid()) static_cast<Desk*>(info->si_value.sival_ptr)->take_down();
    errno = error;
}

// --- Desk

HangWatch::Desk::Desk(HangWatch& watch) : watch_(watch), thread_(::pthread_self()), tid_(::gettid()) {
    if (watch_.limit_ == 0ms) return;
    set_blocked(SIG_UNBLOCK);
    const std::lock_guard lock(watch_.mutex_);
    watch_.desks_.push_back(this);
}

HangWatch::Desk::~Desk() {
    if (watch_.limit_ == 0ms) return;
    set_blocked(SIG_BLOCK);
    const std::lock_guard lock(watch_.mutex_);
    std::erase(watch_.desks_, this);
    forget_late_signals();
}

// True when the thread has answered: within moments, unless it is in the kernel for good.
bool HangWatch::Desk::ask() {
    constexpr auto kPatience = 200ms;
    constexpr auto kPause = 1ms;
    report_.state = State::asked;
    if (::pthread_sigqueue(thread_, stack_signal(), {.sival_ptr = this}) != 0) return false;
    for (auto waited = 0ms; report_.state != State::taken; waited += kPause) {
        auto expected = State::asked;
        if (waited >= kPatience && report_.state.compare_exchange_strong(expected, State::idle)) return false;
        std::this_thread::sleep_for(kPause);
    }
    return true;
}

// In the handler of a signal: no lock, no memory, and the thread's own context stands still.
void HangWatch::Desk::take_down() {
    auto expected = State::asked;
    if (!report_.state.compare_exchange_strong(expected, State::taking)) return;
    report_.depth = ::backtrace(report_.frames.data(), static_cast<int>(report_.frames.size()));
    const auto* const context = current_context();
    report_.phase.reset();
    report_.txid_size = 0;
    if (context != nullptr) {
        report_.txid_size = std::min(context->txid.size(), report_.txid.size());
        std::copy_n(context->txid.data(), report_.txid_size, report_.txid.data());
        report_.user_id = context->user_id;
        report_.view = context->view;
        report_.phase = context->times.current();
    }
    report_.state = State::taken;
}

void HangWatch::Desk::log(std::chrono::milliseconds since, bool has_report) const {
    json::object data{{"ms", since.count()}, {"thread", tid_}};
    if (!has_report) return log_event("request.hung", data, kRequestLogger, Level::error);

    json::array stack;
    for (int i = kOwnFrames; i < report_.depth; ++i) {
        // What is noted is where a call returns to; the call itself ends a byte before, perhaps on another line or in another function.
        const auto* const noted = static_cast<const char*>(report_.frames.at(static_cast<std::size_t>(i)));
        stack.emplace_back(name_of_frame(i == kOwnFrames ? noted : noted - 1));
    }
    data["stack"] = std::move(stack);
    if (!report_.phase) return log_event("request.hung", data, kRequestLogger, Level::error);

    if (!report_.view.empty()) data["view"] = report_.view;
    data["phase"] = to_text(*report_.phase);
    RequestContext context{.txid = {report_.txid.data(), report_.txid_size}, .address = {}, .user_id = report_.user_id};
    const ContextScope scope(context);
    log_event("request.hung", data, kRequestLogger, Level::error);
}

// --- Work

HangWatch::Work::Work(Desk& desk) : desk_(desk) { desk_.begun_.store(coarse_milliseconds(), std::memory_order_relaxed); }

HangWatch::Work::~Work() { desk_.begun_.store(0, std::memory_order_relaxed); }

}  // namespace recto
