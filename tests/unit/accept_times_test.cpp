#define BOOST_TEST_MODULE accept_times
#include "throttle/accept_times.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace recto;
using namespace std::literals;

namespace {

constexpr std::uint64_t kDay = 86'400 * kTicksPerSecond;
constexpr std::uint64_t kStart = 1000 * kDay;
constexpr Representation kAll[] = {Representation::ring32, Representation::ring16, Representation::windows};

// One client's record, in memory that is dirty at first, as that of somebody who was forgotten.
class Record {
public:
    Record(Rate rate, Representation representation) : window(rate, representation), memory_(window.record_bytes() / 4 + 1, 0xAAAAAAAA) {}

    AcceptTimes times() { return {window, word_, reinterpret_cast<std::byte*>(memory_.data())}; }

    Window window;

private:
    std::atomic<std::uint64_t> word_{0};
    std::vector<std::uint32_t> memory_;
};

// The rule itself over what was accepted.
class Log {
public:
    explicit Log(Rate rate) : rate_(rate) {}

    std::uint64_t opens_at(std::uint64_t now, std::uint32_t cost) {
        while (!times_.empty() && times_.front() + period() <= now) times_.pop_front();
        const auto over = times_.size() + cost;
        return over <= rate_.limit ? now : times_[over - rate_.limit - 1] + period();
    }
    void push(std::uint64_t now, std::uint32_t cost) { times_.insert(times_.end(), cost, now); }
    const std::deque<std::uint64_t>& times() const { return times_; }
    std::uint64_t period() const { return ticks_of(rate_.period); }

private:
    Rate rate_;
    std::deque<std::uint64_t> times_;
};

std::uint64_t random_step(std::mt19937& random, std::uint64_t period) {
    switch (random() % 6) {
        case 0:
            return (std::uint64_t{random()} << 32 | random()) % (2 * period);
        case 1:
            return random() % (period / 8 + 1);
        case 2:
            return random() % 500 == 0 ? 60 * kDay : period / 120;
        default:
            return random() % 4;
    }
}

void compare_with_the_rule(Representation representation, Rate rate, unsigned seed, unsigned steps) {
    std::mt19937 random(seed);
    Record record(rate, representation);
    Log log(rate);
    auto now = kStart;
    for (unsigned step = 0; step < steps; ++step) {
        now += random_step(random, log.period());
        const auto cost = std::min<std::uint32_t>(rate.limit, random() % 4 == 0 ? 1 + random() % 3 : 1);
        const auto earliest = log.opens_at(now, cost);
        const auto opens = record.times().opens_at(now, cost);
        BOOST_REQUIRE_GE(opens, earliest);
        BOOST_REQUIRE_LE(opens, earliest + record.window.lateness());
        if (opens > now) {
            // When it says that it opens it does, and not a tick before.
            BOOST_REQUIRE_EQUAL(record.times().opens_at(opens, cost), opens);
            BOOST_REQUIRE_EQUAL(record.times().opens_at(opens - 1, cost), opens);
            continue;
        }
        record.times().push(now, cost);
        log.push(now, cost);
        BOOST_REQUIRE_GE(record.times().live(now), log.times().size());
        BOOST_REQUIRE_LE(record.times().live(now), rate.limit);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_representation_is_never_early_and_at_most_its_lateness_late) {
    const Rate kRates[] = {{1, 1s}, {5, 1s}, {3, 60s}, {7, 3600s}, {100, 86'400s}, {20, 366 * 86'400s}, {1, 3600s}};
    for (const auto representation : kAll)
        for (const auto& rate : kRates)
            for (unsigned seed = 1; seed <= 5; ++seed)
                BOOST_TEST_CONTEXT("representation " << int(representation) << ", " << to_text(rate) << ", seed " << seed)
    compare_with_the_rule(representation, rate, seed, 10'000);
}

BOOST_AUTO_TEST_CASE(lateness_and_memory_are_those_of_the_table_of_representations) {
    const Rate kHundred{100, 86'400s};
    BOOST_TEST(Window(kHundred, Representation::ring32).lateness() < kTicksPerSecond / 1024);
    BOOST_TEST(Window({5, 3600s}, Representation::ring32).lateness() == 0U);
    BOOST_TEST(Window(kHundred, Representation::ring32).record_bytes() == 404U);
    BOOST_TEST(Window(kHundred, Representation::ring16).lateness() <= 86'400 * kTicksPerSecond / 43'200);
    BOOST_TEST(Window(kHundred, Representation::ring16).record_bytes() == 204U);
    BOOST_TEST(Window(kHundred, Representation::windows).lateness() <= 86'400 * kTicksPerSecond / 120 + 120);
    BOOST_TEST(Window({60'000, 86'400s}, Representation::windows).record_bytes() == 244U);
    BOOST_TEST(Window({5, 1s}, Representation::ring16).lateness() < kTicksPerSecond / 24'576);
}

BOOST_AUTO_TEST_CASE(no_period_is_later_than_we_say_anywhere) {
    for (std::int64_t seconds = 1; seconds <= 366 * 86'400; seconds += 1 + seconds / 10'000) {
        const Rate rate{5, std::chrono::seconds(seconds)};
        const auto period = ticks_of(rate.period);
        BOOST_REQUIRE_LE(Window(rate, Representation::ring32).lateness() * (1 << 30), period);
        BOOST_REQUIRE_LE(Window(rate, Representation::ring16).lateness() * 12'000, period);
        BOOST_REQUIRE_LE(Window(rate, Representation::windows).lateness() * 116, period);
    }
}

BOOST_AUTO_TEST_CASE(what_is_taken_over_into_another_representation_is_never_early) {
    const Rate kRate{10, 3600s};
    for (const auto from : kAll)
        for (const auto to : kAll)
            for (unsigned seed = 1; seed <= 50; ++seed) {
                std::mt19937 random(seed);
                Record a(kRate, from);
                Record b(kRate, to);
                Log log(kRate);
                auto now = kStart;
                for (unsigned i = 0; i < 30; ++i) {
                    now += random() % (600 * kTicksPerSecond);
                    if (a.times().opens_at(now) > now) continue;
                    a.times().push(now);
                    log.push(now, 1);
                }
                b.times().assign(a.times().times());
                const auto earliest = log.opens_at(now, 1);
                BOOST_REQUIRE_GE(b.times().opens_at(now), earliest);
                BOOST_REQUIRE_LE(b.times().opens_at(now), earliest + a.window.lateness() + b.window.lateness());
            }
}

BOOST_AUTO_TEST_CASE(taking_over_into_the_same_representation_changes_nothing) {
    for (const auto representation : kAll) {
        Record a({10, 3600s}, representation);
        Record b({10, 3600s}, representation);
        for (std::uint64_t i = 0; i < 10; ++i) a.times().push(kStart + i * 100 * kTicksPerSecond);
        b.times().assign(a.times().times());
        BOOST_TEST((a.times().times() == b.times().times()));
        for (auto now = kStart; now < kStart + 5000 * kTicksPerSecond; now += 10 * kTicksPerSecond + 7)
            BOOST_REQUIRE_EQUAL(a.times().live(now), b.times().live(now));
    }
}

BOOST_AUTO_TEST_CASE(of_more_than_a_lowered_limit_the_newest_count) {
    for (const auto representation : kAll) {
        Record before({10, 60s}, representation);
        for (std::uint64_t i = 0; i < 10; ++i) before.times().push(kStart + i * kTicksPerSecond);
        Record after({3, 60s}, representation);
        after.times().assign(before.times().times());
        const auto now = kStart + 10 * kTicksPerSecond;
        const auto exact = kStart + 7 * kTicksPerSecond + 60 * kTicksPerSecond;  // the eighth of ten is the third youngest
        BOOST_TEST(after.times().live(now) == 3U);
        BOOST_TEST(after.times().opens_at(now) >= exact);
        BOOST_TEST(after.times().opens_at(now) <= exact + after.window.lateness() + before.window.lateness());
    }
}

BOOST_AUTO_TEST_CASE(the_oldest_that_counts_says_when_something_comes_back) {
    for (const auto representation : kAll) {
        Record record({3, 60s}, representation);
        BOOST_TEST(record.times().oldest_expiry(kStart) == kStart);
        record.times().push(kStart);
        record.times().push(kStart + 30 * kTicksPerSecond);
        const auto late = record.window.lateness();
        const auto first = kStart + 60 * kTicksPerSecond;
        BOOST_TEST(record.times().oldest_expiry(kStart + 40) >= first);
        BOOST_TEST(record.times().oldest_expiry(kStart + 40) <= first + late);
        BOOST_TEST(record.times().oldest_expiry(first + late) >= first + 30 * kTicksPerSecond);
        BOOST_TEST(record.times().oldest_expiry(first + 40 * kTicksPerSecond) == first + 40 * kTicksPerSecond);
    }
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_behind_never_makes_a_history_shorter) {
    for (const auto representation : kAll) {
        Record record({3, 60s}, representation);
        record.times().push(kStart + 1000 * kTicksPerSecond);
        record.times().push(kStart);
        record.times().push(kStart);
        BOOST_TEST(record.times().live(kStart) == 3U);
        BOOST_TEST(record.times().opens_at(kStart) >= kStart + 1060 * kTicksPerSecond);
    }
}
