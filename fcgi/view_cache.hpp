// view_cache.hpp - HTTP's caching rules over modules/cache: what of a view may be stored, and how a stored answer is given.
//
// Stored: a 200 to GET without Set-Cookie and without no-store, private or no-cache. A stored answer has a strong ETag, so that a
// client that has it gets 304. Clients are told `no-cache`: what they hold nobody can invalidate, so they ask each time.
//
// Threads:  pure functions.
// Source:   RFC 9111 section 3 (what may be stored), RFC 9110 sections 8.8.3, 13.1.2 and 15.4.5 (ETag, If-None-Match, 304), RFC 9211
//           (Cache-Status).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/cache.hpp"
#include "fcgi/request.hpp"
#include "fcgi/response.hpp"

namespace recto {

[[nodiscard]] bool is_storable(const Response& response);

// Adds ETag and Cache-Control, as the stored answer will have them.
void add_validators(Response& response);

// The entry's bytes. The body is shared with the entry, not copied. Empty for bytes that another version wrote.
[[nodiscard]] std::string pack(const Response& response);
[[nodiscard]] std::optional<Response> unpack(const CacheHit& entry);

// 304 for a 200 whose ETag the client has; else the response as it is.
[[nodiscard]] Response revalidated(Response response, const Request& request);

// If-None-Match: `*`, or a list of tags compared weakly.
[[nodiscard]] bool etag_matches(std::string_view if_none_match, std::string_view etag);

}  // namespace recto
