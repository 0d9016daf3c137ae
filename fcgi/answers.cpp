#include "fcgi/answers.hpp"

#include "util/json.hpp"

namespace recto {

Response json_answer(int status, std::string body) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    response.set_body(std::move(body));
    return response;
}

Response detail(int status, std::string_view text) { return json_answer(status, "{\"detail\":" + json_string(text) + '}'); }

Response invalid_field(std::string_view field, std::string_view text) {
    return json_answer(400, '{' + json_string(field) + ":[" + json_string(text) + "]}");
}

Response not_found() { return detail(404, "Not found."); }

Response repeated_header(std::string_view name) { return detail(400, "The header \"" + std::string(name) + "\" may be given only once."); }

Response precondition_failed() { return detail(412, "Precondition failed."); }

Response uri_too_long() { return detail(414, "The query is too long."); }

Response method_not_allowed(std::string_view method) { return detail(405, "Method \"" + std::string(method) + "\" not allowed."); }

Response unauthorized(std::string_view text) {
    auto response = detail(401, text);
    response.set("WWW-Authenticate", "Token");
    return response;
}

Response throttled(std::chrono::seconds retry_after) {
    const auto seconds = std::to_string(retry_after.count());
    const auto* const unit = retry_after.count() == 1 ? " second." : " seconds.";
    auto response = detail(429, "Request was throttled. Expected available in " + seconds + unit);
    response.set("Retry-After", seconds);
    response.set("Cache-Control", "no-store");  // RFC 6585 section 4: a 429 must not be stored
    return response;
}

Response unavailable(std::chrono::seconds retry_after) {
    auto response = detail(503, "Service temporarily unavailable, try again later.");
    response.set("Retry-After", std::to_string(retry_after.count()));
    response.set("Cache-Control", "no-store");
    return response;
}

Response server_error() { return detail(500, "A server error occurred."); }

Response description(const View& view) {
    return json_answer(
        200, R"({"name":)" + json_string(view.name) + R"(,"description":"","renders":["application/json"],"parses":["application/json"]})");
}

}  // namespace recto
