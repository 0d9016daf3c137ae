// snapshot.hpp - the live counts of a table as a file, for the time after a reboot.
//
// What lay in memory is gone by then and ticks begin anew; a snapshot tells how old each accepted request was when it was saved, and the
// wall clock how long ago that was. Ages are rounded down, and a wall clock that went backwards counts as no time: stricter, never looser.
//
// Errors:   save() throws std::system_error; load() gives nothing for a file that isn't one or isn't whole.
// Threads:  plain values.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "throttle/throttle.hpp"
#include "util/crypto.hpp"

namespace recto {

struct ThrottleSnapshot {
    static constexpr std::uint64_t kTicksPerAge = kTicksPerSecond / 16;

    struct Record {
        std::uint32_t scope = 0;  // of `scopes`
        bool is_user = false;
        std::uint64_t tag = 0;
        std::vector<std::uint32_t> ages;          // in sixteenths of a second, the oldest request first
        bool is_network = false;                  // else of a client
        std::array<std::uint16_t, 2> networks{};  // of an address
    };

    SipKey secret{};
    std::vector<std::string> scopes;
    std::vector<Record> records;
    std::uint64_t downtime = 0;  // ticks since it was saved; set by load()
};

// Whole or not at all, mode 0600.
void save(const ThrottleSnapshot& snapshot, const std::filesystem::path& path, std::chrono::system_clock::time_point now);
[[nodiscard]] std::optional<ThrottleSnapshot> load_snapshot(const std::filesystem::path& path, std::chrono::system_clock::time_point now);

}  // namespace recto
