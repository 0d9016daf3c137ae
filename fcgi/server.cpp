#include "fcgi/server.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

#include "fcgi/hang_watch.hpp"
#include "fcgi/queue.hpp"
#include "fcgi/record.hpp"
#include "fcgi/slots.hpp"
#include "log/log.hpp"
#include "util/file.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

constexpr std::size_t kSpotAnswer = 64u << 10;  // a larger answer is written by the pool
constexpr int kEventsAtOnce = 16;               // and answers: fewer system calls under load, but the first of them waits for the last
constexpr auto kLinger = 2s;
constexpr auto kStopGrace = 500ms;  // for the rest of a request that is arriving when the server stops
constexpr auto kStopStep = 20ms;

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

UniqueFd checked(int fd, const char* what) {
    if (fd < 0) throw_errno(what);
    return UniqueFd(fd);
}

Request request_of(const Arrived& arrived) {
    RequestMaker maker;
    auto params = arrived.params();
    while (const auto param = take_param(params)) maker.take(param->name, param->value);
    auto request = std::move(maker).made();
    if (request.address == "local") request.address = "unknown";  // only the command line is local: it isn't throttled
    return request;
}

void signal_event(int fd) noexcept {
    const std::uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
}

// Handlers run on the program's own threads. The signals of a crash are for the thread that crashes.
class WithSignalsBlocked {
public:
    WithSignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) sigdelset(&all, crash);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~WithSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    WithSignalsBlocked(const WithSignalsBlocked&) = delete;
    WithSignalsBlocked& operator=(const WithSignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

}  // namespace

class Server::Loop {
public:
    Loop(int listen_fd, const ServerOptions& options, BeginExchange begin);
    ~Loop();

    bool run();
    void stop() noexcept { signal_event(stop_.get()); }
    ServerCounts counts() const;

private:
    // Steps of a request. True: the slot is still ours, to be parked. False: it was closed or handed to the pool, and is not to be touched.
    using Step = bool (Loop::*)(ClientSlot&);
    struct Job {
        ClientSlot* slot;
        Step step;
    };
    using Window = std::span<char>;

    struct Counters {
        std::atomic<std::uint64_t> accepted, answered, aborted, malformed, timed_out, crowded_out;
    };

    // Threads
    void start_threads();
    void watch(int epoll);
    void work();
    void wait_for_stop() const;
    bool drain();

    // Connections
    void accept_one(int epoll, Window window);
    ClientSlot* take_slot(UniqueFd fd, int epoll);
    bool make_room();
    bool on_event(ClientSlot& slot, std::uint32_t events, Window window);
    void deliver_together(std::span<ClientSlot* const> slots, Window window);
    void settle(ClientSlot& slot, Window window);
    void sweep_if_due(Window window);
    bool close(ClientSlot& slot);
    bool drop(ClientSlot& slot, std::atomic<std::uint64_t>& reason);

    // Requests
    bool look(ClientSlot& slot, Window window);
    bool take_request(ClientSlot& slot, const Arrived& arrived);
    bool hung_up(ClientSlot& slot, Window window);
    bool wait_for_more(ClientSlot& slot, bool has_begun);
    bool read_large_body(ClientSlot& slot);
    bool begin(ClientSlot& slot);
    bool hand_over(ClientSlot& slot, Step step);
    bool finish(ClientSlot& slot);
    bool refuse(ClientSlot& slot, Response response);
    void set_response(ClientSlot& slot, Response response);
    bool deliver(ClientSlot& slot);
    bool deliver_and_close(ClientSlot& slot);
    bool write_response(ClientSlot& slot);

    const ServerOptions options_;
    const BeginExchange begin_;
    const Clock::duration tick_;
    UniqueFd listen_;
    std::vector<UniqueFd> epolls_;  // one an event thread, not changed after construction
    UniqueFd stop_;                 // asks run() to end
    UniqueFd quit_;                 // asks the event threads to
    std::atomic<bool> draining_ = false;
    std::atomic<bool> quitting_ = false;
    std::atomic<int> accepting_ = 0;
    std::atomic<Time> next_sweep_ = Time();
    Counters counters_{};
    ClientSlots slots_;
    Queue<Job> jobs_;
    HangWatch hang_watch_;
    std::vector<std::thread> threads_;
};

Server::Loop::Loop(int listen_fd, const ServerOptions& options, BeginExchange begin)
    : options_(options),
      begin_(std::move(begin)),
      tick_(std::clamp<Clock::duration>(std::min(options.io_timeout, options.idle_timeout) / 4, 10ms, 1s)),
      listen_(listen_fd),
      stop_(checked(::eventfd(0, EFD_CLOEXEC), "eventfd")),
      quit_(checked(::eventfd(0, EFD_CLOEXEC), "eventfd")),
      slots_(options.max_connections),
      hang_watch_(options.hang) {
    std::signal(SIGPIPE, SIG_IGN);  // a client that went away is an error of a write
    const int flags = ::fcntl(listen_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(listen_.get(), F_SETFL, flags | O_NONBLOCK) != 0) throw_errno("the listening socket");
    // Exclusive: of the worker processes that share the socket, one wakes up for a new connection. Level-triggered, one accept an event:
    // they share a burst.
    epoll_event listen{.events = EPOLLIN | EPOLLEXCLUSIVE, .data = {.ptr = &listen_}};
    epoll_event quit{.events = EPOLLIN, .data = {.ptr = &quit_}};
    for (int i = 0; i < options_.threads; ++i) {
        const auto& epoll = epolls_.emplace_back(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listen_.get(), &listen) != 0) throw_errno("epoll_ctl on the listening socket");
        if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, quit_.get(), &quit) != 0) throw_errno("epoll_ctl on an eventfd");
    }
}

Server::Loop::~Loop() {
    quitting_ = true;
    signal_event(quit_.get());
    jobs_.close();
    for (auto& thread : threads_) thread.join();
}

ServerCounts Server::Loop::counts() const {
    return {.accepted = counters_.accepted,
            .answered = counters_.answered,
            .aborted = counters_.aborted,
            .malformed = counters_.malformed,
            .timed_out = counters_.timed_out,
            .crowded_out = counters_.crowded_out};
}

// Threads

bool Server::Loop::run() {
    start_threads();
    wait_for_stop();
    return drain();
}

void Server::Loop::start_threads() {
    const WithSignalsBlocked blocked;
    for (int i = 0; i < options_.pool; ++i) threads_.emplace_back([this] { work(); });
    for (const auto& epoll : epolls_) threads_.emplace_back([this, &epoll] { watch(epoll.get()); });
}

void Server::Loop::watch(int epoll) {
    std::vector<char> window(kWindow);
    const auto timeout = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(tick_).count());
    std::array<epoll_event, kEventsAtOnce> events;
    std::vector<ClientSlot*> ready;
    ready.reserve(kEventsAtOnce);
    HangWatch::Desk desk(hang_watch_);
    while (!quitting_) {
        const int count = ::epoll_wait(epoll, events.data(), kEventsAtOnce, timeout);
        if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
        for (const auto& event : std::span(events.data(), static_cast<std::size_t>(std::max(count, 0)))) {
            const HangWatch::Work at_work(desk);
            auto* const slot = static_cast<ClientSlot*>(event.data.ptr);
            if (event.data.ptr == &listen_)
                accept_one(epoll, window);
            else if (event.data.ptr != &quit_ && on_event(*slot, event.events, window))
                ready.push_back(slot);
        }
        if (!ready.empty()) {
            const HangWatch::Work at_work(desk);
            deliver_together(ready, window);
            ready.clear();
        }
        sweep_if_due(window);
    }
}

void Server::Loop::work() {
    std::vector<char> window(kWindow);
    HangWatch::Desk desk(hang_watch_);
    while (const auto job = jobs_.pop()) {
        const HangWatch::Work at_work(desk);
        auto& slot = *job->slot;
        const bool ours = slot.connection.hung_up() ? drop(slot, counters_.aborted) : (this->*job->step)(slot);
        if (ours) settle(slot, window);
    }
}

void Server::Loop::wait_for_stop() const {
    std::uint64_t value = 0;
    while (::read(stop_.get(), &value, sizeof value) < 0)
        if (errno != EINTR) throw_errno("read of an eventfd");
}

// Others may still accept from the socket: what waits in its backlog is theirs.
bool Server::Loop::drain() {
    std::vector<char> window(kWindow);
    draining_ = true;
    for (const auto& epoll : epolls_) ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, listen_.get(), nullptr);
    for (const auto end = Clock::now() + options_.stop_timeout; Clock::now() < end;) {
        for (auto* slot : slots_.take_all_parked())
            if (look(*slot, window)) settle(*slot, window);
        const bool accepts_no_more = accepting_ == 0;  // before the slots are counted: none can be added after it
        if (slots_.are_all_closed_within(kStopStep) && accepts_no_more) return true;
    }
    return false;
}

// Connections

void Server::Loop::accept_one(int epoll, Window window) {
    ++accepting_;  // before draining_ is looked at: drain() waits for us
    ClientSlot* slot = nullptr;
    int error = 0;
    if (!draining_) {
        UniqueFd fd(::accept4(listen_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        error = fd ? 0 : errno;
        if (fd) slot = take_slot(std::move(fd), epoll);
    }
    --accepting_;
    if (slot != nullptr) return settle(*slot, window);
    const bool is_short = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    if (is_short && !make_room()) std::this_thread::sleep_for(10ms);  // the listening socket stays ready: don't spin
}

ClientSlot* Server::Loop::take_slot(UniqueFd fd, int epoll) {
    ++counters_.accepted;
    auto* slot = slots_.open(fd, options_.io_timeout);
    if (slot == nullptr && make_room()) slot = slots_.open(fd, options_.io_timeout);
    if (slot == nullptr) {
        ++counters_.crowded_out;
        return nullptr;
    }
    const auto now = Clock::now();
    slot->begin_to_wait(now, now + options_.idle_timeout);
    epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.ptr = slot}};
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, slot->connection.fd(), &event) == 0) return slot;
    close(*slot);
    return nullptr;
}

// Closes the connection that has waited longest. False: all are at work.
bool Server::Loop::make_room() {
    if (auto* slot = slots_.take_longest_parked()) return drop(*slot, counters_.crowded_out), true;
    return false;
}

// True: its answer is ready.
bool Server::Loop::on_event(ClientSlot& slot, std::uint32_t events, Window window) {
    if (!slot.take_or_mark_more()) return false;
    // Asked again, because the event may be about the connection that had the slot before.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && slot.connection.hung_up()) return hung_up(slot, window);
    if (!look(slot, window)) return false;
    if (slot.is_ready) return true;
    settle(slot, window);
    return false;
}

// What is logged of them goes to the log with one system call, and before anybody sees the answers: it is as complete as if each line had
// been written at once. Two workers that write a line for each answer wait for each other at the file, which costs more than the writing.
void Server::Loop::deliver_together(std::span<ClientSlot* const> slots, Window window) {
    {
        const LinesTogether together;
        for (auto* slot : slots) slot->exchange.answered(*slot->response);
    }
    for (auto* slot : slots) settle(*slot, window);
}

// Delivers what is ready and parks the connection. Bytes that came while it was held had their event already, so they are looked at first.
void Server::Loop::settle(ClientSlot& slot, Window window) {
    for (;;) {
        if (slot.is_ready && !deliver(slot)) return;
        if (slot.park() || !look(slot, window)) return;
    }
}

void Server::Loop::sweep_if_due(Window window) {
    const auto now = Clock::now();
    auto due = next_sweep_.load();
    if (now < due || !next_sweep_.compare_exchange_strong(due, now + tick_)) return;
    for (auto* slot : slots_.take_late(now)) {
        if (slot->deadline.load() > now)  // it was busy again while we took it
            settle(*slot, window);
        else if (slot->has_begun)
            drop(*slot, counters_.timed_out);
        else
            close(*slot);
    }
}

bool Server::Loop::close(ClientSlot& slot) {
    slots_.close(slot);
    return false;
}

bool Server::Loop::drop(ClientSlot& slot, std::atomic<std::uint64_t>& reason) {
    ++reason;
    return close(slot);
}

// Requests

bool Server::Loop::look(ClientSlot& slot, Window window) {
    const auto bytes = slot.connection.receive(window);
    if (!bytes) return slot.has_begun ? drop(slot, counters_.aborted) : close(slot);
    if (bytes->empty()) return wait_for_more(slot, false);

    const auto arrived = look_at_request(*bytes);
    switch (arrived.state) {
        case Arrival::incomplete:
            slot.connection.keep(*bytes);
            return wait_for_more(slot, true);
        case Arrival::complete:
        case Arrival::large_body:
            return take_request(slot, arrived);
        case Arrival::other_role: {
            const auto record = unknown_role_record(arrived.id);
            slot.connection.write_without_waiting({record.data(), record.size()});
            break;
        }
        case Arrival::malformed:
            break;
    }
    return drop(slot, counters_.malformed);
}

// With what there is of its body.
bool Server::Loop::take_request(ClientSlot& slot, const Arrived& arrived) {
    slot.id = arrived.id;
    slot.request = request_of(arrived);
    slot.content_length = arrived.content_length;
    slot.is_head = slot.request.is_head();
    slot.is_kept = arrived.is_kept && !arrived.more_follows;
    BodyReader body(arrived.id);
    if (!body.take(arrived.body, slot.request.body)) return drop(slot, counters_.malformed);
    slot.connection.forget();

    if (std::max<std::uint64_t>(arrived.content_length.value_or(0), slot.request.body.size()) > options_.max_body.bytes)
        return refuse(slot, body_too_large(slot.request));
    if (body.at_end()) return begin(slot);
    slot.body.emplace(std::move(body));
    return hand_over(slot, &Loop::read_large_body);
}

// The client closed its side, so nobody reads an answer any more.
bool Server::Loop::hung_up(ClientSlot& slot, Window window) {
    const auto bytes = slot.connection.receive(window);
    return slot.has_begun || (bytes && !bytes->empty()) ? drop(slot, counters_.aborted) : close(slot);
}

bool Server::Loop::wait_for_more(ClientSlot& slot, bool has_begun) {
    const auto now = Clock::now();
    if (has_begun && !slot.has_begun) {
        slot.has_begun = true;
        slot.since = now;
        slot.deadline = now + options_.io_timeout;
    }
    // When the server stops, an idle connection is closed; one whose request may be on its way gets a moment.
    const bool is_awaited = slot.has_begun || !slot.has_answered;
    if (draining_ && !(is_awaited && now < slot.since.load() + kStopGrace)) return close(slot);
    return true;
}

bool Server::Loop::read_large_body(ClientSlot& slot) {
    const auto limit = slot.content_length.value_or(options_.max_body.bytes);
    const auto read_until = Clock::now() + transfer_time(options_.io_timeout, limit);
    slot.read_until = read_until;
    const bool is_whole = slot.connection.read_body(*slot.body, slot.request.body, limit);
    slot.read_until = Time::max();
    if (slot.body->more_follows()) slot.is_kept = false;
    slot.body.reset();

    if (!is_whole && slot.request.body.size() <= limit)
        return drop(slot, Clock::now() < read_until ? counters_.aborted : counters_.timed_out);
    if (!is_whole && !slot.content_length) return refuse(slot, body_too_large(slot.request));
    return begin(slot);
}

bool Server::Loop::begin(ClientSlot& slot) {
    if (slot.content_length.value_or(slot.request.body.size()) != slot.request.body.size())
        return refuse(slot, body_of_another_length(slot.request));
    auto response = slot.exchange.start(begin_, std::move(slot.request));
    if (!response) return hand_over(slot, &Loop::finish);
    set_response(slot, std::move(*response));
    const auto size = slot.head.size() + slot.response->body().size();
    if (size > kSpotAnswer || !slot.connection.fits(size)) return hand_over(slot, &Loop::deliver);
    slot.is_ready = true;
    return true;
}

bool Server::Loop::hand_over(ClientSlot& slot, Step step) {
    jobs_.push({&slot, step});
    return false;
}

// Without an answer the slot belongs to whoever wakes it, perhaps already.
bool Server::Loop::finish(ClientSlot& slot) {
    auto response = slot.exchange.to_the_end([this, &slot] { (void)hand_over(slot, &Loop::finish); });
    if (!response) return false;
    set_response(slot, std::move(*response));
    return deliver(slot);
}

// Answered by the pool, which waits until the client has stopped sending.
bool Server::Loop::refuse(ClientSlot& slot, Response response) {
    set_response(slot, std::move(response));
    return hand_over(slot, &Loop::deliver_and_close);
}

void Server::Loop::set_response(ClientSlot& slot, Response response) {
    slot.head = header_block(response);
    slot.response = std::move(response);
}

bool Server::Loop::deliver(ClientSlot& slot) {
    slot.is_ready = false;
    if (!write_response(slot)) return drop(slot, counters_.aborted);
    if (!slot.is_kept || draining_) return close(slot);
    slot.exchange.reset();
    slot.response.reset();
    const auto now = Clock::now();
    slot.begin_to_wait(now, now + options_.idle_timeout);
    slot.has_answered = true;
    return true;
}

bool Server::Loop::deliver_and_close(ClientSlot& slot) {
    if (!write_response(slot)) return drop(slot, counters_.aborted);
    slot.connection.linger(kLinger);
    return close(slot);
}

bool Server::Loop::write_response(ClientSlot& slot) {
    const bool with_body = !slot.is_head && may_have_body(slot.response->status);
    const auto body = with_body ? slot.response->body() : std::string_view();
    if (!slot.connection.write(slot.id, slot.head, body)) return false;
    ++counters_.answered;
    slot.exchange.answered(*slot.response);
    return true;
}

Server::Server(int listen_fd, const ServerOptions& options, BeginExchange begin)
    : loop_(std::make_unique<Loop>(listen_fd, options, std::move(begin))) {}

Server::~Server() = default;

bool Server::run() { return loop_->run(); }

void Server::stop() noexcept { loop_->stop(); }

ServerCounts Server::counts() const { return loop_->counts(); }

}  // namespace recto
