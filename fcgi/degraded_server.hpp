// degraded_server.hpp - answers 503 with Retry-After to every request, in place of a worker that can't work yet, and says why it can't.
//
// Errors:   begin() throws std::system_error when it can't be had.
// Threads:  its own; the functions are safe to call from any thread.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "fcgi/server.hpp"
#include "util/file.hpp"

namespace recto {

// For a request that comes meanwhile.
[[nodiscard]] std::unique_ptr<Exchange> begin_refusal(Request&& request);

// Says a lasting reason when it begins or changes, and then each minute. Numbers of ten digits and more don't make it another reason:
// temporary files are named by them.
class LastingReason {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::minutes kAgain{1};

    [[nodiscard]] bool is_due(const std::string& reason, Clock::time_point now);

private:
    std::string said_;
    Clock::time_point said_at_;
};

class DegradedServer {
public:
    explicit DegradedServer(int listen_fd) : listen_fd_(listen_fd) {}  // stays the caller's
    ~DegradedServer() { end(); }
    DegradedServer(const DegradedServer&) = delete;
    DegradedServer& operator=(const DegradedServer&) = delete;

    // Answers from now on, until end(); tells the service manager and, if it is due, the log.
    void begin(const std::string& reason);

    [[nodiscard]] bool has_begun();

    // Requests that are being answered end first. Says that it is over, if it had begun.
    void end();

private:
    void tell(const std::string& reason);

    const int listen_fd_;
    std::mutex mutex_;
    // guarded by mutex_:
    std::optional<Server> server_;
    LastingReason reason_;
    LastingReason::Clock::time_point since_;
    std::thread thread_;
};

}  // namespace recto
