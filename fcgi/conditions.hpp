// conditions.hpp - what the conditions of a GET or HEAD make of a response of status 200.
//
// If-Match, else If-Unmodified-Since, says when the response is 412; after that If-None-Match, else If-Modified-Since, says when it is 304.
// A response of another status has no conditions (RFC 9110 section 13.2.1): a 404 stays a 404.
//
// Errors:   a date that can't be read is a condition that isn't there.
// Threads:  pure functions.
// Source:   RFC 9110 sections 13.1.1 to 13.1.4, their order in 13.2.2; 8.8.3.2 for comparison; 5.6.7 for the three forms of a date.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "fcgi/request.hpp"
#include "fcgi/response.hpp"

namespace recto {

enum class ConditionResult { met, not_modified, failed };

// What the response is known by; empty where it has none.
struct Validators {
    std::string_view etag;
    std::string_view last_modified;
};

[[nodiscard]] ConditionResult judge_conditions(const Request& request, const Validators& validators);

// A response that is not from the cache: itself, 304 or 412.
[[nodiscard]] Response under_conditions(Response response, const Request& request);

// If-None-Match: `*`, or a list of tags compared weakly.
[[nodiscard]] bool etag_matches(std::string_view if_none_match, std::string_view etag);

// If-Match: `*`, or a list of tags compared strongly: a weak tag matches nothing.
[[nodiscard]] bool etag_matches_strongly(std::string_view if_match, std::string_view etag);

[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text);

// RFC 9110 section 15.4.5. `name` in any case.
[[nodiscard]] bool belongs_to_304(std::string_view name);

}  // namespace recto
