// answers.hpp - the answers that many views share, in DRF's shapes.
//
// Threads:  pure functions.
// Source:   DRF rest_framework/exceptions.py for the texts, views.py for the headers.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "fcgi/response.hpp"
#include "site/views.hpp"

namespace recto {

[[nodiscard]] Response json_answer(int status, std::string body);
[[nodiscard]] Response detail(int status, std::string_view text);                     // {"detail":"…"}
[[nodiscard]] Response invalid_field(std::string_view field, std::string_view text);  // 400 {"field":["…"]}

[[nodiscard]] Response not_found();
[[nodiscard]] Response repeated_header(std::string_view name);  // 400
[[nodiscard]] Response precondition_failed();
[[nodiscard]] Response uri_too_long();
[[nodiscard]] Response method_not_allowed(std::string_view method);
[[nodiscard]] Response unauthorized(std::string_view text);
[[nodiscard]] Response throttled(std::chrono::seconds retry_after);
[[nodiscard]] Response unavailable(std::chrono::seconds retry_after);
[[nodiscard]] Response server_error();
[[nodiscard]] Response description(const View& view);  // of OPTIONS

}  // namespace recto
