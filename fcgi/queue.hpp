// queue.hpp - what waits for a thread of the pool, first come, first served.
//
// Threads:  safe to call from any thread.
// Limits:   none of its own; the server never queues more than its connections.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace recto {

template <class T>
class Queue {
public:
    void push(T item) {
        {
            const std::lock_guard lock(mutex_);
            items_.push_back(std::move(item));
        }
        changed_.notify_one();
    }

    // Waits; nothing only when the queue is closed and empty.
    [[nodiscard]] std::optional<T> pop() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
        if (items_.empty()) return std::nullopt;
        auto item = std::move(items_.front());
        items_.pop_front();
        return item;
    }

    void close() {
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable changed_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace recto
