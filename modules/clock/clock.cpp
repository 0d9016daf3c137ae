#include "clock/clock.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "clock/epoch_memory.hpp"
#include "clock/epoch_window.hpp"
#include "util/crypto.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

// A round finds the database in another epoch, or makes it so; one more follows it; more than a few mean that something is very wrong.
constexpr int kRounds = 8;

constexpr std::string_view kPrefix = "clock-v";

fs::path root_path(const fs::path& folder) { return folder / (std::string(kPrefix) + std::to_string(kLayoutVersion)); }

fs::path memory_path(const fs::path& folder, std::uint64_t id) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&id);
    return root_path(folder) += '-' + hex({bytes, sizeof id});
}

// One process at a time opens the clock or puts a lost root back.
fs::path opening_lock(const fs::path& folder) { return folder / "clock-opening.lock"; }

// Shared by every process that has the clock open: who gets it alone is the first of the host.
fs::path alive_lock(const fs::path& folder) { return folder / "clock-alive.lock"; }

// Where the kernel doesn't tell, each start counts as another boot: colder, never wrong.
std::uint64_t this_boot() {
    try {
        const auto hash = hash128(read_file("/proc/sys/kernel/random/boot_id"));
        return std::uint64_t{hash[0]} << 56 | std::uint64_t{hash[1]} << 48 | std::uint64_t{hash[2]} << 40 | std::uint64_t{hash[3]} << 32 |
               std::uint64_t{hash[4]} << 24 | std::uint64_t{hash[5]} << 16 | std::uint64_t{hash[6]} << 8 | hash[7];
    } catch (const std::runtime_error&) {
        return random_number();
    }
}

std::uint64_t new_id() {
    for (;;)
        if (const auto id = random_number(); id != 0) return id;
}

void remove_quietly(const fs::path& path) {
    std::error_code ignored;
    fs::remove(path, ignored);
}

std::uint64_t ticks(LeaseClock::time_point time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

}  // namespace

// FNV-1a with 64 bits, xor-folded to 16 (draft-eastlake-fnv).
Slot slot_of(std::string_view tag) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char letter : tag) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    hash ^= hash >> 32;
    return static_cast<Slot>(hash ^ (hash >> 16));
}

LeaseClock::time_point LeaseClock::now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// What this process has mapped: the epoch memory in use, once in the window for the readers, once for those who write to it. They may be
// at it still when another epoch begins, so they share their mapping and the last one ends it.
class ChangeClock::State {
public:
    State(fs::path folder, FileLock alive) : folder_(std::move(folder)), alive_(std::move(alive)) {}

    // What the root named at a moment.
    struct View {
        ClockRoot* root;
        std::uint64_t id;
        std::shared_ptr<EpochMemory> memory;  // null: the root names none, or we can't map it
    };

    [[nodiscard]] Reading read();
    View current();

    void attach_or_make_root();
    void renew_unless_exact(ChangeSource& source);
    [[nodiscard]] bool sync_once(ChangeSource& source);
    void publish(const ChangeSet& own);
    void put_root_back();
    [[nodiscard]] bool has_its_root();

private:
    bool map(std::uint64_t id);
    static bool bring_up(EpochMemory& memory, ChangeSource& source);
    void replace(const View& old, ChangeSource& source);
    void remove_unnamed(std::uint64_t named);

    const fs::path folder_;
    const std::uint64_t boot_ = this_boot();
    std::atomic<ClockRoot*> root_{nullptr};
    EpochWindow window_;  // of memory_

    std::mutex mutex_;
    // guarded by mutex_
    FileLock alive_;
    std::vector<SharedFile> root_files_;  // the last one is in use; a reader may have the address of one before it, which is 16 bytes
    std::shared_ptr<EpochMemory> memory_;
};

ChangeClock::Reading ChangeClock::State::read() {
    for (;;) {
        Reading reading;
        reading.id_ = root_.load(std::memory_order_acquire)->current.load();
        if (reading.id_ != 0 && window_.shows(reading.id_)) [[likely]] {
            reading.window_ = &window_;
            reading.epoch_ = window_.memory().epoch.load(std::memory_order_acquire);
            reading.synced_ = window_.memory().synced_seq.load(std::memory_order_acquire);
            if (reading.is_current()) return reading;
        }
        if (current().memory == nullptr) return {};
    }
}

// A name may be gone because the root names another one by now.
ChangeClock::State::View ChangeClock::State::current() {
    const std::lock_guard lock(mutex_);
    auto* const root = root_.load();
    for (;;) {
        const auto id = root->current.load();
        if (id == 0) return {root, 0, nullptr};
        if ((memory_ != nullptr && memory_->id == id) || map(id)) return {root, id, memory_};
        if (root->current.load() == id) return {root, id, nullptr};
    }
}

// What can't be mapped is as good as lost: the next sync() makes another, or says why it can't.
bool ChangeClock::State::map(std::uint64_t id) try {
    auto file = SharedFile::attach(memory_path(folder_, id));
    auto* const memory = file ? EpochMemory::in(file->bytes(), id) : nullptr;
    if (memory == nullptr) return false;
    const auto owner = std::make_shared<SharedFile>(std::move(*file));
    memory_.reset();
    window_.show(*owner, id);
    memory_ = {owner, memory};
    return true;
} catch (const std::runtime_error&) {
    return false;
}

// Under the opening lock.
void ChangeClock::State::attach_or_make_root() {
    const std::lock_guard lock(mutex_);
    const auto path = root_path(folder_);
    auto file = SharedFile::attach(path);
    if (!file || ClockRoot::in(file->bytes()) == nullptr)
        file = SharedFile::create(path, sizeof(ClockRoot), [](std::span<std::byte> bytes) { ClockRoot::make(bytes); });
    root_ = ClockRoot::in(file->bytes());
    root_files_.push_back(std::move(*file));
    // What has the same name now may be another file.
    memory_.reset();
    window_.hide();
}

// The first of the host can't know what happened while nobody watched: a backup may have been restored and gone on from there.
void ChangeClock::State::renew_unless_exact(ChangeSource& source) {
    const auto view = current();
    remove_unnamed(view.id);
    const auto set = source.changes_since(view.memory != nullptr ? view.memory->synced_seq.load() : 0);
    if (view.memory == nullptr || !view.memory->is_exactly(set, boot_)) source.renew_epoch(set.epoch);
}

// Left by processes that were killed while they made one, and by other versions: no process of any is alive.
void ChangeClock::State::remove_unnamed(std::uint64_t named) {
    for (const auto& entry : fs::directory_iterator(folder_)) {
        const auto name = entry.path().filename().string();
        if (name.starts_with(kPrefix) && entry.path() != root_path(folder_) && entry.path() != memory_path(folder_, named))
            remove_quietly(entry.path());
    }
}

// False: what the root names is not this database's history and was replaced, look again.
bool ChangeClock::State::sync_once(ChangeSource& source) {
    const auto view = current();
    if (view.memory != nullptr && bring_up(*view.memory, source)) return true;
    replace(view, source);
    return false;
}

// False: a memory for the database's epoch is needed, which has been renewed if it can't be believed.
bool ChangeClock::State::bring_up(EpochMemory& memory, ChangeSource& source) {
    const auto looked_at = LeaseClock::now();
    const bool was_broken = memory.state == EpochMemory::broken;
    const auto set = source.changes_since(memory.synced_seq.load(std::memory_order_acquire));
    if (set.epoch > memory.epoch) return false;

    // Broken before the renewal: it may fail. And what was unseen while the triggers were off stays unseen when they are back.
    const bool contradicted = memory.is_contradicted_by(set);
    if (contradicted || !set.trusted) memory.state = EpochMemory::broken;
    if (contradicted || (was_broken && set.trusted)) {
        source.renew_epoch(set.epoch);
        return false;
    }
    memory.raise_to(set);
    auto unsettled = std::uint64_t{EpochMemory::unsettled};
    memory.state.compare_exchange_strong(unsettled, EpochMemory::usable);
    memory.synced_at = ticks(looked_at);
    return true;
}

// Whoever names a new memory first wins; the others' are removed.
void ChangeClock::State::replace(const View& old, ChangeSource& source) {
    const auto id = new_id();
    const auto path = memory_path(folder_, id);
    const auto all = source.changes_since(0);
    const auto file =
        SharedFile::create(path, sizeof(EpochMemory), [&](std::span<std::byte> bytes) { EpochMemory::make(bytes, id, boot_, all); });
    auto expected = old.id;
    const bool won = old.root->current.compare_exchange_strong(expected, id);
    if (!won) remove_quietly(path);
    if (won && old.id != 0) remove_quietly(memory_path(folder_, old.id));
}

// After COMMIT: whatever memory is named later than this look is settled by a sync() that sees the commit.
void ChangeClock::State::publish(const ChangeSet& own) {
    auto view = current();
    if (view.memory == nullptr)
        view.root->current.compare_exchange_strong(view.id, 0);
    else if (own.epoch != view.memory->epoch || view.memory->is_contradicted_by(own))
        view.memory->state = EpochMemory::broken;
    else
        view.memory->raise_to(own);
}

bool ChangeClock::State::has_its_root() {
    const std::lock_guard lock(mutex_);
    return root_files_.back().is_still(root_path(folder_));
}

// Whoever can't have the lock looks again later. The locks' files may have been removed too.
void ChangeClock::State::put_root_back() {
    make_private_directory(folder_);
    const auto opening = FileLock::attempt(opening_lock(folder_), FileLock::Mode::exclusive);
    if (!opening) return;
    const auto old_id = current().id;
    attach_or_make_root();
    if (current().id != old_id) remove_quietly(memory_path(folder_, old_id));
    auto alive = FileLock::wait(alive_lock(folder_), FileLock::Mode::shared);
    {
        const std::lock_guard lock(mutex_);
        alive_ = std::move(alive);
    }
}

ChangeClock::ChangeClock(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChangeClock::ChangeClock(ChangeClock&&) noexcept = default;
ChangeClock& ChangeClock::operator=(ChangeClock&&) noexcept = default;
ChangeClock::~ChangeClock() = default;

// flock doesn't convert at once (flock(2)); nobody comes between, as all do this under the opening lock.
ChangeClock ChangeClock::open(const fs::path& folder, ChangeSource& source) {
    make_private_directory(folder);
    const auto opening = FileLock::wait(opening_lock(folder), FileLock::Mode::exclusive);
    auto alone = FileLock::attempt(alive_lock(folder), FileLock::Mode::exclusive);
    const bool is_first = alone.has_value();
    if (is_first) alone->convert(FileLock::Mode::shared);
    auto alive = is_first ? std::move(*alone) : FileLock::wait(alive_lock(folder), FileLock::Mode::shared);

    ChangeClock clock(std::make_unique<State>(folder, std::move(alive)));
    clock.state_->attach_or_make_root();
    if (is_first) clock.state_->renew_unless_exact(source);
    clock.sync(source);
    return clock;
}

ChangeClock::Reading ChangeClock::read() const { return state_->read(); }

void ChangeClock::sync(ChangeSource& source) {
    for (int round = 0; round < kRounds; ++round)
        if (state_->sync_once(source)) return;
    throw std::runtime_error("the change clock finds another epoch in the database each time it looks");
}

void ChangeClock::publish(const ChangeSet& own) { state_->publish(own); }

bool ChangeClock::renew_lease(LeaseClock::time_point looked_at) {
    const auto view = state_->current();
    if (view.memory == nullptr || view.memory->state != EpochMemory::usable) return false;
    view.memory->synced_at = ticks(looked_at);
    return true;
}

void ChangeClock::remap_if_replaced(ChangeSource& source) {
    if (state_->has_its_root()) return;
    state_->put_root_back();
    sync(source);
}

bool ChangeClock::Reading::is_current() const { return window_->shows(id_); }

bool ChangeClock::Reading::is_valid(std::uint64_t seq, std::span<const Slot> slots) const {
    if (window_ == nullptr) return false;
    const auto& memory = window_->memory();
    const auto unchanged = [&](Slot slot) { return memory.slots[slot].load(std::memory_order_acquire) <= seq; };
    return memory.state.load(std::memory_order_acquire) == EpochMemory::usable &&
           seq <= memory.synced_seq.load(std::memory_order_acquire) && std::ranges::all_of(slots, unchanged) && is_current();
}

bool ChangeClock::Reading::is_recent() const { return age() <= kRecent; }

bool ChangeClock::Reading::is_fresh() const { return age() <= kLease; }

// A moment ahead of us is another processor's; further ahead is no look that we know of.
std::chrono::nanoseconds ChangeClock::Reading::age() const {
    if (window_ == nullptr) return std::chrono::nanoseconds::max();
    const auto synced_at = window_->memory().synced_at.load(std::memory_order_acquire);
    if (!is_current()) return std::chrono::nanoseconds::max();
    const auto now = ticks(LeaseClock::now());
    if (now >= synced_at) return std::chrono::nanoseconds(now - synced_at);
    return std::chrono::nanoseconds(synced_at - now) < kLease ? std::chrono::nanoseconds(0) : std::chrono::nanoseconds::max();
}

bool ChangeClock::Reading::is_trusted() const {
    return window_ != nullptr && window_->memory().state.load(std::memory_order_acquire) == EpochMemory::usable && is_current();
}

}  // namespace recto
