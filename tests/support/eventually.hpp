// eventually.hpp - waits for what another process does in its own time.
#pragma once

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

}  // namespace recto
