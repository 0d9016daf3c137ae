// epoch_window.hpp - where the threads of a process read the epoch memory that it uses now.
//
// A reader holds no lock and isn't counted, so nobody can say when the last one has left an old epoch's memory; kept mapped, each would
// cost its 512 KB of shared memory until the process ends. So all epochs are seen at one address, one at a time, and a reader asks AFTER
// its loads whether they were from the memory it means. If not, it knows nothing: what it judged is a miss.
//
// Errors:   show() throws std::system_error; then nothing is shown.
// Threads:  show() and hide() by one thread at a time; the rest from any. Nobody writes here: a store could hit the next epoch.
// Source:   the sequence lock; the ids of epoch memories are random, so that no number means two of them.
#pragma once

#include <atomic>
#include <cstdint>

#include "clock/epoch_memory.hpp"
#include "util/shared_file.hpp"

namespace recto {

class EpochWindow {
public:
    void show(const SharedFile& file, std::uint64_t id) {
        hide();
        window_.show(file);
        shown_.store(id, std::memory_order_release);
    }

    // To be seen by whoever sees a byte of what comes next.
    void hide() {
        shown_.store(0, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }

    // True before and after some loads with acquire: they were from this one.
    [[nodiscard]] bool shows(std::uint64_t id) const { return shown_.load(std::memory_order_acquire) == id; }

    [[nodiscard]] const EpochMemory& memory() const { return *reinterpret_cast<const EpochMemory*>(window_.address()); }

private:
    SharedWindow window_{sizeof(EpochMemory)};
    std::atomic<std::uint64_t> shown_{0};
};

}  // namespace recto
