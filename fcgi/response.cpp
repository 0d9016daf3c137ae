#include "fcgi/response.hpp"

#include <algorithm>
#include <array>

#include "util/text.hpp"

namespace recto {
namespace {

bool is_same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

// A line's end in a value would begin a header, or the body, that nobody meant.
void append_value(std::string& out, std::string_view value) {
    const auto from = static_cast<std::string::difference_type>(out.size());
    out += value;
    std::replace_if(
        out.begin() + from, out.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
}

constexpr auto kReasons = std::to_array<std::pair<int, std::string_view>>({
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
});

}  // namespace

void Response::set(std::string_view name, std::string value) {
    for (auto& [known, old] : headers) {
        if (!is_same_name(known, name)) continue;
        old = std::move(value);
        return;
    }
    headers.emplace_back(name, std::move(value));
}

const std::string* Response::header(std::string_view name) const {
    const auto found = std::ranges::find_if(headers, [&](const auto& header) { return is_same_name(header.first, name); });
    return found == headers.end() ? nullptr : &found->second;
}

std::string_view Response::header_value(std::string_view name) const {
    if (const auto* const own = header(name)) return *own;
    for (auto rest = lines_; !rest.empty();) {
        const auto line = rest.substr(0, rest.find("\r\n"));
        rest.remove_prefix(std::min(rest.size(), line.size() + 2));
        if (line.size() > name.size() && line[name.size()] == ':' && is_same_name(line.substr(0, name.size()), name))
            return trim(line.substr(name.size() + 1));
    }
    return {};
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    append_value(out, value);
    out += "\r\n";
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string header_block(const Response& response) {
    std::string out;
    out.reserve(512);
    // nginx and every CGI server read the status from this pseudo header, and take 200 where it is missing.
    out += "Status: ";
    out += std::to_string(response.status);
    out += ' ';
    out += reason_phrase(response.status);
    out += "\r\n";
    out += response.lines();
    for (const auto& [name, value] : response.headers)
        if (!is_same_name(name, "Content-Length")) append_header(out, name, value);
    if (response.lines().empty() && may_have_body(response.status))
        append_header(out, "Content-Length", std::to_string(response.body().size()));
    out += "\r\n";
    return out;
}

std::string_view reason_phrase(int status) {
    const auto found = std::ranges::find(kReasons, status, &std::pair<int, std::string_view>::first);
    return found == kReasons.end() ? "Unknown" : found->second;
}

void Response::set_body(std::string text) {
    auto own = std::make_shared<const std::string>(std::move(text));
    body_ = *own;
    owner_ = std::move(own);
}

void Response::share(std::string_view lines, std::string_view body, std::shared_ptr<const void> owner) {
    lines_ = lines;
    body_ = body;
    owner_ = std::move(owner);
}

}  // namespace recto
