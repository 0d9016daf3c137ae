#include "tests/support/http_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "util/text.hpp"

namespace recto {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;

constexpr timeval kPatience{10, 0};

}  // namespace

struct HttpClient::Connection {
    boost::asio::io_context io;
    tcp::socket socket{io};
    beast::flat_buffer buffer;

    Connection(std::uint16_t port, const std::string& from) {
        socket.open(tcp::v4());
        socket.bind({boost::asio::ip::make_address_v4(from), 0});
        socket.connect({boost::asio::ip::address_v4::loopback(), port});
        ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    }

    http::response<http::string_body> ask(const http::request<http::string_body>& request) {
        http::write(socket, request);
        http::response_parser<http::string_body> parser;
        parser.body_limit(64u << 20);
        parser.skip(request.method() == http::verb::head);
        http::read(socket, buffer, parser);
        return parser.release();
    }
};

HttpClient::HttpClient(std::uint16_t port, std::string from) : port_(port), from_(std::move(from)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::request(const std::string& method, const std::string& target, const HttpHeaders& headers, const std::string& body) {
    return ask(method, target, {headers.begin(), headers.end()}, body);
}

HttpAnswer HttpClient::get_with_lines(const std::string& target, const HttpLines& lines) { return ask("GET", target, lines, {}); }

HttpAnswer HttpClient::ask(const std::string& method, const std::string& target, const HttpLines& lines, const std::string& body) {
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(target);
    request.version(11);
    if (std::ranges::none_of(lines, [](const auto& line) { return lower_ascii(line.first) == "host"; }))
        request.set(http::field::host, "127.0.0.1");
    for (const auto& [name, value] : lines) request.insert(name, value);
    request.body() = body;
    request.prepare_payload();

    if (!connection_) connection_ = std::make_unique<Connection>(port_, from_);
    http::response<http::string_body> response;
    try {
        response = connection_->ask(request);
    } catch (const std::exception&) {
        connection_.reset();
        throw;
    }
    HttpAnswer answer{static_cast<int>(response.result_int()), {}, std::move(response.body())};
    for (const auto& field : response)
        answer.headers[lower_ascii({field.name_string().data(), field.name_string().size()})] = field.value();
    if (!response.keep_alive()) connection_.reset();
    return answer;
}

std::uint16_t free_port() {
    boost::asio::io_context io;
    return tcp::acceptor(io, {boost::asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

}  // namespace recto
