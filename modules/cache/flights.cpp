#include "cache/flights.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "util/context.hpp"
#include "util/crypto.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kLookElsewhere = 5ms;

UniqueFd open_lock_file(const std::filesystem::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot open", path);
    return fd;
}

struct flock lock_of(std::string_view key, short type) {
    const auto hash = hash128(key);
    std::uint64_t number = 0;
    std::memcpy(&number, hash.data(), sizeof number);
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(number >> 2);
    lock.l_len = 1;
    return lock;
}

}  // namespace

Flights::Flights(Options options) : options_(std::move(options)), lock_file_(open_lock_file(options_.lock_file)) {}

Flights::~Flights() = default;

Flights::Lead::Lead(Lead&& other) noexcept : flights_(std::exchange(other.flights_, nullptr)), key_(std::move(other.key_)) {}

void Flights::Lead::land(const CacheHit& made) {
    if (auto* const flights = std::exchange(flights_, nullptr)) flights->land(key_, made);
}

// Also after he was woken: whoever woke him may not have let go of him yet.
Flights::Waiter::~Waiter() {
    if (flights_ != nullptr) flights_->stop_waiting(*this);
}

Flights::Joined Flights::join(std::string_view key, Waiter* waiter) {
    const std::lock_guard lock(mutex_);
    auto found = flights_.find(key);
    if (found == flights_.end()) {
        if (lock_on_host(key)) return {.lead = Lead(*this, flights_.emplace(key, Flight{}).first->first), .waits = false};
        if (waiter == nullptr || waiting_ >= options_.max_waiting) return {};
        found = flights_.emplace(key, Flight{.elsewhere = true, .waiters = {}}).first;
    }
    if (waiter == nullptr || waiting_ >= options_.max_waiting) return {};
    ++waiting_;
    waiter->until_ = SteadyClock::now() + options_.patience;
    waiter->flights_ = this;
    waiter->waits_ = true;
    waiter->key_ = found->first;
    found->second.waiters.push_back(waiter);
    has_news_ = true;
    if (!watcher_.joinable()) watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    changed_.notify_all();
    return {.lead = {}, .waits = true};
}

std::variant<Flights::Lead, Flights::Landing> Flights::join_and_wait(std::string_view key) {
    std::mutex mutex;
    std::condition_variable landed;
    bool has_landed = false;
    Waiter waiter([&] {
        const std::lock_guard lock(mutex);
        has_landed = true;
        landed.notify_one();
    });
    auto joined = join(key, &waiter);
    if (joined.lead) return std::move(*joined.lead);
    if (!joined.waits) return Landing(Alone{});
    const PhaseScope scope(Phase::wait);
    std::unique_lock lock(mutex);
    landed.wait(lock, [&] { return has_landed; });
    return waiter.landing();
}

bool Flights::is_flying(std::string_view key) {
    const std::lock_guard lock(mutex_);
    return flights_.contains(key);
}

// What was made is stored by now: other processes look for it as soon as the lock is gone.
void Flights::land(const std::string& key, const CacheHit& made) {
    const std::lock_guard lock(mutex_);
    unlock_on_host(key);
    auto flight = flights_.extract(key);
    wake_all(flight.mapped(), made ? Landing(Made{made}) : Landing(Alone{}));
}

void Flights::stop_waiting(Waiter& waiter) {
    const std::lock_guard lock(mutex_);
    if (!waiter.waits_) return;
    const auto found = flights_.find(waiter.key_);
    std::erase(found->second.waiters, &waiter);
    --waiting_;
}

void Flights::wake_all(Flight& flight, const Landing& landing) {
    for (auto* waiter : flight.waiters) wake(*waiter, landing);
    flight.waiters.clear();
}

void Flights::wake(Waiter& waiter, Landing landing) {
    --waiting_;
    waiter.waits_ = false;
    waiter.landing_ = std::move(landing);
    waiter.wake_();
}

// Ends waits that took too long, and finds out when other processes have landed.
void Flights::watch(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        if (waiting_ == 0)
            changed_.wait(lock, stop, [this] { return waiting_ > 0; });
        else
            changed_.wait_until(lock, stop, next_look(), [this] { return has_news_; });
        has_news_ = false;
        wake_late(SteadyClock::now());
        look_elsewhere();
    }
}

SteadyClock::time_point Flights::next_look() const {
    auto next = SteadyClock::now() + options_.patience;
    for (const auto& [key, flight] : flights_) {
        if (flight.elsewhere) next = std::min(next, SteadyClock::now() + kLookElsewhere);
        if (!flight.waiters.empty()) next = std::min(next, flight.waiters.front()->until_);  // the first has waited longest
    }
    return next;
}

void Flights::wake_late(SteadyClock::time_point now) {
    for (auto& [key, flight] : flights_) {
        const auto in_time = std::ranges::find_if(flight.waiters, [&](const Waiter* waiter) { return waiter->until_ > now; });
        const std::vector<Waiter*> late(flight.waiters.begin(), in_time);
        flight.waiters.erase(flight.waiters.begin(), in_time);
        for (auto* waiter : late) wake(*waiter, Alone{});
    }
}

// The lock is given back at once: whoever looks again and finds nothing takes it in earnest.
void Flights::look_elsewhere() {
    for (auto it = flights_.begin(); it != flights_.end();) {
        auto& [key, flight] = *it;
        const bool landed = flight.elsewhere && !flight.waiters.empty() && lock_on_host(key);
        if (landed) unlock_on_host(key);
        if (landed) wake_all(flight, LookAgain{});
        it = flight.elsewhere && flight.waiters.empty() ? flights_.erase(it) : std::next(it);
    }
}

bool Flights::lock_on_host(std::string_view key) const {
    auto lock = lock_of(key, F_WRLCK);
    const bool is_held_elsewhere = ::fcntl(lock_file_.get(), F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES);
    return !is_held_elsewhere;
}

void Flights::unlock_on_host(std::string_view key) const {
    auto lock = lock_of(key, F_UNLCK);
    (void)::fcntl(lock_file_.get(), F_OFD_SETLK, &lock);
}

}  // namespace recto
