#include "blog/post_dates.hpp"

#include <algorithm>

#include "blog/date.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

bool is_date(const PostKeys::Key& key, const TimeZone& zone) { return static_cast<bool>(parse_date(scalar_text(key.value), zone)); }

Error wrong_date(int line, const std::string& found, const std::string& why) {
    return Error{std::to_string(line) + ": expected a date such as 2015-03-17 or 2015-03-17 14:00:00 -0400, found " + found + ": " + why};
}

// The first one that isn't empty; a second one that is no date says nothing.
Result<std::optional<TimePoint>> own_date(PostKeys& keys, const TimeZone& zone) {
    for (const auto* key : keys.take({"date", "created", "createdat", "datecreated", "creationdate"})) {
        const auto text = scalar_text(key->value);
        if (text.empty() && !key->value.is_object() && !key->value.is_array()) continue;
        const auto date = parse_date(text, zone);
        if (!date) return wrong_date(key->line, text.empty() ? "a list or a map" : text, date.error());
        return std::optional(*date);
    }
    return std::optional<TimePoint>();
}

std::optional<TimePoint> latest(std::optional<TimePoint> a, std::optional<TimePoint> b) { return a && b ? std::max(a, b) : a ? a : b; }

// When the post may be seen first. What can't be read may be a day to come.
std::optional<TimePoint> not_before(PostKeys& keys, const TimeZone& zone, PostDates& dates) {
    const auto as_date = [&](const auto& key) { return is_date(key, zone); };
    auto found = keys.take_if({"published", "publish", "posted", "scheduled", "schedule", "embargo"}, as_date);  // else they say whether
    const auto named =
        keys.take({"publishdate", "publicationdate", "publisheddate", "datepublished", "pubdate", "publishedat", "publishedon", "publishat",
                   "publishon", "publishafter", "postdate", "postdategmt", "scheduledat", "scheduledfor", "embargountil"});
    found.insert(found.end(), named.begin(), named.end());
    std::optional<TimePoint> moment;
    for (const auto* key : found) {
        if (const auto date = parse_date(scalar_text(key->value), zone))
            moment = latest(moment, *date);
        else
            dates.unclear.push_back(shown(*key));
    }
    return moment;
}

bool says_never(const json::value& value) {
    const auto word = lower_ascii(scalar_text(value));
    return value.is_null() || word == "never" || word == "false" || (value.is_string() && word.empty());
}

std::optional<TimePoint> expiry(PostKeys& keys, const TimeZone& zone, PostDates& dates) {
    std::optional<TimePoint> first;
    for (const auto* key : keys.take({"expirydate", "expiry", "expires", "expiresat", "expireson", "expiredate", "expirationdate",
                                      "expiration", "unpublishdate", "unpublishat", "unpublishon", "validuntil"})) {
        const auto date = parse_date(scalar_text(key->value), zone);
        if (says_never(key->value)) continue;
        if (!date)
            dates.unclear.push_back(shown(*key));
        else if (!first || *date < *first)
            first = *date;
    }
    return first;
}

std::optional<TimePoint> last_change(PostKeys& keys, const TimeZone& zone, std::vector<Remark>& remarks) {
    std::optional<TimePoint> last;
    for (const auto* key : keys.take({"lastmod", "updated", "lastmodifiedat", "lastmodified", "modified", "updatedat", "updateddate",
                                      "dateupdated", "datemodified", "modifieddate", "lastupdated"})) {
        const auto date = parse_date(scalar_text(key->value), zone);
        if (date)
            last = latest(last, *date);
        else if (!key->value.is_null())
            remarks.push_back({kNotUnderstood, shown(*key)});
    }
    return last;
}

}  // namespace

Result<PostDates> take_dates(PostKeys& keys, std::string_view from_name, const TimeZone& zone, std::vector<Remark>& remarks) {
    PostDates dates;
    const auto later = not_before(keys, zone, dates);
    const auto own = own_date(keys, zone);
    if (!own) return Error{own.error()};
    auto date = *own;
    if (!date && !later && !from_name.empty()) {
        const auto named = parse_date(from_name, zone);
        if (!named) return wrong_date(1, std::string(from_name) + " in the file's name", named.error());
        date = *named;
    }
    dates.published = latest(date, later);
    dates.expires = expiry(keys, zone, dates);
    dates.updated = last_change(keys, zone, remarks);
    return dates;
}

}  // namespace recto
