// fastcgi_client.hpp - speaks FastCGI to a server over a unix socket, as nginx does, and as nginx never would.
//
// Errors:   std::system_error when the socket can't be had. An answer that doesn't come, in time or at all, is absent.
// Threads:  one object a thread; the functions are safe to call from any thread.
// Source:   the FastCGI specification 1.0.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/file.hpp"

namespace recto {

using FastcgiParams = std::vector<std::pair<std::string, std::string>>;

struct FastcgiAnswer {
    int status = 0;                                            // of the Status header
    std::vector<std::pair<std::string, std::string>> headers;  // as they came, without Status
    std::string body;
    std::string errors;       // STDERR
    int protocol_status = 0;  // of END_REQUEST

    [[nodiscard]] std::string header(std::string_view name) const;  // compared without case; empty when absent
};

// What nginx sends for `GET path?query` from 192.0.2.1.
[[nodiscard]] FastcgiParams get_params(std::string_view path, std::string_view query = {});
[[nodiscard]] FastcgiParams post_params(std::string_view path, std::size_t content_length);

// The bytes. Records hold at most 65,535 bytes and are not padded.
[[nodiscard]] std::string fastcgi_record(int type, std::string_view content, int id = 1);
[[nodiscard]] std::string fastcgi_begin(bool keep = true, int role = 1, int id = 1);
[[nodiscard]] std::string fastcgi_stream(int type, std::string_view content, int id = 1);  // its records and the empty one
[[nodiscard]] std::string fastcgi_params(const FastcgiParams& params, int id = 1);
[[nodiscard]] std::string fastcgi_request(const FastcgiParams& params, std::string_view body = {}, bool keep = true, int id = 1);

class FastcgiClient {
public:
    explicit FastcgiClient(const std::filesystem::path& socket, std::chrono::milliseconds timeout = std::chrono::seconds(10));

    // False: the server has closed the connection, or doesn't read.
    bool send(std::string_view bytes);

    [[nodiscard]] std::optional<FastcgiAnswer> receive();
    [[nodiscard]] std::optional<FastcgiAnswer> ask(const FastcgiParams& params, std::string_view body = {}, bool keep = true);
    [[nodiscard]] std::optional<FastcgiAnswer> get(std::string_view path, std::string_view query = {}, bool keep = true);

    // Waits for the server to close the connection; throws away what it sends until then. False: it didn't within `timeout`.
    [[nodiscard]] bool is_closed_within(std::chrono::milliseconds timeout);
    void close() { fd_.reset(); }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    bool fill(std::size_t size);

    UniqueFd fd_;
    std::string received_;
};

// A socket for a server to listen on.
[[nodiscard]] UniqueFd listen_unix(const std::filesystem::path& socket, int backlog = 4096);

}  // namespace recto
