// slow_request.hpp - what is logged of a request that took longer than [log] slow.
//
// `{"view":"blogs.by_author","parameters":{"author_id":"12"},"method":"GET","status":200,"us":120345,"waited":1500,"phases":{"auth":2,…},
// "queries":3}`, times in microseconds. `waited`: from when the web server handed the request on until a worker read it; it is not part of
// `us`, and absent where the web server doesn't say when that was.
//
// Of the query only the parameters that the view declares are logged; never headers, cookies or a body.
//
// Limits:   kMaxLoggedValue bytes of each parameter.
// Threads:  pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "site/view_request.hpp"
#include "util/context.hpp"
#include "util/json.hpp"
#include "util/time.hpp"

namespace recto {

inline constexpr std::string_view kRequestLogger = "recto.request";  // of request.slow and request.hung

inline constexpr std::size_t kMaxLoggedValue = 100;

[[nodiscard]] json::object logged_parameters(const View& view, const ViewRequest& request);

// `sent` is REQUEST_SENT, nginx's $msec: seconds since 1970. Nothing: it says nothing, or the clock was set meanwhile.
[[nodiscard]] std::optional<std::chrono::microseconds> time_waited(std::string_view sent, TimePoint read);

struct SlowRequestEvent {
    std::string_view method;
    int status = 0;
    json::object parameters = {};
    std::optional<std::chrono::microseconds> waited = {};
};
[[nodiscard]] json::value slow_request_data(const RequestContext& context, SlowRequestEvent event);

}  // namespace recto
