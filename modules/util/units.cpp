#include "util/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace recto {
namespace {

using std::chrono::milliseconds;

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

// The first name of a factor is the one we print.
constexpr std::array kDurationUnits{
    Unit{"ms", 1},           Unit{"s", 1'000},        Unit{"min", 60'000},    Unit{"h", 3'600'000},
    Unit{"d", 86'400'000},   Unit{"sec", 1'000},      Unit{"second", 1'000},  Unit{"seconds", 1'000},
    Unit{"m", 60'000},       Unit{"minute", 60'000},  Unit{"minutes", 60'000}, Unit{"hour", 3'600'000},
    Unit{"hours", 3'600'000}, Unit{"day", 86'400'000}, Unit{"days", 86'400'000},
};
constexpr std::array kSizeUnits{
    Unit{"B", 1},    Unit{"KB", 1 << 10}, Unit{"MB", 1 << 20}, Unit{"GB", 1 << 30},
    Unit{"K", 1 << 10}, Unit{"M", 1 << 20},  Unit{"G", 1 << 30},
};
constexpr std::array kPeriodUnits{
    Unit{"second", 1},  Unit{"minute", 60},  Unit{"hour", 3'600},  Unit{"day", 86'400},
    Unit{"seconds", 1}, Unit{"minutes", 60}, Unit{"hours", 3'600}, Unit{"days", 86'400},
    Unit{"s", 1},       Unit{"m", 60},       Unit{"h", 3'600},     Unit{"d", 86'400},
    Unit{"sec", 1},     Unit{"min", 60},
};

constexpr std::int64_t kMaxDurationMs = std::int64_t{10'000} * 86'400'000;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 62;
constexpr std::int64_t kMaxLimit = 1'000'000'000;
constexpr std::int64_t kMaxPeriodSeconds = 366 * 86'400;

struct Quantity {
    std::int64_t number;
    std::string_view unit;
};

// `50ms` -> 50, "ms". Nothing when it doesn't begin with digits or the number doesn't fit.
std::optional<Quantity> split_quantity(std::string_view text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return {};
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{}) return {};
    return Quantity{number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

template <std::size_t N>
std::optional<std::int64_t> factor_of(std::string_view unit, const std::array<Unit, N>& units) {
    const auto found = std::ranges::find(units, unit, &Unit::name);
    if (found == units.end()) return {};
    return found->factor;
}

template <std::size_t N>
std::optional<std::int64_t> parse_quantity(std::string_view text, const std::array<Unit, N>& units, std::int64_t max) {
    const auto quantity = split_quantity(text);
    if (!quantity) return {};
    const auto factor = factor_of(quantity->unit, units);
    if (!factor || quantity->number > max / *factor) return {};
    return quantity->number * *factor;
}

// The largest unit that divides the amount; `count` is how many entries of the table are printed names.
template <std::size_t N>
std::string print_quantity(std::int64_t amount, const std::array<Unit, N>& units, std::size_t count) {
    auto best = units.front();
    for (std::size_t i = 0; i < count; ++i)
        if (amount != 0 && amount % units[i].factor == 0) best = units[i];
    return std::to_string(amount / best.factor) + std::string(best.name);
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
    const auto amount = parse_quantity(text, kDurationUnits, kMaxDurationMs);
    if (!amount) return Error{"expected a duration such as 50ms, 10s, 15min, 2h or 7d"};
    return milliseconds(*amount);
}

Result<Size> parse_size(std::string_view text) {
    const auto amount = parse_quantity(text, kSizeUnits, kMaxSize);
    if (!amount) return Error{"expected a size such as 512B, 64KB or 10MB"};
    return Size{static_cast<std::uint64_t>(*amount)};
}

Result<Rate> parse_rate(std::string_view text) {
    const Error problem{"expected a rate such as 100/day, 5/second or 30/15minutes"};
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return problem;

    const auto limit = split_quantity(text.substr(0, slash));
    if (!limit || !limit->unit.empty() || limit->number > kMaxLimit) return problem;

    auto period_text = text.substr(slash + 1);
    const auto period = split_quantity(period_text).value_or(Quantity{1, period_text});
    const auto factor = factor_of(period.unit, kPeriodUnits);
    if (!factor || period.number == 0 || period.number > kMaxPeriodSeconds / *factor) return problem;

    return Rate{static_cast<std::uint32_t>(limit->number), std::chrono::seconds(period.number * *factor)};
}

Result<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || problem != std::errc{} || end != text.data() + text.size())
        return Error{"expected a whole number"};
    return number;
}

std::string to_text(milliseconds duration) { return print_quantity(duration.count(), kDurationUnits, 5); }

std::string to_text(Size size) { return print_quantity(static_cast<std::int64_t>(size.bytes), kSizeUnits, 4); }

std::string to_text(Rate rate) {
    auto period = print_quantity(rate.period.count(), kPeriodUnits, 4);
    if (period.starts_with("1") && period.size() > 1 && period[1] >= 'a') period.erase(0, 1);
    else period += 's';
    return std::to_string(rate.limit) + '/' + period;
}

}  // namespace recto
