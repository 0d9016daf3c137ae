// http_client.hpp - a small HTTP client for tests, one kept connection to 127.0.0.1, from there or another loopback address.
//
// Errors:   std::runtime_error when there is no answer within 10 s.
// Threads:  one per thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace recto {

using HttpHeaders = std::map<std::string, std::string>;
using HttpLines = std::vector<std::pair<std::string, std::string>>;  // in this order, of one name as often as it is there

struct HttpAnswer {
    int status = 0;
    HttpHeaders headers;  // names in lower case
    std::string body;

    [[nodiscard]] std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string() : found->second;
    }
};

class HttpClient {
public:
    explicit HttpClient(std::uint16_t port, std::string from = "127.0.0.1");
    HttpClient(HttpClient&&) noexcept;
    ~HttpClient();

    HttpAnswer get(const std::string& target, const HttpHeaders& headers = {}) { return request("GET", target, headers); }
    HttpAnswer get_with_lines(const std::string& target, const HttpLines& lines);
    HttpAnswer request(const std::string& method, const std::string& target, const HttpHeaders& headers = {}, const std::string& body = {});

private:
    struct Connection;
    HttpAnswer ask(const std::string& method, const std::string& target, const HttpLines& lines, const std::string& body);

    std::uint16_t port_;
    std::string from_;
    std::unique_ptr<Connection> connection_;
};

// A port of 127.0.0.1 that nobody listens on now.
[[nodiscard]] std::uint16_t free_port();

}  // namespace recto
