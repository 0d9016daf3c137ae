// server.hpp - FastCGI: connections, event threads and a pool.
//
// Event threads hold the listening socket and all idle connections, each those that it accepted, in an epoll set of its own; idle, silent
// and dribbling connections cost no thread. An event thread asks an Exchange for an answer that needs no waiting; what may block goes to
// the pool. A request that waits for another's answer holds no thread either.
//
// Errors:   the constructor and run() throw std::system_error when epoll or threads can't be had. What a client does wrong ends its
//           connection. An exception out of an Exchange is answered with 500 and logged. A request whose client has gone is dropped.
// Threads:  run() blocks the caller; stop() may be called from a signal handler. The server's own threads block all signals. The
//           constructor leaves the handlers of all signals as they are, but ignores SIGPIPE.
// Limits:   max_connections; beyond it the longest idle one is closed. A body over max_body is answered 413 and the connection closed.
//           A request must have arrived within io_timeout of its first byte; a body of more than 16 KB, and a response, within io_timeout
//           and a second for each megabyte of its size (transfer_time() in connection.hpp), however steadily a few bytes come or go.
// Source:   the FastCGI specification 1.0.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "fcgi/request.hpp"
#include "fcgi/response.hpp"
#include "util/context.hpp"
#include "util/units.hpp"

namespace recto {

// One request between its arrival and its answer.
class Exchange {
public:
    virtual ~Exchange() = default;

    // An answer that needs no waiting, or nothing. Called once, first; usually on an event thread.
    virtual std::optional<Response> without_waiting() = 0;

    // On a pool thread, if the first gave nothing: goes on where it stopped. Nothing: it depends on what another thread is doing, so it
    // is called again once `wake` was, which may be done from any thread, even before this returns. So nothing of the exchange may be
    // touched any more once another thread can call it.
    using Wake = std::function<void()>;
    virtual std::optional<Response> to_the_end(const Wake& wake) = 0;

    // When the answer is handed to nginx, on the thread that does it: just before where that takes no waiting, else afterwards.
    virtual void answered(const Response& response) = 0;

    // Instead of that, when its client has gone.
    virtual void abandoned() {}

    // Names the request in the log when the server has to report an exception of it.
    [[nodiscard]] virtual RequestContext* context() { return nullptr; }
};

using BeginExchange = std::function<std::unique_ptr<Exchange>(Request&&)>;

struct ServerOptions {
    int threads = 2;  // event threads
    int pool = 8;
    int max_connections = 4096;
    Size max_body{1u << 20};
    std::chrono::milliseconds io_timeout{10'000};
    std::chrono::milliseconds idle_timeout{90'000};  // longer than nginx's keepalive_timeout of 60 s: nginx always closes first
    std::chrono::milliseconds stop_timeout{25'000};
    std::chrono::milliseconds hang{0};  // a thread that is at one request for so long is logged (hang_watch.hpp); 0: none is
};

// Since the server was made.
struct ServerCounts {
    std::uint64_t accepted = 0;
    std::uint64_t answered = 0;
    std::uint64_t aborted = 0;      // requests dropped because the client had gone
    std::uint64_t malformed = 0;    // connections closed because of what was sent on them
    std::uint64_t timed_out = 0;    // requests that didn't arrive in time
    std::uint64_t crowded_out = 0;  // connections closed because of max_connections
};

class Server {
public:
    // Takes the listening socket over and makes it non-blocking.
    Server(int listen_fd, const ServerOptions& options, BeginExchange begin);

    // Waits for requests that are still running. Who can't wait after run() has returned false leaves with _exit.
    ~Server();

    // Until stop(); then finishes the requests in flight. False: some were still running after stop_timeout. Once only.
    [[nodiscard]] bool run();
    void stop() noexcept;

    [[nodiscard]] ServerCounts counts() const;  // safe to call from any thread

private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

// Plain CGI: one request from the environment and stdin, its answer on stdout.
void answer_one_cgi_request(const ServerOptions& options, const BeginExchange& begin);

}  // namespace recto
