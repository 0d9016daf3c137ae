// eventually.hpp - waits for what another process does in its own time, and says how quick something can be.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace recto {

// True as soon as the condition is; false if it isn't within `patience`.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition, std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

// The shortest of several runs: what takes long by itself does so each time, what a busy machine holds up doesn't.
template <class Action>
[[nodiscard]] std::chrono::steady_clock::duration least_time(int runs, Action action) {
    auto least = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < runs; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        action();
        least = std::min(least, std::chrono::steady_clock::now() - begin);
    }
    return least;
}

}  // namespace recto
