#include "fcgi/conditions.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <string>

#include "fcgi/answers.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

std::string_view without_weakness(std::string_view etag) { return etag.starts_with("W/") ? etag.substr(2) : etag; }

// Our own tags hold no comma, so a list can be split at commas: a foreign tag with one in it matches nothing of ours.
template <class Matches>
bool list_matches(std::string_view list, const Matches& matches) {
    return trim(list) == "*" || std::ranges::any_of(split_list(list), matches);
}

// A date that can't be read, or a response without one, is no obstacle.
bool is_unmodified_since(std::string_view since, std::string_view last_modified) {
    const auto limit = parse_http_date(since);
    const auto modified = parse_http_date(last_modified);
    return !limit || !modified || *modified <= *limit;
}

bool is_as_expected(const Request& request, const Validators& validators) {
    if (const auto tags = request.header("if-match")) return etag_matches_strongly(*tags, validators.etag);
    const auto since = request.header("if-unmodified-since");
    return !since || is_unmodified_since(*since, validators.last_modified);
}

// A list may lose an entry and its youngest time be older than before, so a date proves something only if it is the very one we sent
// (nginx has the same rule, if_modified_since exact). If-None-Match goes before it.
bool client_has(const Request& request, const Validators& validators) {
    if (const auto tags = request.header("if-none-match")) return etag_matches(*tags, validators.etag);
    const auto since = request.header("if-modified-since");
    return since && !validators.last_modified.empty() && trim(*since) == validators.last_modified;
}

Response not_modified(Response response) {
    response.status = 304;
    response.set_body({});
    std::erase_if(response.headers,
                  [](const auto& header) { return !belongs_to_304(header.first) && lower_ascii(header.first) != "set-cookie"; });
    return response;
}

}  // namespace

ConditionResult judge_conditions(const Request& request, const Validators& validators) {
    if (!is_as_expected(request, validators)) return ConditionResult::failed;
    return client_has(request, validators) ? ConditionResult::not_modified : ConditionResult::met;
}

Response under_conditions(Response response, const Request& request) {
    if (response.status != 200 || (request.method != "GET" && !request.is_head())) return response;
    switch (judge_conditions(request, {response.header_value("ETag"), response.header_value("Last-Modified")})) {
        case ConditionResult::failed:
            return precondition_failed();
        case ConditionResult::not_modified:
            return not_modified(std::move(response));
        case ConditionResult::met:
            break;
    }
    return response;
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
    return list_matches(if_none_match,
                        [&](std::string_view candidate) { return !etag.empty() && without_weakness(candidate) == without_weakness(etag); });
}

bool etag_matches_strongly(std::string_view if_match, std::string_view etag) {
    return list_matches(if_match, [&](std::string_view candidate) { return candidate == etag && !etag.starts_with("W/"); });
}

std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text) {
    const std::string date(trim(text));
    for (const auto* form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm parts{};
        const auto* const end = ::strptime(date.c_str(), form, &parts);
        if (end == date.c_str() + date.size()) return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
    }
    return {};
}

bool belongs_to_304(std::string_view name) {
    constexpr auto kNames = std::to_array<std::string_view>({"cache-control", "content-location", "etag", "expires", "vary", "allow"});
    return std::ranges::find(kNames, lower_ascii(name)) != kNames.end();
}

}  // namespace recto
