// slots.hpp - the connections of a server: who has each of them, and which have waited too long.
//
// Who may touch a connection is said by the state of its slot. Its registration in epoll is edge-triggered and never changed, so an event
// may come at any time, even one that is meant for the connection that had the slot before:
//
//   parked    whoever makes it `working` has it
//   working   somebody has it: an event thread, the pool, the sweep; an event makes it `more`
//   more      the same, and bytes may have come since they looked: they look again before they let go
//   free      no connection
//
// Errors:   none; what can't be had is a null pointer.
// Threads:  ClientSlots is safe to call from any thread. A slot's members below the times are its holder's; the times are anyone's.
// Limits:   `most` connections. ClientSlots are reused, and destroyed only with the whole. A connection's descriptor is opened and closed under
//           the lock, so that take_late() can shut down the reading of one that it doesn't have.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fcgi/connection.hpp"
#include "fcgi/guarded_exchange.hpp"
#include "fcgi/record.hpp"
#include "fcgi/request.hpp"
#include "fcgi/response.hpp"
#include "util/file.hpp"

namespace recto {

struct ClientSlot {
    using Clock = std::chrono::steady_clock;
    using Time = Clock::time_point;
    enum class State : std::uint8_t { free, parked, working, more };

    std::atomic<State> state = State::working;
    std::atomic<Time> since = Time();            // when it was accepted, its request's first byte was seen, or it was last answered
    std::atomic<Time> deadline = Time::max();    // for what a parked one waits for
    std::atomic<Time> read_until = Time::max();  // for a body that is being read

    // The holder's.
    ClientConnection connection;
    GuardedExchange exchange;
    std::uint16_t id = 0;                         // of the request, for its connection
    Request request;                              // while its body is read
    std::optional<std::uint64_t> content_length;  // what it says of it
    std::optional<BodyReader> body;
    std::optional<Response> response;
    std::string head;       // of the response
    bool is_ready = false;  // the response is to be delivered, which takes no waiting
    bool is_head = false;
    bool is_kept = false;
    bool has_begun = false;     // part of a request is there
    bool has_answered = false;  // since it was accepted

    [[nodiscard]] bool take();                 // a parked one
    [[nodiscard]] bool take_or_mark_more();    // for an event; false: whoever has it will look again
    [[nodiscard]] bool park();                 // false: more may have come; it is still ours
    void begin_to_wait(Time now, Time until);  // for a request's first byte
};

class ClientSlots {
public:
    using Time = ClientSlot::Time;

    explicit ClientSlots(int most) : most_(static_cast<std::size_t>(most)) {}

    [[nodiscard]] ClientSlot* open(UniqueFd& fd, std::chrono::milliseconds io_timeout);  // ours; null: there is none free, and fd is untouched
    void close(ClientSlot& slot);

    [[nodiscard]] ClientSlot* take_longest_parked();  // null: all are at work
    [[nodiscard]] std::vector<ClientSlot*> take_all_parked();

    // Those whose deadline is over; a body that wasn't read in time ends here.
    [[nodiscard]] std::vector<ClientSlot*> take_late(Time now);

    // Whether all are closed, at the latest after `patience`.
    [[nodiscard]] bool are_all_closed_within(std::chrono::milliseconds patience);

private:
    ClientSlot* free_slot();

    const std::size_t most_;
    std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable closed_;
    std::deque<ClientSlot> slots_;
    std::vector<ClientSlot*> free_;
};

}  // namespace recto
