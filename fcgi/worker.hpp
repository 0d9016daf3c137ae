// worker.hpp - one worker process: it answers from the start, and is a blog as soon as the blog can be opened.
//
// As long as it can't be opened the worker is degraded: it answers 503 with Retry-After to every request. It logs the reason
// at once, again when the reason changes and each minute, and tries again every 5 s. Then it goes on as any other worker, without a
// restart. An opening that takes longer than two seconds (a long migration, a database that hangs) is such a time too. So a fault makes no
// visitor wait, and the service manager, which hears READY=1 in any case, has nothing to restart.
//
// Errors:   run() throws what a retry can't mend: a socket that can't be had.
// Threads:  for the main thread, behind a Signals.
#pragma once

#include <memory>
#include <stop_token>

#include "fcgi/opening.hpp"
#include "fcgi/server.hpp"
#include "util/file.hpp"

namespace recto {

class DegradedServer;

class Worker {
public:
    Worker(UniqueFd socket, Opening& opening, std::stop_token stop);
    ~Worker();

    // Until it is asked to stop; returns the exit code.
    [[nodiscard]] int run();

private:
    [[nodiscard]] std::unique_ptr<OpenedSite> open_at_last();
    [[nodiscard]] std::unique_ptr<OpenedSite> try_to_open();
    [[nodiscard]] int serve(OpenedSite& opened);

    UniqueFd socket_;
    Opening& opening_;
    const std::stop_token stop_;
    std::unique_ptr<DegradedServer> degraded_;
};

[[nodiscard]] ServerOptions server_options(const Config& config);

}  // namespace recto
