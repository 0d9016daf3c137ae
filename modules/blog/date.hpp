// date.hpp - dates as people and programs write them.
//
// Taken: `2015-03-17`, `2015/3/7`, `20150317`, `17.03.2015`, `17 March 2015`, `March 17, 2015`, `25/12/2015` and `12/25/2015` (`03/04/2015`
// isn't: the order of day and month isn't certain), RFC 822 (`Tue, 17 Mar 2015 14:00:00 +0100`), what date(1) and JavaScript print, seconds
// or milliseconds since 1970 in 10 or 13 digits. A time follows a `T` or a blank: `14:00`, `9:00:00.123`, `2:00 PM`. A zone follows it:
// `Z`, `UTC`, `GMT+1`, an offset up to 23:59 such as `-4`, `+02:00`, `-0400`, the names of RFC 822 (`EST`) or an IANA name.
//
// Errors:   a Result that says which part is wrong: `there is no month 13`.
// Threads:  pure functions.
// Source:   RFC 3339, RFC 822 with the obsolete zones of RFC 5322 section 4.3, YAML 1.1's timestamp.
#pragma once

#include <string_view>

#include "util/result.hpp"
#include "util/time_zone.hpp"

namespace recto {

// Without a time: midnight. Without a zone: of the clocks of `zone`.
[[nodiscard]] Result<TimePoint> parse_date(std::string_view text, const TimeZone& zone = {});

}  // namespace recto
