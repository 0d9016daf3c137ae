// view_exchange.hpp - the life of a request: context, route, authenticate, throttle, method, cache, view, respond.
//
// What needs no waiting is tried first, on an event thread: a 404, a refusal of the throttle, a user and an answer that are in
// process memory. The rest goes on from there on a pool thread. Of those who miss the same answer one computes it, the others are parked.
//
// Errors:   when the database can't be read and nothing older may be shown, the answer is 503.
// Threads:  one exchange is used by one thread at a time; the Application is shared by all.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "fcgi/handlers.hpp"
#include "fcgi/server.hpp"
#include "fcgi/view_cache.hpp"
#include "fcgi/view_throttle.hpp"
#include "site/site.hpp"
#include "throttle/gate.hpp"

namespace recto {

// A view with everything that is decided about it at start.
struct Route {
    const View* view = nullptr;
    Handler handler;
    StoragePolicy storage;
    Cache::Subject subject = 0;  // for the counters
    ViewThrottle::Limits limits;
    Gate::Door door = 0;
    std::uint32_t at_once = 0;  // 0: any number
    std::optional<Level> log;
    std::string allow;  // the header of that name
};

class Application {
public:
    // All must outlive it. Every view has a handler (assert).
    Application(Site& site, Throttle& throttle, Gate& gate, std::span<const View> views, const Handlers& handlers);

    [[nodiscard]] std::unique_ptr<Exchange> begin(Request&& request) const;

private:
    Site& site_;
    ViewThrottle throttle_;
    Gate& gate_;
    std::map<std::string_view, Route> routes_;  // by path, without a slash at its end
};

}  // namespace recto
