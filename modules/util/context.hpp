// context.hpp - which request the current thread works on, and what it is busy with.
//
// The context travels with the request from thread to thread; a ContextScope makes it current where it is worked on, so that a line of
// the log can name it and a module can say what the request is waiting for. Nothing of it is ever left behind on a thread.
//
// Threads:  one RequestContext is used by one thread at a time; current_context() is the calling thread's own.
// Time:     CLOCK_MONOTONIC. To enter a phase reads it once, which costs no system call.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace recto {

// What a request is busy with. `wait`: for a thread, or for another request that makes the same answer. `cache`: memcached above all.
// `render`: whatever a view does beside the others.
enum class Phase : std::uint8_t { auth, throttle, cache, wait, store, render, write };
inline constexpr std::array<std::string_view, 7> kPhaseNames{"auth", "throttle", "cache", "wait", "store", "render", "write"};
[[nodiscard]] constexpr std::string_view to_text(Phase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }

// How long a request was in each phase. It is in one at any time, so they add up to the whole.
class PhaseTimes {
public:
    using Clock = std::chrono::steady_clock;

    explicit PhaseTimes(Phase first = Phase::auth) : current_(first) {}

    Phase enter(Phase next) noexcept;  // gives the one that ends here
    [[nodiscard]] Phase current() const { return current_; }
    [[nodiscard]] Clock::duration spent(Phase phase) const { return spent_[static_cast<std::size_t>(phase)]; }  // without the current stay
    [[nodiscard]] Clock::duration total() const { return since_ - begun_; }                                     // up to the last enter()

private:
    Clock::time_point begun_ = Clock::now();
    Clock::time_point since_ = begun_;
    Phase current_;
    std::array<Clock::duration, kPhaseNames.size()> spent_{};
};

struct RequestContext {
    std::string txid;     // the transaction id: nginx's request id or a fresh UUID, never the client's own header
    std::string address;  // REMOTE_ADDR, or "local" on the command line
    std::optional<std::int64_t> user_id = {};
    std::string_view view = {};  // its name, of the table of views; empty: there is none for this path
    PhaseTimes times = PhaseTimes();
    std::uint32_t queries = 0;  // asked of the database
};

// Null outside of a request.
[[nodiscard]] const RequestContext* current_context();

class ContextScope {
public:
    explicit ContextScope(RequestContext& context);  // must outlive the scope
    ~ContextScope();
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;

private:
    RequestContext* previous_;
};

// The current request is in this phase while the scope lives, and then again in the one before. Outside of a request it does nothing.
class PhaseScope {
public:
    explicit PhaseScope(Phase phase) noexcept;
    ~PhaseScope();
    PhaseScope(const PhaseScope&) = delete;
    PhaseScope& operator=(const PhaseScope&) = delete;

private:
    RequestContext* const context_;
    Phase previous_{};
};

// One more query of the current request.
void count_query() noexcept;

}  // namespace recto
