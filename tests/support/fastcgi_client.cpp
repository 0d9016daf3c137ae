#include "tests/support/fastcgi_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr int kBegin = 1;
constexpr int kEnd = 3;
constexpr int kParams = 4;
constexpr int kStdin = 5;
constexpr int kStdout = 6;
constexpr int kStderr = 7;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kMaxContent = 65'535;

char low_byte(std::size_t value) { return static_cast<char>(value & 0xff); }

void append_length(std::string& out, std::size_t length) {
    if (length < 0x80) {
        out += low_byte(length);
        return;
    }
    for (const int shift : {24, 16, 8, 0}) out += low_byte(shift == 24 ? length >> 24 | 0x80 : length >> shift);
}

std::size_t byte_at(std::string_view bytes, std::size_t index) { return static_cast<unsigned char>(bytes[index]); }

sockaddr_un address_of(const std::filesystem::path& socket) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto& name = socket.native();
    if (name.size() >= sizeof address.sun_path) throw std::system_error(ENAMETOOLONG, std::generic_category(), name);
    std::ranges::copy(name, address.sun_path);
    return address;
}

UniqueFd unix_socket() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), "socket");
    return UniqueFd(fd);
}

// Splits what a CGI program prints into status, headers and body.
void take_cgi_output(FastcgiAnswer& answer, std::string_view output) {
    const auto end = output.find("\r\n\r\n");
    if (end == std::string_view::npos) return;
    answer.body = output.substr(end + 4);
    for (auto head = output.substr(0, end + 2); !head.empty();) {
        const auto line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(line.size() + 2);
        const auto colon = line.find(": ");
        if (colon == std::string_view::npos) continue;
        const auto value = line.substr(colon + 2);
        if (line.substr(0, colon) == "Status")
            std::from_chars(value.data(), value.data() + value.size(), answer.status);
        else
            answer.headers.emplace_back(line.substr(0, colon), value);
    }
}

}  // namespace

std::string FastcgiAnswer::header(std::string_view name) const {
    const auto found = std::ranges::find_if(headers, [&](const auto& h) { return lower_ascii(h.first) == lower_ascii(name); });
    return found == headers.end() ? std::string() : found->second;
}

FastcgiParams get_params(std::string_view path, std::string_view query) {
    return {{"REQUEST_METHOD", "GET"},
            {"PATH_INFO", std::string(path)},
            {"QUERY_STRING", std::string(query)},
            {"CONTENT_TYPE", ""},
            {"CONTENT_LENGTH", ""},
            {"REMOTE_ADDR", "192.0.2.1"},
            {"REQUEST_ID", "0123456789abcdef0123456789abcdef"},
            {"HTTP_HOST", "example.org"}};
}

FastcgiParams post_params(std::string_view path, std::size_t content_length) {
    return {{"REQUEST_METHOD", "POST"},
            {"PATH_INFO", std::string(path)},
            {"QUERY_STRING", ""},
            {"CONTENT_TYPE", "application/json"},
            {"CONTENT_LENGTH", std::to_string(content_length)},
            {"REMOTE_ADDR", "192.0.2.1"}};
}

std::string fastcgi_record(int type, std::string_view content, int id) {
    const auto number = static_cast<std::size_t>(id);
    std::string record{'\1',
                       static_cast<char>(type),
                       low_byte(number >> 8),
                       low_byte(number),
                       low_byte(content.size() >> 8),
                       low_byte(content.size()),
                       '\0',
                       '\0'};
    return record += content;
}

std::string fastcgi_begin(bool keep, int role, int id) {
    const std::string content{'\0', static_cast<char>(role), keep ? '\1' : '\0', '\0', '\0', '\0', '\0', '\0'};
    return fastcgi_record(kBegin, content, id);
}

std::string fastcgi_stream(int type, std::string_view content, int id) {
    std::string records;
    for (; !content.empty(); content.remove_prefix(std::min(content.size(), kMaxContent)))
        records += fastcgi_record(type, content.substr(0, kMaxContent), id);
    return records += fastcgi_record(type, {}, id);
}

std::string fastcgi_params(const FastcgiParams& params, int id) {
    std::string content;
    for (const auto& [name, value] : params) {
        append_length(content, name.size());
        append_length(content, value.size());
        content += name;
        content += value;
    }
    return fastcgi_stream(kParams, content, id);
}

std::string fastcgi_request(const FastcgiParams& params, std::string_view body, bool keep, int id) {
    return fastcgi_begin(keep, 1, id) + fastcgi_params(params, id) + fastcgi_stream(kStdin, body, id);
}

FastcgiClient::FastcgiClient(const std::filesystem::path& socket, std::chrono::milliseconds timeout) : fd_(unix_socket()) {
    const auto address = address_of(socket);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw io_error("cannot connect to", socket);
    const timeval value{.tv_sec = timeout.count() / 1000, .tv_usec = timeout.count() % 1000 * 1000};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

bool FastcgiClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

std::optional<FastcgiAnswer> FastcgiClient::receive() {
    FastcgiAnswer answer;
    std::string output;
    while (fill(kHeader)) {
        const auto type = static_cast<int>(byte_at(received_, 1));
        const auto length = byte_at(received_, 4) << 8 | byte_at(received_, 5);
        const auto whole = kHeader + length + byte_at(received_, 6);
        if (!fill(whole)) return std::nullopt;
        const auto content = received_.substr(kHeader, length);
        received_.erase(0, whole);
        if (type == kStdout) output += content;
        if (type == kStderr) answer.errors += content;
        if (type != kEnd) continue;
        answer.protocol_status = length == 8 ? static_cast<int>(byte_at(content, 4)) : -1;
        take_cgi_output(answer, output);
        return answer;
    }
    return std::nullopt;
}

std::optional<FastcgiAnswer> FastcgiClient::ask(const FastcgiParams& params, std::string_view body, bool keep) {
    (void)send(fastcgi_request(params, body, keep));  // a refusal may come, and be read, before all is sent
    return receive();
}

std::optional<FastcgiAnswer> FastcgiClient::get(std::string_view path, std::string_view query, bool keep) {
    return ask(get_params(path, query), {}, keep);
}

bool FastcgiClient::is_closed_within(std::chrono::milliseconds timeout) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    std::array<char, 4096> waste;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd poll{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) == 0) return false;
        const auto got = ::recv(fd_.get(), waste.data(), waste.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return true;
    }
}

bool FastcgiClient::fill(std::size_t size) {
    std::array<char, 16u << 10> part;
    while (received_.size() < size) {
        const auto got = ::recv(fd_.get(), part.data(), part.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        received_.append(part.data(), static_cast<std::size_t>(got));
    }
    return true;
}

UniqueFd listen_unix(const std::filesystem::path& socket, int backlog) {
    auto fd = unix_socket();
    const auto address = address_of(socket);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw io_error("cannot bind", socket);
    if (::listen(fd.get(), backlog) != 0) throw io_error("cannot listen on", socket);
    return fd;
}

}  // namespace recto
