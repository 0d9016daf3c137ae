#include "log/log_counters.hpp"

#include <array>
#include <string>
#include <vector>

#include "util/shared_file.hpp"

namespace recto {
namespace {

enum Row : std::size_t { kWritten, kLost, kRotations, kReopened, kLastErrno, kLastOk, kRows };
constexpr std::array<const char*, kRows> kNames{"written", "lost", "rotations", "reopened", "last_errno", "last_ok"};

constexpr std::size_t row_of(std::size_t handler, Row row) { return handler * kRows + row; }

// The second, from memory that the kernel shares with us: no system call.
std::time_t coarse_second() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}

}  // namespace

LogCounters LogCounters::open(const std::filesystem::path& runtime_dir, std::span<const LogHandler> handlers) {
    std::vector<std::string> names;
    for (const auto& handler : handlers)
        for (const auto* name : kNames) names.push_back("log." + handler.name + '.' + name);
    make_private_directory(runtime_dir);
    return LogCounters(std::make_shared<Counters>(Counters::open(runtime_dir, names)));
}

HandlerCounts LogCounters::read(std::size_t handler) const {
    const auto value = [&](Row row) { return counters_->sum(row_of(handler, row)); };
    return {.written = value(kWritten),
            .lost = value(kLost),
            .rotations = value(kRotations),
            .reopened = value(kReopened),
            .last_errno = static_cast<int>(value(kLastErrno)),
            .last_ok = static_cast<std::time_t>(value(kLastOk))};
}

void HandlerCounters::wrote(std::uint64_t lines) noexcept {
    if (!counters_ || lines == 0) return;
    counters_->add(row_of(handler_, kWritten), lines);
    counters_->set(row_of(handler_, kLastOk), static_cast<std::uint64_t>(coarse_second()));
}
void HandlerCounters::lost(std::uint64_t lines) noexcept {
    if (counters_) counters_->add(row_of(handler_, kLost), lines);
}
void HandlerCounters::rotated() noexcept {
    if (counters_) counters_->add(row_of(handler_, kRotations));
}
void HandlerCounters::reopened() noexcept {
    if (counters_) counters_->add(row_of(handler_, kReopened));
}
void HandlerCounters::failed(int code) noexcept {
    if (counters_) counters_->set(row_of(handler_, kLastErrno), static_cast<std::uint64_t>(code));
}

}  // namespace recto
