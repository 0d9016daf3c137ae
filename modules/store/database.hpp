// database.hpp - the connections of one process to one database, and its change clock.
//
// Readers come from a pool that grows to the number of threads that read at once; there is one writer, and a queue for it.
//
// Errors:   DatabaseError; a wait for the writer beyond busy_timeout is busy, as it is when another process writes.
// Threads:  safe to call from any thread; a reader or a turn belongs to the thread that took it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "store/changes.hpp"

namespace recto {

// First come, first served; SQLite's own waiting is by chance, and a std::mutex may serve the same thread for ever.
class WriteQueue {
public:
    class Turn {
    public:
        explicit Turn(WriteQueue& queue) : queue_(queue) {}
        ~Turn() { queue_.leave(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        WriteQueue& queue_;
    };

    // Null after `patience`.
    [[nodiscard]] std::unique_ptr<Turn> wait(std::chrono::milliseconds patience);

private:
    void leave();

    std::mutex mutex_;
    // guarded by mutex_:
    std::condition_variable moved_;
    std::deque<std::uint64_t> tickets_;  // the first one's holder writes
    std::uint64_t next_ticket_ = 0;
};

class Database {
public:
    explicit Database(const StoreOptions& options);

    [[nodiscard]] std::unique_ptr<Connection> take_reader();
    void give_back(std::unique_ptr<Connection> reader) noexcept;
    [[nodiscard]] bool is_reading() const;  // this thread has a reader

    [[nodiscard]] std::unique_ptr<WriteQueue::Turn> wait_for_turn();
    [[nodiscard]] Connection& writer() { return writer_; }  // for the thread that has the turn
    [[nodiscard]] const Triggers& expected_triggers() const { return expected_triggers_; }

    [[nodiscard]] ChangeClock& clock() { return clock_; }
    void sync();
    void sync_up_to(std::uint64_t epoch, std::uint64_t seq);  // unless the clock is there already
    void sync_unless_recent();                                // fails at once for a second after it has failed
    void give_up_trust() noexcept;                            // a writer found that the triggers are not the expected ones
    void refresh_statistics_after_many_changes() noexcept;    // by the thread that has the turn, after its COMMIT

    [[nodiscard]] std::unique_ptr<ChangeSource> change_source() const;

private:
    StoreOptions options_;
    const Triggers expected_triggers_;
    Connection writer_;
    WriteQueue queue_;
    std::int64_t changes_at_refresh_ = 0;  // of the writer's connection, when it last refreshed the statistics

    struct FailedLook {
        std::chrono::steady_clock::time_point at;
        std::runtime_error why;
    };
    std::mutex sync_mutex_;
    // guarded by sync_mutex_:
    SqliteChangeSource source_;
    std::optional<FailedLook> failed_look_;  // of sync_unless_recent()

    ChangeClock clock_;

    mutable std::mutex readers_mutex_;
    // guarded by readers_mutex_:
    std::vector<std::unique_ptr<Connection>> idle_readers_;
    std::vector<std::thread::id> reading_;
};

}  // namespace recto
