// view_exchange.hpp - the life of a request: context, route, authenticate, throttle, cache, view, respond.
//
// What needs no waiting is tried first, on an event thread: a 404 or 405, a refusal of the throttle, a user and an answer that are in
// process memory. The rest goes on from there on a pool thread.
//
// Threads:  one exchange is used by one thread at a time; the Application is shared by all.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "fcgi/handlers.hpp"
#include "fcgi/server.hpp"
#include "site/site.hpp"

namespace recto {

// A view with everything that is decided about it at start.
struct Route {
    const View* view = nullptr;
    Handler handler;
    std::chrono::milliseconds cache{0};
    std::vector<Throttle::Scope> throttle;
    std::optional<Level> log;
};

class Application {
public:
    Application(Site& site, Throttle& throttle);  // both must outlive it

    [[nodiscard]] std::unique_ptr<Exchange> begin(Request request) const;

private:
    Site& site_;
    Throttle& throttle_;
    std::map<const View*, Route> routes_;
};

}  // namespace recto
