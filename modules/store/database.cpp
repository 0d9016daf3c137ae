#include "store/database.hpp"

#include <algorithm>
#include <cassert>

#include <sqlite3.h>

namespace recto {
namespace {

constexpr std::chrono::seconds kLookAgain{1};
constexpr std::int64_t kManyChanges = 5000;  // rows, with those that triggers wrote: an import, not a post

}  // namespace

std::unique_ptr<WriteQueue::Turn> WriteQueue::wait(std::chrono::milliseconds patience) {
    auto turn = std::unique_lock(mutex_);
    const auto ticket = next_ticket_++;
    tickets_.push_back(ticket);
    if (moved_.wait_for(turn, patience, [&] { return tickets_.front() == ticket; })) return std::make_unique<Turn>(*this);
    std::erase(tickets_, ticket);
    return nullptr;
}

void WriteQueue::leave() {
    const std::lock_guard lock(mutex_);
    tickets_.pop_front();
    moved_.notify_all();
}

Database::Database(const StoreOptions& options)
    : options_(options),
      expected_triggers_(recto::expected_triggers()),
      writer_(options.file, Connection::Mode::write, options.busy_timeout),
      source_((expect_current_schema(writer_), options), expected_triggers_),
      clock_(ChangeClock::open(options.runtime_dir, source_)) {}

// A new reader would open the new file beside the old one's log, so the writer, who has the old one, is asked.
std::unique_ptr<Connection> Database::take_reader() {
    writer_.expect_in_place();
    std::unique_ptr<Connection> reader;
    {
        const std::lock_guard lock(readers_mutex_);
        reading_.push_back(std::this_thread::get_id());
        if (!idle_readers_.empty()) {
            reader = std::move(idle_readers_.back());
            idle_readers_.pop_back();
        }
    }
    if (reader) return reader;
    try {
        return std::make_unique<Connection>(options_.file, Connection::Mode::read, options_.busy_timeout);
    } catch (...) {
        give_back(nullptr);
        throw;
    }
}

// One that is in doubt (still in a transaction) is closed instead.
void Database::give_back(std::unique_ptr<Connection> reader) noexcept {
    const std::lock_guard lock(readers_mutex_);
    const auto mine = std::ranges::find(reading_, std::this_thread::get_id());
    assert(mine != reading_.end());  // else the snapshot went to another thread
    reading_.erase(mine);
    if (reader && !reader->in_transaction()) idle_readers_.push_back(std::move(reader));
}

bool Database::is_reading() const {
    const std::lock_guard lock(readers_mutex_);
    return std::ranges::find(reading_, std::this_thread::get_id()) != reading_.end();
}

std::unique_ptr<WriteQueue::Turn> Database::wait_for_turn() {
    if (auto turn = queue_.wait(options_.busy_timeout)) {
        writer_.expect_in_place();
        return turn;
    }
    writer_.fail(SQLITE_BUSY, "other threads write to it for too long", "");
}

void Database::sync() {
    const std::lock_guard lock(sync_mutex_);
    clock_.sync(source_);
}

void Database::sync_up_to(std::uint64_t epoch, std::uint64_t seq) {
    const std::lock_guard lock(sync_mutex_);
    const auto reading = clock_.read();
    if (reading.epoch() != epoch || reading.synced() < seq) clock_.sync(source_);
}

// A database that hangs (a lost file server, locked read marks) makes each look wait for seconds. Who waited for another's look, or comes
// soon after it, takes its failure; else a request would wait as often as there are others.
void Database::sync_unless_recent() {
    const auto arrived = std::chrono::steady_clock::now();
    const std::lock_guard lock(sync_mutex_);
    if (clock_.read().is_recent()) return;
    if (failed_look_ && arrived < failed_look_->at + kLookAgain) throw failed_look_->why;
    try {
        clock_.sync(source_);
        failed_look_.reset();
    } catch (const std::runtime_error& why) {
        failed_look_ = {std::chrono::steady_clock::now(), why};
        throw;
    }
}

// After a COMMIT, so it can't fail any more: where it is in vain, the follower does it within 50 ms.
void Database::give_up_trust() noexcept try { sync(); } catch (const std::runtime_error&) {
}

// The write is done and acknowledged: without new statistics it only may be slower.
void Database::refresh_statistics_after_many_changes() noexcept try {
    const auto changes = writer_.total_changes();
    if (changes < changes_at_refresh_ + kManyChanges) return;
    refresh_statistics(writer_);
    changes_at_refresh_ = writer_.total_changes();
} catch (const DatabaseError&) {
}

std::unique_ptr<ChangeSource> Database::change_source() const { return std::make_unique<SqliteChangeSource>(options_, expected_triggers_); }

}  // namespace recto
