#include "fcgi/throttle_keeper.hpp"

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

#include "log/log.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kInterval = 1s;
constexpr std::string_view kLogger = "recto.throttle";

void tell(const Throttle::Refusals& refusals) {
    json::object data{{"scope", refusals.scope},
                      {"client", refusals.client},
                      {"count", refusals.count},
                      {"seconds", refusals.lasted.count()},
                      {"retry_after", refusals.retry_after.count()}};
    if (refusals.dry_run) data["dry_run"] = true;
    log_event("throttle.refused", std::move(data), kLogger, Level::warning);
}

}  // namespace

class ThrottleKeeper::Loop {
public:
    Loop(Throttle& throttle, fs::path snapshot, std::chrono::milliseconds interval)
        : throttle_(throttle),
          snapshot_(std::move(snapshot)),
          interval_(interval),
          thread_([this](const std::stop_token& stop) { run(stop); }) {}

    ~Loop() {
        thread_.request_stop();
        thread_.join();
        if (interval_ > 0ms) save();
    }

private:
    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            woken_.wait_for(lock, stop, kInterval, [] { return false; });
            for (const auto& refusals : throttle_.take_refusals()) tell(refusals);
            if (interval_ > 0ms && is_due()) save();
        }
    }

    [[nodiscard]] bool is_due() const {
        std::error_code none;
        const auto last = fs::last_write_time(snapshot_, none);
        return none || fs::file_time_type::clock::now() - last >= interval_;
    }

    void save() {
        try {
            throttle_.save();
            if (is_failing_) log_message(Level::info, "snapshots can be written again", kLogger);
            is_failing_ = false;
        } catch (const std::exception& problem) {
            if (!is_failing_) log_message(Level::error, std::string("no snapshot: ") + problem.what(), kLogger);
            is_failing_ = true;
        }
    }

    Throttle& throttle_;
    const fs::path snapshot_;
    const std::chrono::milliseconds interval_;
    bool is_failing_ = false;
    std::mutex mutex_;
    std::condition_variable_any woken_;
    std::jthread thread_;
};

ThrottleKeeper::ThrottleKeeper(Throttle& throttle, fs::path snapshot, std::chrono::milliseconds snapshot_interval)
    : loop_(std::make_unique<Loop>(throttle, std::move(snapshot), snapshot_interval)) {}
ThrottleKeeper::~ThrottleKeeper() = default;

}  // namespace recto
