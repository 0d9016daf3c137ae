// time_zone.hpp - when it was in UTC, by the clocks of a place.
//
// Threads:  immutable after construction; safe to call from any thread.
// Source:   the IANA time zone database, as ICU has it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "util/time.hpp"

namespace recto {

using LocalTime = std::chrono::local_time<std::chrono::microseconds>;

class TimeZone {
public:
    TimeZone();  // UTC

    // `Europe/Berlin`, `UTC`; empty for a name that isn't in the database. Abbreviations such as BST, which mean different zones in
    // different places, are none.
    [[nodiscard]] static std::optional<TimeZone> find(std::string_view name);

    // A time that the clocks show twice is the first one; one that they skip is read as before the change: 02:30 is then 03:30.
    [[nodiscard]] TimePoint to_utc(LocalTime time) const;

private:
    struct Rules;  // ICU's
    explicit TimeZone(std::shared_ptr<const Rules> rules) : rules_(std::move(rules)) {}
    std::shared_ptr<const Rules> rules_;  // shared by copies
};

}  // namespace recto
