// post_dates.hpp - which moments of a post its front matter and its file's name tell.
//
// Errors:   a Result with line and reason for a date of the post that can't be read.
// Threads:  pure functions.
#pragma once

#include "blog/post_keys.hpp"
#include "util/time_zone.hpp"

namespace recto {

struct PostDates {
    std::optional<TimePoint> published;  // the later one of `date` and `publishDate`
    std::optional<TimePoint> updated;
    std::optional<TimePoint> expires;
    std::vector<std::string> unclear;  // dates that may hold the post back, and can't be read: `expiryDate: soon`
};

// `from_name`: `2015-03-17`, or empty; for a post without a `date`.
[[nodiscard]] Result<PostDates> take_dates(PostKeys& keys, std::string_view from_name, const TimeZone& zone, std::vector<Remark>& remarks);

}  // namespace recto
