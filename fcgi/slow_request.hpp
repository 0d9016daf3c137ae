// slow_request.hpp - what is logged of a request that took longer than [log] slow.
//
// `{"view":"blogs.by_author","method":"GET","status":200,"us":120345,"phases":{"auth":2,…},"queries":3}`, times in microseconds.
//
// Threads:  pure functions.
#pragma once

#include <string_view>

#include "util/context.hpp"
#include "util/json.hpp"

namespace recto {

inline constexpr std::string_view kRequestLogger = "recto.request";  // of request.slow and request.hung

[[nodiscard]] json::value slow_request_data(const RequestContext& context, std::string_view method, int status);

}  // namespace recto
