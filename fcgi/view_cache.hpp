// view_cache.hpp - HTTP's caching rules over modules/cache: what of a view may be stored, for how long, and how a stored answer is given.
//
// Stored: whole answers to GET with status 200, and for a shorter time 301, 308, 404 and 410; without Set-Cookie; without no-store,
// private or no-cache; varying on nothing that the view hasn't declared. A stored answer has a strong ETag for each of its forms,
// so that a client that has it gets 304, and a gzip form made once. Clients are told `no-cache` unless the view says otherwise: what
// they hold can't be invalidated, so they ask each time.
//
// Threads:  pure functions; a StoredAnswer points into the bytes it was read from.
// Source:   RFC 9111 sections 3 (what may be stored), 4.1 (Vary), 4.2.1 and 5.2 (Cache-Control); RFC 9110 sections 8.8.3, 12.5.5
//           and 15.4.5 (ETag, Vary, 304); RFC 9211 (Cache-Status).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cache/cache.hpp"
#include "fcgi/conditions.hpp"
#include "fcgi/request.hpp"
#include "fcgi/response.hpp"
#include "site/views.hpp"

namespace recto {

// The directives that matter here. Names in any case; arguments as tokens or quoted; of one given twice the shorter time counts.
struct CacheControl {
    bool no_store = false;
    bool is_private = false;
    bool no_cache = false;
    std::optional<std::chrono::seconds> max_age;
    std::optional<std::chrono::seconds> s_maxage;
};
[[nodiscard]] std::optional<CacheControl> parse_cache_control(std::string_view text);  // nothing: malformed

// How long an answer of a view is kept.
struct StoragePolicy {
    std::chrono::milliseconds ttl;
    bool ttl_is_set = false;              // by the operator: it goes before the answer's own max-age
    std::chrono::milliseconds short_ttl;  // of 301, 308, 404 and 410; 0: not at all
};

// Where and how long an answer may be kept; nothing: it may not.
struct Storage {
    std::chrono::milliseconds ttl;
    Cache::Reach reach = Cache::Reach::host;
};
[[nodiscard]] std::optional<Storage> storage_of(const Response& response, const View& view, const StoragePolicy& policy);

// What caches between us and the client have to know of an answer, stored or not: without Cache-Control and Vary they may keep it for as
// long and for which requests they like (RFC 9111 section 4.2.2). All answers of a view have the same Vary, small, refused or empty: a
// cache goes by the Vary of the last one that it stored of an address (section 4.1). Null: no view has the path.
void tell_caches(Response& response, const View* view);

// The entry's bytes: what is sent for each form of the answer, ready made.
[[nodiscard]] std::string pack(const Response& response, const View& view);

// The answer of an entry for this request: whole, 304 or 412, in gzip where the client takes it. Headers and body are shared with the
// entry, not copied. Nothing for bytes that another version wrote, or that can't be sent.
[[nodiscard]] std::optional<Response> unpack(const CacheHit& entry, const Request& request);

// Of an answer from the cache (RFC 9211 section 2; RFC 9111 section 5.1: whole seconds, never negative).
[[nodiscard]] std::string cache_status_of(const CacheLookup& lookup, TimePoint now);
[[nodiscard]] std::string age_of(const CacheEntry& entry, TimePoint now);

}  // namespace recto
