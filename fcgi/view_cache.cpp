#include "fcgi/view_cache.hpp"

#include <algorithm>
#include <charconv>

#include "util/crypto.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::string_view kVersion = "recto view 1\n";

// The directives of a Cache-Control header by name, whatever their case or arguments (RFC 9111 section 5.2).
bool has_directive(std::string_view cache_control, std::string_view name) {
    return std::ranges::any_of(split_list(cache_control), [&](std::string_view directive) {
        return lower_ascii(trim(directive.substr(0, directive.find('=')))) == name;
    });
}

bool forbids_storing(std::string_view cache_control) {
    return std::ranges::any_of(std::initializer_list<std::string_view>{"no-store", "private", "no-cache"},
                               [&](auto name) { return has_directive(cache_control, name); });
}

std::string_view without_weakness(std::string_view etag) { return etag.starts_with("W/") ? etag.substr(2) : etag; }

// Up to the separator, which is dropped; nothing if there is none.
std::optional<std::string_view> take_until(std::string_view& text, std::string_view separator) {
    const auto end = text.find(separator);
    if (end == std::string_view::npos) return {};
    const auto part = text.substr(0, end);
    text.remove_prefix(end + separator.size());
    return part;
}

}  // namespace

bool is_storable(const Response& response) {
    if (response.status != 200 || response.header("Set-Cookie") != nullptr) return false;
    const auto* const cache_control = response.header("Cache-Control");
    return cache_control == nullptr || !forbids_storing(*cache_control);
}

void add_validators(Response& response) {
    response.set("ETag", '"' + hex(hash128(response.body())) + '"');
    response.set("Cache-Control", "no-cache");
}

std::string pack(const Response& response) {
    std::string bytes(kVersion);
    bytes += std::to_string(response.status) + '\n';
    for (const auto& [name, value] : response.headers) bytes += name + ": " + value + '\n';
    bytes += '\n';
    bytes += response.body();
    return bytes;
}

std::optional<Response> unpack(const CacheHit& entry) {
    std::string_view rest = entry->bytes;
    if (!rest.starts_with(kVersion)) return {};
    rest.remove_prefix(kVersion.size());

    Response response;
    const auto status = take_until(rest, "\n");
    if (!status || std::from_chars(status->data(), status->data() + status->size(), response.status).ec != std::errc{}) return {};
    for (;;) {
        auto line = take_until(rest, "\n");
        if (!line) return {};
        if (line->empty()) break;
        const auto name = take_until(*line, ": ");
        if (!name) return {};
        response.headers.emplace_back(*name, *line);
    }
    response.share_body(rest, entry);
    return response;
}

Response revalidated(Response response, const Request& request) {
    if (response.status != 200) return response;
    const auto* const etag = response.header("ETag");
    const auto condition = request.header("if-none-match");
    if (etag == nullptr || !condition || !etag_matches(*condition, *etag)) return response;

    response.status = 304;
    response.share_body({}, nullptr);
    std::erase_if(response.headers, [](const auto& header) { return header.first == "Content-Type"; });
    return response;
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
    if (trim(if_none_match) == "*") return true;
    // Our own tags hold no comma, so a list can be split at commas: a foreign tag with one in it matches nothing of ours.
    return std::ranges::any_of(split_list(if_none_match),
                               [&](std::string_view candidate) { return without_weakness(candidate) == without_weakness(etag); });
}

}  // namespace recto
