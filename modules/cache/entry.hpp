// entry.hpp - what is cached: bytes, and the label by which the change clock judges them.
//
// Threads:  immutable once made, so that threads share it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "util/time.hpp"

namespace recto {

struct CacheEntry {
    std::string key;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::vector<std::string> tags;
    std::vector<Slot> slots;  // of the tags
    TimePoint created;
    TimePoint expires;                  // at the end of its time to live, or at hard_end if that is earlier
    std::optional<TimePoint> hard_end;  // what it was made from ends then; so does what is made from it
    std::chrono::microseconds cost{0};  // what it took to make
    std::string bytes;
};
using CacheHit = std::shared_ptr<const CacheEntry>;

}  // namespace recto
