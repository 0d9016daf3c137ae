// request.hpp - one HTTP request as a plain value.
//
// Threads:  a plain value.
// Source:   RFC 3875 (CGI) for where each part comes from, RFC 9110 for what it means; httpoxy (CVE-2016-5385) for HTTP_PROXY.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace recto {

struct Request {
    std::string method;      // REQUEST_METHOD
    std::string path;        // PATH_INFO, else SCRIPT_NAME: decoded by nginx, begins with /
    std::string query;       // QUERY_STRING, not decoded
    std::string address;     // REMOTE_ADDR; "local" without one (the command line), "unknown" when it is empty or `unix:`
    std::string request_id;  // REQUEST_ID, set by nginx; empty when absent or not 32 hexadecimal digits
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case with dashes, from HTTP_* and CONTENT_TYPE

    [[nodiscard]] bool is_head() const { return method == "HEAD"; }

    // Absent and empty are two things (RFC 9110 section 5.5). `name` in lower case.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
};

// Makes the request that CGI variables describe, in whichever order they come. Its body is not among them.
class RequestMaker {
public:
    RequestMaker();
    void take(std::string_view name, std::string_view value);
    [[nodiscard]] Request made() &&;

private:
    Request request_;
    std::string script_;
};

// From a null-terminated array of NAME=value, as main's envp.
[[nodiscard]] Request request_from_environment(const char* const* environment);

}  // namespace recto
