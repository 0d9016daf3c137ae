#include "throttle/throttle.hpp"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "throttle/heartbeat.hpp"
#include "throttle/snapshot.hpp"
#include "throttle/table.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::uint64_t kTwoYears = 2 * 366 * 86'400 * kTicksPerSecond;  // more than the longest period
constexpr auto kPatience = 5s;                                           // of who starts
constexpr auto kPatienceOfRequest = 500ms;
constexpr auto kPause = 1s;  // after a table couldn't be replaced

class BootTicks : public TickSource {
public:
    [[nodiscard]] std::uint64_t now() const override {
        timespec time{};
        ::clock_gettime(CLOCK_BOOTTIME, &time);
        return kTwoYears + static_cast<std::uint64_t>(time.tv_sec) * kTicksPerSecond +
               static_cast<std::uint64_t>(time.tv_nsec) * kTicksPerSecond / 1'000'000'000;
    }
    [[nodiscard]] std::uint64_t end_of(std::uint64_t now) const override { return now + 1; }
};

fs::path table_path(const fs::path& folder) { return folder / "throttle"; }
fs::path next_path(const fs::path& folder) { return folder / "throttle.next"; }

// Held for as long as it takes to make a table and to move the old one's records; a process stopped with it must not stop us without a
// word.
FileLock lock_folder(const fs::path& folder, std::chrono::milliseconds patience) {
    const auto path = folder / "throttle.lock";
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;; std::this_thread::sleep_for(1ms)) {
        if (auto lock = FileLock::attempt(path, FileLock::Mode::exclusive)) return std::move(*lock);
        if (std::chrono::steady_clock::now() < end) continue;
        throw std::runtime_error("throttle: another process has held " + path.string() + " for " + to_text(patience));
    }
}

struct Attached {
    SharedFile file;
    std::optional<ThrottleOptions> options;  // empty: of another boot, another version or no table at all
};

std::optional<Attached> attach_file(const fs::path& path) {
    auto file = SharedFile::attach(path);
    if (!file) return {};
    auto options = read_description(file->bytes());
    return Attached{std::move(*file), std::move(options)};
}

std::string note_on(bool is_first, bool was_ours, bool is_from_snapshot, std::span<const std::string> kept) {
    const auto counts = ", counts kept: " + (kept.empty() ? "none" : join(kept, ", "));
    if (was_ours) return "throttle: made a new table for changed policies" + counts;
    const std::string made =
        is_first ? "throttle: made a new table" : "throttle: made a new table, the old one was of another boot or version";
    return is_from_snapshot ? made + ", taken from the snapshot" + counts : made;
}

}  // namespace

const TickSource& boot_ticks() {
    static const BootTicks ticks;
    return ticks;
}

// The table in use, those it replaced (other threads may still be in one), and the one that is about to replace it.
class Throttle::Shared {
public:
    Shared(ThrottleOptions options, const TickSource& ticks) : options_(std::move(options)), ticks_(ticks) {}

    void open() {
        make_private_directory(options_.folder);
        heartbeat_ = Heartbeat::of(options_.folder);
        const auto wanted = describe(options_);  // says what is wrong with them
        const auto fits = [&](ThrottleOptions found) {
            for (auto& policy : found.policies) policy.capacity = 0;
            return describe(found) == wanted;
        };
        adopt(fits, kPatience);
    }

    // False when there is none.
    bool attach() {
        auto found = attach_file(table_path(options_.folder));
        if (!found || !found->options) return false;
        heartbeat_ = Heartbeat::of(options_.folder);
        auto folder = std::move(options_.folder);
        options_ = *found->options;
        options_.folder = std::move(folder);
        current_.store(&link_to(*std::move(found)), std::memory_order_release);
        return true;
    }

    // Asks the table where such a client counts.
    Verdict ask(const Table::Ask& ask) {
        auto* link = &in_use();
        for (int attempt = 0; attempt < kAttempts; ++attempt) {
            if (auto answer = link->table.check(ask)) return *std::move(answer);
            if (auto* const next = next_of(*link))
                link = next;
            else if (!ask.may_wait)
                return {.outcome = Outcome::busy};
            else if (renew(*link))
                link = &in_use();
            else
                break;
        }
        return {.outcome = Outcome::late};
    }

    void until_done(const auto& work) {
        for (int attempt = 0; attempt < kAttempts; ++attempt)
            if (work(up_to_date())) return;
        throw std::runtime_error("throttle: the table is just being replaced");
    }

    // For what is not about one client: that of a worker which has just nothing to count may have been replaced long ago.
    Table& up_to_date() {
        for (int attempt = 0; attempt < kAttempts && in_use().table.is_being_replaced() && renew(in_use()); ++attempt) continue;
        return in_use().table;
    }

    std::string look_after() {
        const auto path = table_path(options_.folder);
        const auto found = attach_file(path);
        if (up_to_date().is_being_replaced() || (found && !found->options)) return {};
        if (!found) return make_again() ? "throttle: " + path.string() + " was removed; made it again, with all counts" : "";
        const auto id = in_use().table.id();
        if (Table(found->file.bytes(), *found->options, options_, ticks_, *heartbeat_).id() == id || !use_if(fits_all) ||
            in_use().table.id() == id)
            return {};
        return "throttle: " + path.string() + " was removed and somebody made another one; counts there now, what was counted is lost";
    }

    [[nodiscard]] const ThrottleOptions& options() const { return options_; }
    [[nodiscard]] const std::string& note() const { return note_; }

private:
    static constexpr int kAttempts = 10;

    struct Link {
        Link(std::span<std::byte> memory, const ThrottleOptions& in_file, const ThrottleOptions& own, const TickSource& ticks,
             const Heartbeat& heartbeat)
            : table(memory, in_file, own, ticks, heartbeat) {}
        Table table;
        std::atomic<Link*> next = nullptr;
    };

    [[nodiscard]] bool has_table() const { return current_.load(std::memory_order_acquire) != nullptr; }
    [[nodiscard]] Link& in_use() const { return *current_.load(std::memory_order_acquire); }

    // Where the clients of a stripe that was moved count, while others may still be moved and long after.
    Link* next_of(Link& link) {
        if (!link.table.is_moving()) return nullptr;
        auto* next = link.next.load(std::memory_order_acquire);
        if (next == nullptr) link.next.store(next = find_next(link.table), std::memory_order_release);
        if (auto* expected = &link; next != nullptr && link.table.is_replaced())
            current_.compare_exchange_strong(expected, next, std::memory_order_acq_rel);
        return next;
    }

    // It may get its name just now; and once the table is wholly moved, several may follow.
    Link* find_next(const Table& table) {
        const auto named = table_path(options_.folder), unnamed = next_path(options_.folder);
        bool is_moved = false;
        try {
            do {
                is_moved = table.is_replaced();
                for (const auto& path : {named, unnamed, named}) {
                    auto found = attach_file(path);
                    if (!found || !found->options) continue;
                    const Table there(found->file.bytes(), *found->options, options_, ticks_, *heartbeat_);
                    if (there.follows(table) || (is_moved && path == named)) return &link_to(*std::move(found));
                }
            } while (!is_moved && table.is_replaced());
        } catch (const std::exception&) {  // for renew() to deal with
        }
        return nullptr;
    }

    // Takes the place of a table that is being replaced, by whatever policies it has. No waiting for long: that is for the next request to
    // try again.
    bool renew(const Link& retired) {
        const std::lock_guard lock(renewing_);
        if (&in_use() != &retired) return true;
        if (std::chrono::steady_clock::now() < not_before_) return false;
        try {
            adopt(fits_all, kPatienceOfRequest);
            return true;
        } catch (const std::exception&) {
            not_before_ = std::chrono::steady_clock::now() + kPause;
            return false;
        }
    }

    static bool fits_all(const ThrottleOptions&) { return true; }

    // False if somebody else did.
    bool make_again() {
        const std::lock_guard lock(renewing_);
        make_private_directory(options_.folder);
        const auto folder_lock = lock_folder(options_.folder, kPatienceOfRequest);
        if (attach_file(table_path(options_.folder))) return false;
        replace();
        return use_if(fits_all);
    }

    void adopt(const auto& fits, std::chrono::milliseconds patience) {
        if (use_if(fits)) return;
        const auto lock = lock_folder(options_.folder, patience);
        while (!use_if(fits)) replace();
    }

    bool use_if(const auto& fits) {
        auto found = attach_file(table_path(options_.folder));
        if (!found || !found->options || !fits(*found->options)) return false;
        auto& link = link_to(*std::move(found));
        if (link.table.is_being_replaced()) return false;
        current_.store(&link, std::memory_order_release);
        return true;
    }

    // Under the lock of the folder. Also goes on where somebody was killed. A file that has lost its name still has its counts.
    void replace() {
        const auto named = table_path(options_.folder), unnamed = next_path(options_.folder);
        remove_half_made(named);
        remove_half_made(unnamed);
        auto found = attach_file(named);
        const bool is_first = !found;
        auto* const previous = found && found->options   ? &link_to(*std::move(found)).table
                               : is_first && has_table() ? &in_use().table
                                                         : nullptr;
        auto next = attach_file(unnamed);
        if (!previous || !next || !next->options ||
            !Table(next->file.bytes(), *next->options, options_, ticks_, *heartbeat_).follows(*previous))
            next = make(unnamed, previous, is_first);
        else
            note_ = "throttle: went on with a new table that somebody had begun";
        if (previous != nullptr) link_to(*std::move(next)).table.take_over(*previous);
        fs::rename(unnamed, named);
        if (previous != nullptr) previous->end();
    }

    Attached make(const fs::path& path, Table* previous, bool is_first) {
        if (previous == nullptr) remove_half_made(options_.snapshot);
        const auto snapshot = previous == nullptr ? load_snapshot(options_.snapshot, std::chrono::system_clock::now()) : std::nullopt;
        auto in_file = options_;
        if (previous != nullptr) previous->keep_capacity(in_file.policies);
        std::vector<std::string> kept;
        auto file = SharedFile::create(path, Layout(in_file).size, [&](std::span<std::byte> memory) {
            kept = Table::fill(memory, in_file, ticks_, *heartbeat_, previous, snapshot ? &*snapshot : nullptr);
        });
        note_ = note_on(is_first, previous != nullptr, snapshot.has_value(), kept);
        return {std::move(file), std::move(in_file)};
    }

    // Each table is mapped once.
    Link& link_to(Attached found) {
        const std::lock_guard lock(linking_);
        const auto id = Table(found.file.bytes(), *found.options, options_, ticks_, *heartbeat_).id();
        const auto known = std::ranges::find_if(links_, [&](const auto& link) { return link->table.id() == id; });
        if (known != links_.end()) return **known;
        links_.push_back(std::make_unique<Link>(keep_mapped(std::move(found.file)), *found.options, options_, ticks_, *heartbeat_));
        links_.back()->table.bring_in_stripes();
        return *links_.back();
    }

    ThrottleOptions options_;
    const TickSource& ticks_;
    std::shared_ptr<const Heartbeat> heartbeat_;
    std::string note_;
    std::atomic<Link*> current_ = nullptr;
    std::mutex linking_;  // of what follows
    std::vector<std::unique_ptr<Link>> links_;
    std::mutex renewing_;  // of what follows, after the start
    std::chrono::steady_clock::time_point not_before_;
};

Throttle Throttle::open(const ThrottleOptions& options, const TickSource& ticks) {
    auto shared = std::make_unique<Shared>(options, ticks);
    shared->open();
    return Throttle(std::move(shared));
}

std::optional<Throttle> Throttle::attach(const fs::path& folder, const TickSource& ticks) {
    ThrottleOptions options;
    options.folder = folder;
    auto shared = std::make_unique<Shared>(options, ticks);
    if (!shared->attach()) return {};
    return Throttle(std::move(shared));
}

Throttle::Throttle(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {}
Throttle::Throttle(Throttle&&) noexcept = default;
Throttle& Throttle::operator=(Throttle&&) noexcept = default;
Throttle::~Throttle() = default;

const std::string& Throttle::note() const { return shared_->note(); }
const std::vector<ThrottlePolicy>& Throttle::policies() const { return shared_->options().policies; }

std::optional<Throttle::Scope> Throttle::find(std::string_view scope) const {
    const auto found = std::ranges::find(policies(), scope, &ThrottlePolicy::scope);
    if (found == policies().end()) return {};
    return static_cast<Scope>(found - policies().begin());
}

Throttle::Verdict Throttle::check(std::span<const Scope> scopes, const Client& client, const RequestWeight& weight) {
    return shared_->ask({.scopes = scopes, .client = client, .weight = weight, .counts = true, .may_wait = weight.may_wait});
}

Throttle::Verdict Throttle::look(std::span<const Scope> scopes, const Client& client, bool may_wait) {
    return shared_->ask({.scopes = scopes, .client = client, .weight = {}, .counts = false, .may_wait = may_wait});
}

std::vector<Throttle::Refusals> Throttle::take_refusals() { return shared_->up_to_date().take_refusals(); }

std::string Throttle::look_after() { return shared_->look_after(); }

std::vector<Throttle::Room> Throttle::recount() { return shared_->up_to_date().recount(); }

void Throttle::save() const {
    recto::save(shared_->up_to_date().snapshot(), shared_->options().snapshot, std::chrono::system_clock::now());
}

std::vector<Throttle::Usage> Throttle::usage(const Client& client) const { return shared_->up_to_date().usage(client); }
std::vector<Throttle::Record> Throttle::fullest(std::size_t count) const { return shared_->up_to_date().fullest(count); }
std::vector<Throttle::Refusals> Throttle::refusals() const { return shared_->up_to_date().refusals(); }

void Throttle::reset(const Client& client) {
    shared_->until_done([&](Table& table) { return table.reset(client); });
}

void Throttle::reset(Scope scope) {
    shared_->until_done([&](Table& table) { return table.reset(policies().at(scope).scope); });
}

Throttle::Counters Throttle::counters() const { return shared_->up_to_date().counters(); }
Throttle::Fill Throttle::fill(bool users) const { return shared_->up_to_date().fill(users); }

std::chrono::milliseconds lateness_of(const ThrottlePolicy& policy, bool user) {
    const auto ticks = Window(policy.rate, policy.representation_of(user)).lateness() + 1;  // and what was left of the one in which it came
    return std::chrono::milliseconds((ticks * 1000 + kTicksPerSecond - 1) / kTicksPerSecond);
}

Size memory_of(const ThrottleOptions& options) { return {Layout(options).size}; }

}  // namespace recto
