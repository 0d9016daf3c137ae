#include "util/time_zone.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <unicode/basictz.h>
#include <unicode/timezone.h>
#include <unicode/unistr.h>

namespace recto {
namespace {

constexpr std::size_t kMaxName = 64;

// ICU knows more names of three letters: its own abbreviations, of which BST is Dhaka and IST Kolkata.
bool is_ambiguous(std::string_view name) {
    constexpr std::array<std::string_view, 13> kZones{"CET", "EET", "EST", "GMT", "HST", "MET", "MST",
                                                      "PRC", "ROC", "ROK", "UCT", "UTC", "WET"};
    return name.size() == 3 && std::ranges::find(kZones, name) == kZones.end();
}

}  // namespace

struct TimeZone::Rules {
    std::unique_ptr<const icu::BasicTimeZone> zone;
};

TimeZone::TimeZone() : rules_(std::make_shared<const Rules>()) {}

std::optional<TimeZone> TimeZone::find(std::string_view name) {
    if (name.empty() || name.size() > kMaxName || is_ambiguous(name) || name.starts_with("SystemV/") || name == "Etc/Unknown") return {};
    const auto id = icu::UnicodeString::fromUTF8({name.data(), static_cast<std::int32_t>(name.size())});
    icu::UnicodeString canonical;
    UErrorCode status = U_ZERO_ERROR;
    UBool is_of_database = false;
    icu::TimeZone::getCanonicalID(id, canonical, is_of_database, status);
    if (U_FAILURE(status) || !is_of_database) return {};
    std::unique_ptr<icu::TimeZone> zone(icu::TimeZone::createTimeZone(id));
    if (dynamic_cast<icu::BasicTimeZone*>(zone.get()) == nullptr) return {};
    return TimeZone(
        std::make_shared<const Rules>(Rules{std::unique_ptr<const icu::BasicTimeZone>(dynamic_cast<icu::BasicTimeZone*>(zone.release()))}));
}

TimePoint TimeZone::to_utc(LocalTime time) const {
    const TimePoint as_if_utc(time.time_since_epoch());
    if (!rules_->zone) return as_if_utc;
    const auto millis = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
    std::int32_t raw = 0, summer = 0;
    UErrorCode status = U_ZERO_ERROR;
    rules_->zone->getOffsetFromLocal(static_cast<UDate>(millis), UCAL_TZ_LOCAL_FORMER, UCAL_TZ_LOCAL_FORMER, raw, summer, status);
    if (U_FAILURE(status)) return as_if_utc;
    return as_if_utc - std::chrono::milliseconds(raw + summer);
}

}  // namespace recto
