// units.hpp - durations, sizes and rates as an operator writes them: `50ms`, `10min`, `8MB`, `100/day`, `30/15minutes`.
//
// Strict: a number, then a unit we know, and nothing else. `12abc`, `10/month`, `5` where a unit is needed are errors.
//
// Errors:   a Result whose sentence says what was expected, with an example.
// Threads:  pure functions.
// Limits:   durations up to 10,000 days, sizes up to 2^63 bytes, a rate's limit up to 10^9 and its period up to 366 days.
// Source:   the rate grammar is DRF's `N/period` (rest_framework/throttling.py) with whole words and a multiplier; DRF looks at the
//           first letter only and reads `10/month` as ten a minute.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "util/result.hpp"

namespace recto {

// Bytes. The units are powers of 1024, as in nginx and memcached: `10MB`, or `10M` as nginx has it, is 10,485,760.
struct Size {
    std::uint64_t bytes = 0;
    auto operator<=>(const Size&) const = default;
};

// At most `limit` in any trailing `period`.
struct Rate {
    std::uint32_t limit = 0;
    std::chrono::seconds period{0};
    auto operator<=>(const Rate&) const = default;
};

// The rates that one throttle may have: the configuration checks it, the throttle's table has room for as many.
inline constexpr std::size_t kMaxScopes = 64;

[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] Result<Size> parse_size(std::string_view text);
[[nodiscard]] Result<Rate> parse_rate(std::string_view text);
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text);  // decimal digits, perhaps a minus; nothing else

// The shortest text that parses back to the same value: 60000 ms is `1min`, 1536 bytes `1536B`, 100 in 86400 s `100/day`.
[[nodiscard]] std::string to_text(std::chrono::milliseconds duration);
[[nodiscard]] std::string to_text(Size size);
[[nodiscard]] std::string to_text(Rate rate);

}  // namespace recto
