// view_request.hpp - what of a request a view gets to see: what it declares, and nothing else. The cache key says all of it.
//
// So no part of a request that the key doesn't hold can shape an answer: not an undeclared parameter (`utm_source`), not a header, not a
// cookie, not who asks.
//
// Threads:  plain values; the view and what the headers point to must outlive them.
// Limits:   a request whose key is longer than kMaxKey is to be refused.
// Source:   application/x-www-form-urlencoded as in the URL Standard (`+` is a space, %XX a byte); of a parameter given twice the last
//           one counts, as in Django's QueryDict.get. RFC 9111 section 4.1 for Vary; RFC 6265 section 5.4 for cookies.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "site/views.hpp"

namespace recto {

class ViewRequest {
public:
    static constexpr std::size_t kMaxKey = 4096;
    using Headers = std::span<const std::pair<std::string, std::string>>;  // names in lower case

    // The user counts for views that answer each user otherwise.
    ViewRequest(const View& view, std::string_view query, Headers headers = {}, std::optional<std::int64_t> user = {});

    [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const;  // decoded; an integer normalised
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;     // narrowed to the view's choices
    [[nodiscard]] std::optional<std::string_view> cookie(std::string_view name) const;
    [[nodiscard]] std::optional<std::int64_t> user() const { return user_; }

    // The same for all requests that mean the same to the view; each value with its length, absent and empty told apart.
    [[nodiscard]] std::string cache_key() const;

private:
    using Value = std::optional<std::string>;
    void take_parameters(std::string_view query);
    void take_headers(Headers headers);
    void take_cookies(Headers headers);

    const View& view_;
    std::vector<Value> parameters_, headers_, cookies_;  // each in the order of the view's list
    std::optional<std::int64_t> user_;
};

}  // namespace recto
