// standstills.hpp - when the machine stood still as a whole: a virtual one that its host didn't run for a while.
//
// What is promised within a time is promised of a machine that runs. One process that only sleeps sees each stand, a millisecond late; the
// others ask how late something may come for them.
//
// Threads:  one watches; the others read. Lies in shared memory.
// Limits:   stands of over 20 ms, the first 4,096 of them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <thread>

namespace recto {

class Standstills {
public:
    using Clock = std::chrono::steady_clock;
    using Moment = Clock::time_point;

    void watch(const std::atomic<bool>& has_to_end) {
        for (auto before = Clock::now(); !has_to_end;) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            const auto now = Clock::now();
            if (now - before > std::chrono::milliseconds(20)) note(before, now);
            before = now;
        }
    }

    void note(Moment begun, Moment ended) {
        const auto number = count_.load();
        if (number == stands_.size()) return;
        stands_[number] = {begun, ended};
        count_ = number + 1;
    }

    // When the machine has run for so long since then. What may take no time is never late.
    [[nodiscard]] Moment after(Moment since, Clock::duration running) const {
        auto end = since + running;
        if (end == since) return end;
        for (const auto& stand : std::span(stands_).first(count_.load()))
            if (stand.ended > since && stand.begun <= end) end += stand.ended - std::max(stand.begun, since);
        return end;
    }

private:
    struct Stand {
        Moment begun, ended;
    };
    std::array<Stand, 4096> stands_{};
    std::atomic<std::size_t> count_ = 0;
};

}  // namespace recto
