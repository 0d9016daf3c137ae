#include "fcgi/request.hpp"

#include <algorithm>

namespace recto {
namespace {

bool is_request_id(std::string_view text) {
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
    return text.size() == 32 && std::ranges::all_of(text, is_hex);
}

std::string header_name(std::string_view variable) {
    std::string name(variable);
    for (auto& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c == '_') c = '-';
    }
    return name;
}

// HTTP_PROXY would look like the proxy setting to a program started with our environment. The other two are what CONTENT_TYPE and
// CONTENT_LENGTH say already: nginx sends both spellings.
bool is_left_out(std::string_view variable) {
    return variable == "HTTP_PROXY" || variable == "HTTP_CONTENT_TYPE" || variable == "HTTP_CONTENT_LENGTH";
}

bool may_be_given_once_only(std::string_view name) { return name == "authorization" || name == "content-type" || name == "host"; }

std::string_view known_address(std::string_view address) { return address.empty() || address == "unix:" ? "unknown" : address; }

}  // namespace

std::optional<std::string_view> Request::header(std::string_view name) const {
    const auto found = std::ranges::find(headers, name, [](const auto& header) -> std::string_view { return header.first; });
    if (found == headers.end()) return std::nullopt;
    return found->second;
}

RequestMaker::RequestMaker() {
    request_.address = "local";
    request_.headers.reserve(12);
}

void RequestMaker::take(std::string_view name, std::string_view value) {
    if (name.starts_with("HTTP_")) {
        if (!is_left_out(name)) take_header(header_name(name.substr(5)), value);
    } else if (name == "REQUEST_METHOD") {
        request_.method = value;
    } else if (name == "PATH_INFO") {
        request_.path = value;
    } else if (name == "SCRIPT_NAME") {
        script_ = value;
    } else if (name == "QUERY_STRING") {
        request_.query = value;
    } else if (name == "REMOTE_ADDR") {
        request_.address = known_address(value);
    } else if (name == "REQUEST_ID") {
        if (is_request_id(value)) request_.request_id = value;
    } else if (name == "REQUEST_SENT") {
        request_.sent_at = value;
    } else if (name == "CONTENT_TYPE" && !value.empty()) {  // CGI says "none" with an empty one
        take_header("content-type", value);
    }
}

void RequestMaker::take_header(std::string name, std::string_view value) {
    const auto known = std::ranges::find(request_.headers, name, &std::pair<std::string, std::string>::first);
    if (known == request_.headers.end()) {
        request_.headers.emplace_back(std::move(name), value);
        return;
    }
    known->second += name == "cookie" ? "; " : ", ";
    known->second += value;
    if (may_be_given_once_only(name)) request_.repeated_header = std::move(name);
}

Request RequestMaker::made() && {
    if (request_.path.empty()) request_.path = std::move(script_);
    return std::move(request_);
}

Request request_from_environment(const char* const* environment) {
    RequestMaker maker;
    for (; *environment != nullptr; ++environment) {
        const std::string_view variable(*environment);
        const auto equals = variable.find('=');
        if (equals != std::string_view::npos) maker.take(variable.substr(0, equals), variable.substr(equals + 1));
    }
    return std::move(maker).made();
}

}  // namespace recto
