#include "cache/memcached_io.hpp"

#include <sys/socket.h>

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace recto {

namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

thread_local MemcachedIo* current_io = nullptr;

// Of the last operation. Memory for a large reply would come from the kernel each time, page by page.
constexpr std::size_t kKept = 1 << 20;
thread_local std::string kept_buffer;

int wait_for(pollfd* fds, nfds_t count, int milliseconds) {
    const timespec time{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
    return ::ppoll(fds, count, milliseconds < 0 ? nullptr : &time, nullptr);
}

bool would_block() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

MemcachedIo::MemcachedIo(Deadline deadline) : deadline_(deadline), outer_(std::exchange(current_io, this)) {}
MemcachedIo::MemcachedIo(ForClosing) : deadline_(), is_closing_(true), outer_(std::exchange(current_io, this)) {}
MemcachedIo::~MemcachedIo() {
    current_io = outer_;
    if (!buffer_.empty() && buffer_.size() <= kKept) kept_buffer = std::move(buffer_);
}
MemcachedIo* MemcachedIo::current() { return current_io; }

const char* MemcachedIo::fault() const { return fault_ == nullptr && request_ ? kUnread : fault_; }

// Rounded up, so that nothing turns in a loop of waits of 0 ms.
int MemcachedIo::milliseconds_left(int at_most) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - SteadyClock::now()).count();
    const auto bounded = static_cast<int>(std::clamp<decltype(left)>(left, 0, 3'600'000));
    return at_most < 0 ? bounded : std::min(bounded, at_most);
}

bool MemcachedIo::fail(const char* fault) {
    if (fault_ == nullptr) fault_ = fault;
    return false;
}

// Also where nothing has to be waited for: a server may be fast and endless.
bool MemcachedIo::is_in_time() { return fault_ == nullptr && (SteadyClock::now() < deadline_ || fail(kTimedOut)); }

bool MemcachedIo::wait(int fd, short events) {
    pollfd waited{fd, events, 0};
    const int milliseconds = milliseconds_left(-1);
    if (milliseconds == 0) return fail(kTimedOut);
    const int ready = wait_for(&waited, 1, milliseconds);
    return ready > 0 || (ready < 0 && errno == EINTR) || fail(ready == 0 ? kTimedOut : kClosed);
}

// What lies in a connection before anything is asked would be taken for the reply.
bool MemcachedIo::begin_request(int fd, std::string_view sent) {
    char byte = 0;
    const auto got = ::recvfrom(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, nullptr, nullptr);
    if (got > 0) return fail(kWrong);
    if (got == 0 || !would_block()) return fail(kClosed);
    request_ = MemcachedRequest::parse(sent);
    if (buffer_.empty()) buffer_ = std::exchange(kept_buffer, {});
    received_ = taken_ = 0;
    return true;
}

long MemcachedIo::send(int fd, const void* bytes, std::size_t size, int flags) {
    if (is_closing_) return static_cast<long>(size);
    has_sent_ = true;
    if (fault_ == nullptr && !request_) begin_request(fd, {static_cast<const char*>(bytes), size});
    while (is_in_time()) {
        const auto sent = ::sendto(fd, bytes, size, flags | MSG_NOSIGNAL, nullptr, 0);
        if (sent >= 0) return sent;
        if (!would_block())
            fail(kClosed);
        else
            wait(fd, POLLOUT);
    }
    errno = EPIPE;
    return -1;
}

long MemcachedIo::receive(int fd, void* bytes, std::size_t size) {
    if (fault_ != nullptr || !request_ || (received_ == 0 && !await_reply(fd))) return 0;
    const auto given = std::min(size, received_ - taken_);
    std::memcpy(bytes, buffer_.data() + taken_, given);
    taken_ += given;
    if (taken_ == received_) request_.reset();
    return static_cast<long>(given);
}

bool MemcachedIo::await_reply(int fd) {
    for (std::size_t expected = 0;;) {
        make_room(expected);
        if (!receive_more(fd)) return false;
        const auto reply = check_reply(*request_, {buffer_.data(), received_});
        if (reply.state == MemcachedReply::State::wrong) return fail(kWrong);
        if (reply.state == MemcachedReply::State::refused) return fail(kRefused);
        if (reply.state == MemcachedReply::State::whole) return true;
        expected = reply.expected;
    }
}

// A size that the server promises beyond an ordinary item gets its memory as the bytes come.
void MemcachedIo::make_room(std::size_t expected) {
    constexpr std::size_t kStep = 16 << 10, kOrdinary = 1 << 20;
    if (received_ < buffer_.size() && expected <= buffer_.size()) return;
    const auto more = expected > received_ ? expected - received_ : 0;
    buffer_.resize(std::max(buffer_.size(), received_ + std::clamp(more, kStep, std::max(kOrdinary, received_))));
}

bool MemcachedIo::receive_more(int fd) {
    while (is_in_time()) {
        const auto got = ::recvfrom(fd, buffer_.data() + received_, buffer_.size() - received_, MSG_DONTWAIT, nullptr, nullptr);
        if (got > 0) {
            received_ += static_cast<std::size_t>(got);
            has_reply_ = true;
            return true;
        }
        if (got == 0 || !would_block())
            fail(kClosed);
        else
            wait(fd, POLLIN);
    }
    return false;
}

}  // namespace recto

// The names below are the C library's: their declarations there may be macros or inline, so they are given by symbol. -rdynamic exports
// them, and the dynamic linker prefers the program's to libc's for every library.
extern "C" {

ssize_t recto_send(int fd, const void* bytes, size_t size, int flags) __asm__("send");
ssize_t recto_recv(int fd, void* bytes, size_t size, int flags) __asm__("recv");
int recto_poll(pollfd* fds, nfds_t count, int milliseconds) __asm__("poll");

ssize_t recto_send(int fd, const void* bytes, size_t size, int flags) {
    if (auto* const io = recto::MemcachedIo::current()) return io->send(fd, bytes, size, flags);
    return ::sendto(fd, bytes, size, flags, nullptr, 0);
}

ssize_t recto_recv(int fd, void* bytes, size_t size, int flags) {
    if (auto* const io = recto::MemcachedIo::current()) return io->receive(fd, bytes, size);
    return ::recvfrom(fd, bytes, size, flags, nullptr, nullptr);
}

// While libmemcached connects; else it has no reason to wait.
int recto_poll(pollfd* fds, nfds_t count, int milliseconds) {
    const auto* const io = recto::MemcachedIo::current();
    return recto::wait_for(fds, count, io != nullptr ? io->milliseconds_left(milliseconds) : milliseconds);
}

}  // extern "C"
