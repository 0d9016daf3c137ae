// response.hpp - one HTTP response as a plain value, and its bytes as FastCGI and CGI want them.
//
// Threads:  a plain value.
// Source:   RFC 3875 section 6 (Status header, CRLF), RFC 9110.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace recto {

struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;

    void set(std::string_view name, std::string value);  // replaces one of that name (compared without case)
    [[nodiscard]] const std::string* header(std::string_view name) const;
    [[nodiscard]] std::string_view header_value(std::string_view name) const;  // also of a shared one; empty: it has none

    void set_body(std::string text);
    [[nodiscard]] std::string_view body() const { return body_; }

    // An answer from the cache copies nothing: header lines as they go out, Content-Length among them, and the body are shared with the
    // entry, which `owner` keeps alive. `headers` are added to the lines.
    void share(std::string_view lines, std::string_view body, std::shared_ptr<const void> owner);
    [[nodiscard]] std::string_view lines() const { return lines_; }

private:
    std::string_view lines_;
    std::string_view body_;
    std::shared_ptr<const void> owner_;
};

// `Status: 200 OK`, the headers, Content-Length and the empty line; no body. A CR, LF or NUL in a header's value becomes a space.
// Content-Length is counted here, never taken from the headers, and left out where there may be no body.
[[nodiscard]] std::string header_block(const Response& response);
void append_header(std::string& out, std::string_view name, std::string_view value);  // one line of it

// Not for 1xx, 204 and 304 (RFC 9110 section 6.4.1).
[[nodiscard]] bool may_have_body(int status);

[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace recto
