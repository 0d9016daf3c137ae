#include "log/batch.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace recto {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kInterval = 100ms;
// A busy disk may hold one write(2) for 200 ms: the kernel makes who dirties memory too fast wait so long (balance_dirty_pages).
constexpr auto kStandsStill = 500ms;  // one write
constexpr auto kPatienceAtEnd = 5s;   // of the session

// Of a line: a second, in parts. A machine that stood still as a whole, the writing thread too, has used up one of them.
constexpr int kPatience = 10;
constexpr auto kPart = 100ms;

template <class Condition>
bool wait_patiently(std::condition_variable& signal, std::unique_lock<std::mutex>& lock, Condition condition) {
    for (int i = 0; i < kPatience; ++i)
        if (signal.wait_for(lock, kPart, condition)) return true;
    return false;
}

}  // namespace

class Batch::Collector {
public:
    Collector(std::shared_ptr<RotatingFile> file, HandlerCounters counters) : file_(std::move(file)), counters_(std::move(counters)) {}

    void add(std::string_view line, bool is_error);
    void run();
    bool end();  // true when all is written
    void lose_one();

private:
    // What becomes one write.
    struct Chunk {
        std::string lines;
        bool has_error = false;
        std::uint64_t lost_before = 0;
        Clock::time_point lost_since;
    };

    [[nodiscard]] bool has_room(std::size_t bytes) const { return bytes_ == 0 || bytes_ + bytes <= kCapacity; }
    void wait_for_room(std::unique_lock<std::mutex>& lock, std::size_t bytes);
    void drop();
    Chunk& chunk_for(std::size_t bytes);
    void wait_for_disk(std::unique_lock<std::mutex>& lock, std::uint64_t line);
    [[nodiscard]] bool stands_still() const { return writing_since_ && Clock::now() - *writing_since_ > kStandsStill; }
    void wait_until_due(std::unique_lock<std::mutex>& lock);
    void write_all(std::unique_lock<std::mutex>& lock);
    void write(const Chunk& chunk);

    const std::shared_ptr<RotatingFile> file_;
    HandlerCounters counters_;

    std::mutex mutex_;
    std::condition_variable woken_;    // the writing thread
    std::condition_variable written_;  // who waits for it
    // Guarded by mutex_.
    std::deque<Chunk> waiting_;
    std::size_t bytes_ = 0;      // not written yet, those being written included
    std::uint64_t added_ = 0;    // lines
    std::uint64_t passed_ = 0;   // of them written, or lost while writing
    std::uint64_t dropped_ = 0;  // lines since the last that was added
    Clock::time_point dropped_since_;
    std::optional<Clock::time_point> writing_since_;
    bool is_overrun_ = false;  // the disk is too slow for us: nobody waits until half of the buffer is free
    bool is_due_ = false;
    bool is_ending_ = false;
    bool has_ended_ = false;
};

void Batch::Collector::add(std::string_view line, bool is_error) {
    std::unique_lock lock(mutex_);
    if (!has_room(line.size())) wait_for_room(lock, line.size());
    if (!has_room(line.size())) return drop();

    const bool is_first = waiting_.empty();
    auto& chunk = chunk_for(line.size());
    chunk.lines += line;
    chunk.has_error |= is_error;
    bytes_ += line.size();
    const auto number = ++added_;

    const bool was_due = std::exchange(is_due_, is_due_ || is_error || waiting_.size() > 1 || chunk.lines.size() >= kBytes);
    if (is_first || is_due_ != was_due) woken_.notify_one();
    if (is_error) wait_for_disk(lock, number);
}

// Who logs faster than a good disk writes is held back; only a bad one costs lines.
void Batch::Collector::wait_for_room(std::unique_lock<std::mutex>& lock, std::size_t bytes) {
    if (is_overrun_ || stands_still()) return;
    is_overrun_ = !wait_patiently(written_, lock, [&] { return has_room(bytes); });
}

// Counted here and now: the file hears of it when the disk goes on.
void Batch::Collector::drop() {
    counters_.lost(1);
    if (dropped_++ == 0) dropped_since_ = Clock::now();
}

void Batch::Collector::lose_one() {
    const std::lock_guard lock(mutex_);
    drop();
}

// What was dropped is told between the lines that it was dropped between.
Batch::Collector::Chunk& Batch::Collector::chunk_for(std::size_t bytes) {
    if (!waiting_.empty() && dropped_ == 0 && waiting_.back().lines.size() + bytes <= kBytes) return waiting_.back();
    auto& chunk = waiting_.emplace_back();
    chunk.lost_before = std::exchange(dropped_, 0);
    chunk.lost_since = dropped_since_;
    chunk.lines.reserve(std::max(bytes, kBytes));
    return chunk;
}

void Batch::Collector::wait_for_disk(std::unique_lock<std::mutex>& lock, std::uint64_t line) {
    if (!stands_still()) (void)wait_patiently(written_, lock, [&] { return passed_ >= line; });
}

void Batch::Collector::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        woken_.wait(lock, [&] { return !waiting_.empty() || is_ending_; });
        if (waiting_.empty()) break;
        wait_until_due(lock);
        write_all(lock);
    }
    if (dropped_ > 0) file_->lose(dropped_, dropped_since_);
    has_ended_ = true;
    written_.notify_all();
}

void Batch::Collector::wait_until_due(std::unique_lock<std::mutex>& lock) {
    woken_.wait_until(lock, Clock::now() + kInterval, [&] { return is_due_ || is_ending_; });
}

void Batch::Collector::write_all(std::unique_lock<std::mutex>& lock) {
    const auto last = added_;
    const auto chunks = std::exchange(waiting_, {});
    is_due_ = false;
    for (const auto& chunk : chunks) {
        writing_since_ = Clock::now();
        lock.unlock();
        write(chunk);
        lock.lock();
        bytes_ -= chunk.lines.size();
        if (bytes_ <= kCapacity / 2) is_overrun_ = false;
        written_.notify_all();
    }
    writing_since_.reset();
    passed_ = last;
    written_.notify_all();
}

void Batch::Collector::write(const Chunk& chunk) {
    if (chunk.lost_before > 0) file_->lose(chunk.lost_before, chunk.lost_since);
    file_->write(chunk.lines, chunk.has_error);
}

bool Batch::Collector::end() {
    std::unique_lock lock(mutex_);
    is_ending_ = true;
    woken_.notify_one();
    return written_.wait_for(lock, kPatienceAtEnd, [&] { return has_ended_; });
}

Batch::Batch(std::shared_ptr<RotatingFile> file, HandlerCounters counters)
    : collector_(std::make_shared<Collector>(std::move(file), std::move(counters))),
      writer_([collector = collector_] { collector->run(); }) {}

Batch::~Batch() {
    if (collector_->end())
        writer_.join();
    else
        writer_.detach();
}

void Batch::write(std::string_view line, bool is_error) noexcept try {
    collector_->add(line, is_error);
} catch (const std::exception&) {  // no memory
    collector_->lose_one();
}

}  // namespace recto
