// connection.hpp - one accepted FastCGI connection: the only file pair that includes <fcgiapp.h>.
//
// We accept and close connections ourselves; libfcgi reads and writes one request at a time on a descriptor that it is lent. Its
// FCGX_Request is made once and never moved: libfcgi's streams point into it.
//
// Errors:   a function that fails says so; the connection is then good for nothing but close().
// Threads:  one thread at a time; cut_reading() from any, while close() is excluded.
// Limits:   each write waits for io_timeout at most. A body is read for as long as it takes: who calls read_body() sees to an end with
//           cut_reading(). The socket has no time limit of its own for reading, for then a program that is stopped (a debugger, SIGSTOP)
//           and goes on would have lost the body: that ends such a wait with EINTR (signal(7)), which libfcgi takes for the end.
// Source:   libfcgi 2.4.2. FCGX_Accept_r finishes with FCGX_Free(request, close = 1) where reading fails; a listening socket of -1 makes it
//           return then instead of waiting for another connection. FCGX_Detach spares us its wait of up to 2 s for the other side's close.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fcgi/request.hpp"
#include "util/file.hpp"

struct FCGX_Request;

namespace recto {

// Once before the first connection. libfcgi takes SIGPIPE, SIGUSR1 and SIGTERM for itself when it starts; this gives them back, so that
// it doesn't matter when the program sets its own handlers, and ignores SIGPIPE: a client that went away is an error of write().
void prepare_libfcgi();

class Connection {
public:
    Connection();
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void open(UniqueFd fd, std::chrono::milliseconds io_timeout);
    void close() noexcept;
    [[nodiscard]] int fd() const { return fd_.get(); }

    // What has arrived, without taking it and without waiting: at most `window`. Empty text: nothing yet. Nothing: the other side is gone.
    [[nodiscard]] std::optional<std::string_view> peek(std::span<char> window) const;
    [[nodiscard]] bool hung_up() const;

    // The request up to its parameters, which must have arrived (look_at_request).
    [[nodiscard]] std::optional<Request> take_request();

    // The rest of it, to its end. False: it ended early or didn't end, or has more than `limit` bytes: limit + 1 of them are in `body`
    // then.
    [[nodiscard]] bool read_body(std::string& body, std::size_t limit);
    void cut_reading() const noexcept;

    // Whether an answer of so many bytes can be written without waiting.
    [[nodiscard]] bool fits(std::size_t bytes);

    // The answer and the end of the request.
    [[nodiscard]] bool write(std::string_view head, std::string_view body);
    [[nodiscard]] bool is_kept() const;  // what the client asked for

    void write_without_waiting(std::string_view bytes) const noexcept;

    // Lets a client that is still sending read our answer: closing with its bytes unread would reset the connection.
    void linger(std::chrono::milliseconds at_most) const;

private:
    void drop_request() noexcept;

    UniqueFd fd_;
    std::unique_ptr<FCGX_Request> request_;
    std::size_t send_buffer_ = 0;
    std::size_t perhaps_unread_ = 0;  // of what we wrote; an upper bound
};

}  // namespace recto
