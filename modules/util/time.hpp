// time.hpp - a moment as Recto keeps it: microseconds since 1970, UTC.
//
// Threads:  plain values.
#pragma once

#include <chrono>
#include <cstdint>

namespace recto {

using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;

[[nodiscard]] inline TimePoint time_now() { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }
[[nodiscard]] inline std::int64_t micros(TimePoint time) { return time.time_since_epoch().count(); }

}  // namespace recto
