// log_counters.hpp - how a log is doing: what each handler wrote and lost, for all workers together.
//
// They survive every process and end with the machine, or when the names of the handlers change.
//
// Errors:   open() throws std::system_error when the file can't be made; nothing else can fail.
// Threads:  safe to call from any thread of any process.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <span>

#include "log/log.hpp"
#include "util/counters.hpp"

namespace recto {

struct HandlerCounts {
    std::uint64_t written = 0;  // lines
    std::uint64_t lost = 0;     // lines
    std::uint64_t rotations = 0;
    std::uint64_t reopened = 0;  // after the first time: by each worker after a rotation, or because the file had gone
    int last_errno = 0;          // why something failed last; 0: nothing ever did
    std::time_t last_ok = 0;     // when a line was written last; 0: never
};

// What one handler reports. Without LogCounters (no runtime_dir) it goes nowhere.
class HandlerCounters {
public:
    HandlerCounters() = default;
    HandlerCounters(std::shared_ptr<Counters> counters, std::size_t handler) : counters_(std::move(counters)), handler_(handler) {}

    void wrote(std::uint64_t lines) noexcept;
    void lost(std::uint64_t lines) noexcept;
    void rotated() noexcept;
    void reopened() noexcept;
    void failed(int code) noexcept;

private:
    std::shared_ptr<Counters> counters_;  // shared by the handlers, the last of which may end after the session (batch.hpp)
    std::size_t handler_ = 0;
};

class LogCounters {
public:
    // For the handlers of the session, in their order; `runtime_dir` is that of LogOptions, and not empty.
    [[nodiscard]] static LogCounters open(const std::filesystem::path& runtime_dir, std::span<const LogHandler> handlers);

    [[nodiscard]] HandlerCounts read(std::size_t handler) const;
    [[nodiscard]] HandlerCounters of(std::size_t handler) const { return {counters_, handler}; }

private:
    explicit LogCounters(std::shared_ptr<Counters> counters) : counters_(std::move(counters)) {}

    std::shared_ptr<Counters> counters_;
};

}  // namespace recto
