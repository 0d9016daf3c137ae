// loggers.hpp - the loggers of Recto's own code, for an operator who wants to know which there are.
//
// Threads:  immutable.
#pragma once

#include <array>
#include <string_view>

namespace recto {

struct KnownLogger {
    std::string_view name;
    std::string_view about;
};

inline constexpr std::array kKnownLoggers{
    KnownLogger{"recto", "each answer's event, changes, start and stop"},
    KnownLogger{"recto.cache", "memcached comes and goes"},
    KnownLogger{"recto.clock", "the change clock and whether it is trusted"},
    KnownLogger{"recto.log", "gaps in the log itself"},
    KnownLogger{"recto.request", "slow and hung requests"},
    KnownLogger{"recto.store", "the database"},
    KnownLogger{"recto.throttle", "refusals, snapshots"},
};

}  // namespace recto
