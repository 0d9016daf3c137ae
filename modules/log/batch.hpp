// batch.hpp - lines collected in memory and written together: `flush = batch`.
//
// Whole lines, up to 64 KiB or 100 ms, then one write(2). A line of level error is written at once, with all lines before it, and the call
// returns when it is. A thread of its own writes; a disk that stands still holds nobody else up: lines are collected up to 1 MiB, then
// a line waits for room, 1 s at most. Once one waited in vain, or a write takes longer than 500 ms, lines without room are lost at once and
// counted, and a `log.gap` tells.
//
// Errors:   none; a line is written or counted.
// Threads:  safe to call from any thread.
// Limits:   a kill -9 loses what wasn't written yet: the lines of the last 100 ms while the disk keeps up, 1 MiB at the very most. What is
//           left when it ends is written, unless the disk stands still for 5 s.
#pragma once

#include <memory>
#include <string_view>
#include <thread>

#include "log/log_counters.hpp"
#include "log/rotating_file.hpp"

namespace recto {

class Batch {
public:
    static constexpr std::size_t kBytes = 64u << 10;    // of one write, unless a line is longer
    static constexpr std::size_t kCapacity = 1u << 20;  // of all that is not written yet

    Batch(std::shared_ptr<RotatingFile> file, HandlerCounters counters);
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    void write(std::string_view line, bool is_error) noexcept;  // with its newline

private:
    class Collector;
    // Also the thread's own: one that is stuck in a write(2) outlives us.
    std::shared_ptr<Collector> collector_;
    std::thread writer_;
};

}  // namespace recto
