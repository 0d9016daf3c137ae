// memcached_io.hpp - what libmemcached sends, receives and waits for during one operation: never beyond a deadline, and never a reply that
// it can't parse safely.
//
// libmemcached bounds each wait by a timeout, but not an operation: a server that sends a byte before each timeout holds it for ever, also
// while it closes a connection. Its parsers trust the server (memcached_reply.hpp). It has no hook for either, and Debian has no static
// library of it. So this file defines send(), recv() and poll() for the whole program, as the program also replaces libfcgi's operating-
// system layer: libmemcached then calls these. On a thread without a MemcachedIo they are the system calls and nothing else.
//
//     MemcachedIo io(deadline);
//     const auto rc = memcached_delete(handle, …);
//     if (io.fault()) …                               // the connection can't be used again, whatever rc says
//
// recv() waits for a whole reply to what was sent, checks it, and only then gives it out; if the deadline passes or the check fails it says
// that the server closed the connection.
//
// Errors:   none: fault() says what was wrong, for the log.
// Threads:  one object a thread at a time; it counts for what its thread does while it exists.
// Limits:   one connection at a time, and one request that awaits its reply. Nothing else may use a socket meanwhile on this thread, so
//           names of hosts are looked up before. A reply is held twice for a moment, here and in libmemcached. Each thread keeps the
//           memory of its largest reply of at most 1 MiB.
// Source:   libmemcached 1.1.4, src/libmemcached/io.cc; ld.so(8) on the order in which a symbol is looked up.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cache/memcached_reply.hpp"

namespace recto {

class MemcachedIo {
public:
    using Deadline = std::chrono::steady_clock::time_point;

    explicit MemcachedIo(Deadline deadline);
    struct ForClosing {};  // libmemcached would say goodbye and wait for the server to hang up: it neither sends nor waits
    explicit MemcachedIo(ForClosing);
    ~MemcachedIo();
    MemcachedIo(const MemcachedIo&) = delete;
    MemcachedIo& operator=(const MemcachedIo&) = delete;

    // A sentence's end such as "timed out", or null: all that was asked has its reply, and libmemcached took it whole.
    [[nodiscard]] const char* fault() const;

    // The connection was dead already when the operation began: another one may do better.
    [[nodiscard]] bool was_closed_before() const { return fault_ == kClosed && !has_reply_; }
    [[nodiscard]] bool has_connected() const { return has_sent_; }

    // For the functions of these names alone.
    long send(int fd, const void* bytes, std::size_t size, int flags);
    long receive(int fd, void* bytes, std::size_t size);
    [[nodiscard]] int milliseconds_left(int at_most) const;
    static MemcachedIo* current();

private:
    static constexpr const char* kTimedOut = "timed out";
    static constexpr const char* kClosed = "closed the connection";
    static constexpr const char* kWrong = "sent something that is no reply to what it was asked";
    static constexpr const char* kRefused = "refused the user and the password";
    static constexpr const char* kUnread = "sent a reply that libmemcached didn't take";

    bool begin_request(int fd, std::string_view sent);
    bool await_reply(int fd);
    void make_room(std::size_t expected);
    bool receive_more(int fd);
    bool is_in_time();
    bool wait(int fd, short events);
    bool fail(const char* fault);

    const Deadline deadline_;
    const bool is_closing_ = false;
    MemcachedIo* const outer_;
    const char* fault_ = nullptr;
    std::optional<MemcachedRequest> request_;  // which awaits its reply, or whose reply isn't taken whole
    std::string buffer_;
    std::size_t received_ = 0, taken_ = 0;  // of the buffer
    bool has_sent_ = false;
    bool has_reply_ = false;  // of the connection, at least a byte
};

}  // namespace recto
