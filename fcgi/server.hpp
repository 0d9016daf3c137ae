// server.hpp - FastCGI: connections, event threads and a pool. The only file pair that knows libfcgi.
//
// Event threads hold the listening socket and all idle connections in one epoll set; idle, silent and dribbling connections cost no
// thread. An event thread asks an Exchange for an answer that needs no waiting; what may block goes to the pool.
//
// Errors:   the constructor throws std::system_error when epoll or threads can't be had. What a client does wrong ends its
//           connection. An exception out of an Exchange is answered with 500 and logged.
// Threads:  run() blocks the caller; stop() may be called from a signal handler.
// Limits:   max_connections; beyond it the longest idle one is closed. A body over max_body is answered 413 and the connection closed.
// Source:   the FastCGI specification 1.0; traps of libfcgi 2.4.2 are noted where they are met.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "fcgi/request.hpp"
#include "fcgi/response.hpp"
#include "util/units.hpp"

namespace recto {

// One request between its arrival and its answer.
class Exchange {
public:
    virtual ~Exchange() = default;

    // On an event thread: an answer that needs no waiting, or nothing. Called once, first.
    virtual std::optional<Response> without_waiting() = 0;

    // On a pool thread, if the first gave nothing: goes on where it stopped.
    virtual Response to_the_end() = 0;

    // After the answer was handed to nginx, on the thread that did it.
    virtual void answered(const Response& response) = 0;
};

using BeginExchange = std::function<std::unique_ptr<Exchange>(Request)>;

struct ServerOptions {
    int threads = 2;  // event threads
    int pool = 8;
    int max_connections = 4096;
    Size max_body{1u << 20};
    std::chrono::milliseconds io_timeout{10'000};
    std::chrono::milliseconds idle_timeout{90'000};  // longer than nginx's keepalive_timeout of 60 s: nginx always closes first
    std::chrono::milliseconds stop_timeout{25'000};
};

class Server {
public:
    // Takes the listening socket over and makes it non-blocking.
    Server(int listen_fd, const ServerOptions& options, BeginExchange begin);
    ~Server();

    // Until stop(); then finishes the requests in flight. False: some were still running after stop_timeout.
    [[nodiscard]] bool run();
    void stop() noexcept;

private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

// Plain CGI: one request from the environment and stdin, its answer on stdout.
void answer_one_cgi_request(const ServerOptions& options, const BeginExchange& begin);

}  // namespace recto
