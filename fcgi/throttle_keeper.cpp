#include "fcgi/throttle_keeper.hpp"

#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

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

void tell(const Throttle::Room& room) {
    json::object data{{"scope", room.scope}, {"kind", room.users ? "user" : "address"}, {"used", room.used}, {"records", room.records}};
    log_event(room.is_full ? "throttle.full" : "throttle.has_room", std::move(data), kLogger, room.is_full ? Level::warning : Level::info);
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
        if (interval_ > 0ms) attempt(saving_, [this] { throttle_.save(); });
    }

private:
    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            woken_.wait_for(lock, stop, kInterval, [] { return false; });
            attempt(looking_after_, [this] { look_after(); });
            for (const auto& room : throttle_.recount()) tell(room);
            for (const auto& refusals : throttle_.take_refusals()) tell(refusals);
            if (interval_ > 0ms && is_due()) attempt(saving_, [this] { throttle_.save(); });
        }
    }

    [[nodiscard]] bool is_due() const {
        std::error_code none;
        const auto last = fs::last_write_time(snapshot_, none);
        return none || fs::file_time_type::clock::now() - last >= interval_;
    }

    void look_after() {
        if (const auto note = throttle_.look_after(); !note.empty()) log_message(Level::warning, note, kLogger);
    }

    struct Duty {
        const char* failure;
        const char* recovery;
        bool is_failing = false;
    };

    static void attempt(Duty& duty, const auto& work) {
        try {
            work();
            if (std::exchange(duty.is_failing, false)) log_message(Level::info, duty.recovery, kLogger);
        } catch (const std::exception& problem) {
            if (!std::exchange(duty.is_failing, true)) log_message(Level::error, std::string(duty.failure) + problem.what(), kLogger);
        }
    }

    Throttle& throttle_;
    const fs::path snapshot_;
    const std::chrono::milliseconds interval_;
    Duty saving_{.failure = "no snapshot: ", .recovery = "snapshots can be written again"};
    Duty looking_after_{.failure = "cannot see to the table: ", .recovery = "the table is as it should be again"};
    std::mutex mutex_;
    std::condition_variable_any woken_;
    std::jthread thread_;
};

ThrottleKeeper::ThrottleKeeper(Throttle& throttle, fs::path snapshot, std::chrono::milliseconds snapshot_interval)
    : loop_(std::make_unique<Loop>(throttle, std::move(snapshot), snapshot_interval)) {}
ThrottleKeeper::~ThrottleKeeper() = default;

}  // namespace recto
