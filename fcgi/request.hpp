// request.hpp - one HTTP request as a plain value.
//
// A header that the client sent in several lines comes as several variables of one name from nginx before 1.23 (Debian 12), and as one from
// later ones. Its values are joined here, so that everything behind this sees each header once.
//
// Threads:  a plain value.
// Source:   RFC 3875 (CGI) for where each part comes from; RFC 9110 for what it means, section 5.3 for a header in several lines; RFC 9113
//           section 8.2.3 for Cookie; RFC 9112 section 3.2 for Host; httpoxy (CVE-2016-5385) for HTTP_PROXY.
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
    std::string sent_at;     // REQUEST_SENT: when nginx handed it on, its $msec
    std::string body;

    // From HTTP_* and CONTENT_TYPE: names in lower case with dashes, each once; several values are joined by ", ", of cookies by "; ".
    std::vector<std::pair<std::string, std::string>> headers;

    // A header of which there may be only one and of which there were several (authorization, content-type, host): each of them could be
    // the one that is meant, so the request is to be refused. Empty: none.
    std::string repeated_header;

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
    void take_header(std::string name, std::string_view value);

    Request request_;
    std::string script_;
};

// From a null-terminated array of NAME=value, as main's envp.
[[nodiscard]] Request request_from_environment(const char* const* environment);

}  // namespace recto
