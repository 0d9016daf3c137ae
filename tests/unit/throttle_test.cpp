#define BOOST_TEST_MODULE throttle
#include "throttle/throttle.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "tests/support/skip.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/throttles.hpp"
#include "throttle/layout.hpp"
#include "util/shared_file.hpp"

using namespace recto;
using namespace std::literals;

namespace {

// The rule, serial and slow.
class Model {
public:
    explicit Model(std::vector<ThrottlePolicy> policies) : policies_(std::move(policies)) {}

    // The tick from which on it would be accepted; records it when that is now.
    std::uint64_t check(const Scopes& scopes, bool is_user, int client, std::uint64_t now) {
        std::uint64_t opens = now;
        for (const auto scope : scopes)
            if (counts(scope, is_user)) opens = std::max(opens, opens_at(scope, log(scope, is_user, client, now), now));
        if (opens > now) return opens;
        for (const auto scope : std::set(scopes.begin(), scopes.end()))
            if (counts(scope, is_user)) log(scope, is_user, client, now).push_back(now);
        return now;
    }

    std::deque<std::uint64_t>& log(Throttle::Scope scope, bool is_user, int client, std::uint64_t now) {
        auto& times = logs_[{scope, is_user, client}];
        while (!times.empty() && times.front() + period(scope) <= now) times.pop_front();
        return times;
    }

    bool counts(Throttle::Scope scope, bool is_user) const { return !is_user || !policies_[scope].addresses_only; }

private:
    std::uint64_t period(Throttle::Scope scope) const { return static_cast<std::uint64_t>(policies_[scope].rate.period.count()) * kSecond; }
    std::uint64_t opens_at(Throttle::Scope scope, const std::deque<std::uint64_t>& times, std::uint64_t now) const {
        if (policies_[scope].rate.limit == 0) return now + period(scope);
        return times.size() < policies_[scope].rate.limit ? now : times.front() + period(scope);
    }

    std::vector<ThrottlePolicy> policies_;
    std::map<std::tuple<Throttle::Scope, bool, int>, std::deque<std::uint64_t>> logs_;
};

std::vector<ThrottlePolicy> random_policies(std::mt19937& random) {
    static constexpr std::chrono::seconds kPeriods[] = {1s, 3s, 60s, 3600s, 86'400s, 20 * 86'400s};
    std::vector<ThrottlePolicy> policies;
    for (const auto* name : {"anon", "user", "blog", "more"})
        policies.push_back(
            policy(name, random() % 20 == 0 ? 0 : 1 + random() % 12, kPeriods[random() % std::size(kPeriods)], random() % 3 == 0));
    return policies;
}

std::uint64_t random_step(std::mt19937& random) {
    switch (random() % 8) {
        case 0:
            return random() % (2 * kDay);
        case 1:
            return random() % (30 * kSecond) / kSecond * kSecond;
        case 2:
            return random() % 2000;
        case 3:
            return kSecond;
        default:
            return random() % 4;
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(the_rule)

BOOST_AUTO_TEST_CASE(the_request_after_the_limit_is_refused_and_told_when_to_come_back) {
    OneClock t({policy("user", 3, 1s)});
    BOOST_TEST(t.accepted_of(3) == 3U);
    const auto verdict = t.throttle.check(kFirst, kSomeone);
    BOOST_CHECK(verdict.outcome == Outcome::refused);
    BOOST_TEST(verdict.retry_after.count() == 1);
    BOOST_TEST(verdict.scope == 0U);
}

BOOST_AUTO_TEST_CASE(a_request_is_free_again_exactly_one_period_later) {
    for (const auto& rate : {Rate{1, 1s}, Rate{5, 1s}, Rate{1, 3600s}, Rate{100, 86'400s}, Rate{1000, 86'400s}, Rate{3, 24 * 86'400s}})
        BOOST_TEST_CONTEXT(to_text(rate)) {
            OneClock t({policy("user", rate.limit, rate.period)});
            BOOST_TEST(t.accepted_of(rate.limit + 5) == rate.limit);
            t.clock.tick += static_cast<std::uint64_t>(rate.period.count()) * kSecond - 1;
            BOOST_TEST(!t.accepts());
            t.clock.tick += 1;
            BOOST_TEST(t.accepted_of(rate.limit + 5) == rate.limit);
        }
}

BOOST_AUTO_TEST_CASE(a_full_window_frees_its_oldest_request_first) {
    OneClock t({policy("user", 2, 10s)});
    BOOST_TEST(t.accepts());
    t.clock.tick += 4 * kSecond;
    BOOST_TEST(t.accepts());
    BOOST_TEST(t.throttle.check(kFirst, kSomeone).retry_after.count() == 6);
    t.clock.tick += 6 * kSecond;
    BOOST_TEST(t.accepts());
    BOOST_TEST(t.throttle.check(kFirst, kSomeone).retry_after.count() == 4);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_second_is_rounded_up) {
    OneClock t({policy("user", 1, 60s)});
    BOOST_TEST(t.accepts());
    const std::pair<std::uint64_t, int> cases[] = {{0, 60}, {1, 60}, {kSecond - 1, 60}, {kSecond, 59}, {60 * kSecond - 1, 1}};
    const auto start = t.clock.tick;
    for (const auto& [later, seconds] : cases) BOOST_TEST_CONTEXT(later) {
            t.clock.tick = start + later;
            BOOST_TEST(t.throttle.check(kFirst, kSomeone).retry_after.count() == seconds);
        }
}

BOOST_AUTO_TEST_CASE(a_refusal_is_not_counted_and_extends_nothing) {
    OneClock t({policy("user", 2, 10s)});
    BOOST_TEST(t.accepted_of(2) == 2U);
    for (int i = 0; i < 9; ++i) {
        t.clock.tick += kSecond;
        BOOST_TEST(!t.accepts());
    }
    t.clock.tick += kSecond;
    BOOST_TEST(t.accepted_of(5) == 2U);
}

BOOST_AUTO_TEST_CASE(a_limit_of_zero_refuses_always_for_a_period) {
    OneClock t({policy("closed", 0, 86'400s)});
    for (int i = 0; i < 3; ++i) {
        const auto verdict = t.throttle.check(kFirst, kSomeone);
        BOOST_CHECK(verdict.outcome == Outcome::refused);
        BOOST_TEST(verdict.retry_after.count() == 86'400);
        t.clock.tick += kDay;
    }
    BOOST_TEST(t.throttle.usage(kSomeone).at(0).retry_after.count() == 86'400);
}

BOOST_AUTO_TEST_CASE(no_scope_at_all_accepts_always) {
    OneClock t({policy("user", 1, 60s)});
    for (int i = 0; i < 3; ++i) BOOST_TEST(t.accepts(kSomeone, {}));
}

BOOST_AUTO_TEST_CASE(a_scope_for_the_anonymous_neither_counts_nor_refuses_a_user) {
    OneClock t({policy("anon", 1, 60s, true)});
    BOOST_TEST(t.accepted_of(3, kSomeone) == 1U);
    BOOST_TEST(t.accepted_of(3, user(7)) == 3U);
    BOOST_TEST(t.throttle.usage(user(7)).empty());
}

BOOST_AUTO_TEST_CASE(scopes_and_clients_have_counters_of_their_own) {
    OneClock t({policy("blog_limit", 1, 60s), policy("blog_2_limit", 1, 60s)});
    for (const auto& client : {at("192.0.2.1"), at("192.0.2.2"), user(1), user(2)})
        for (const auto& scopes : {Scopes{0}, Scopes{1}}) {
            BOOST_TEST(t.accepts(client, scopes));
            BOOST_TEST(!t.accepts(client, scopes));
        }
}

BOOST_AUTO_TEST_CASE(a_refused_request_costs_nothing_in_the_other_scopes) {
    OneClock t({policy("minute", 2, 60s), policy("day", 5, 86'400s)});
    for (int i = 0; i < 7; ++i) t.accepts(kSomeone, {0, 1});
    BOOST_TEST(t.throttle.usage(kSomeone).at(0).used == 2U);
    BOOST_TEST(t.throttle.usage(kSomeone).at(1).used == 2U);
}

BOOST_AUTO_TEST_CASE(several_refusals_answer_with_the_longest_wait) {
    OneClock t({policy("short", 1, 10s), policy("long", 1, 100s), policy("middle", 1, 50s)});
    BOOST_TEST(t.accepts(kSomeone, {0, 1, 2}));
    const auto verdict = t.throttle.check(Scopes{0, 1, 2}, kSomeone);
    BOOST_TEST(verdict.retry_after.count() == 100);
    BOOST_TEST(verdict.scope == 1U);
}

BOOST_AUTO_TEST_CASE(a_scope_named_twice_counts_once) {
    OneClock t({policy("user", 2, 60s)});
    BOOST_TEST(t.accepts(kSomeone, {0, 0}));
    BOOST_TEST(t.used() == 1U);
}

BOOST_AUTO_TEST_CASE(a_scope_is_found_by_its_name) {
    OneClock t({policy("anon", 1, 60s), policy("user", 1, 60s)});
    BOOST_TEST(t.throttle.find("user").value() == 1U);
    BOOST_TEST(!t.throttle.find("use"));
}

BOOST_AUTO_TEST_CASE(it_agrees_with_the_serial_model_at_every_step) {
    std::mt19937 random(2024);
    for (int round = 0; round < 100; ++round) {
        BOOST_TEST_CONTEXT("round " << round) {
            OneClock t(random_policies(random), 256, 256);
            t.clock.tick = (1ULL << 32) * (round % 3) + (round % 2 ? 0 : (1ULL << 32) - 5 * kDay) + 1;
            Model model(t.options.policies);
            std::map<std::tuple<Throttle::Scope, bool, int>, std::vector<std::uint64_t>> accepts;
            for (int step = 0; step < 10'000; ++step) {
                t.clock.tick += random_step(random);
                const bool is_user = random() % 2 == 0;
                const int id = static_cast<int>(random() % 4);
                const auto address = address_number(static_cast<unsigned>(id));
                const auto client = is_user ? user(id) : at(address);
                Scopes scopes = {0, 1, 2, 3};
                std::ranges::shuffle(scopes, random);
                scopes.resize(1 + random() % 4);

                const auto opens = model.check(scopes, is_user, id, t.clock.tick);
                const auto verdict = t.throttle.check(scopes, client);
                BOOST_REQUIRE((verdict.outcome == Outcome::accepted) == (opens == t.clock.tick));
                BOOST_REQUIRE_EQUAL(verdict.retry_after.count(), (opens - t.clock.tick + kSecond - 1) / kSecond);
                if (verdict.outcome == Outcome::accepted)
                    for (const auto scope : scopes)
                        if (model.counts(scope, is_user)) accepts[{scope, is_user, id}].push_back(t.clock.tick);
                if (step % 16 != 0) continue;
                for (const auto& usage : t.throttle.usage(client))
                    BOOST_REQUIRE_EQUAL(usage.used, model.log(*t.throttle.find(usage.scope), is_user, id, t.clock.tick).size());
            }
            for (const auto& [key, times] : accepts) require_the_invariant(times, t.options.policies[std::get<0>(key)].rate);
        }
    }
}

BOOST_AUTO_TEST_CASE(who_obeys_retry_after_is_accepted_and_who_comes_a_second_early_is_not) {
    std::mt19937 random(7);
    for (int round = 0; round < 40; ++round) {
        auto policies = random_policies(random);
        policies.resize(1 + random() % 4);
        OneClock t(policies);
        Scopes all(policies.size());
        std::iota(all.begin(), all.end(), Throttle::Scope{0});
        t.clock.tick += random() % kDay;
        const bool hopeless = std::ranges::any_of(t.options.policies, [](const auto& p) { return p.rate.limit == 0; });
        for (int step = 0; !hopeless && step < 300; ++step) {
            t.clock.tick += random_step(random) % 5000;
            const auto verdict = t.throttle.check(all, kSomeone);
            if (verdict.outcome == Outcome::accepted) continue;
            const auto wait = static_cast<std::uint64_t>(verdict.retry_after.count()) * kSecond;
            BOOST_REQUIRE_GE(wait, kSecond);
            if (wait > kSecond) {
                t.clock.tick += wait - kSecond;
                BOOST_REQUIRE(!t.accepts(kSomeone, all));
                t.clock.tick += kSecond;
            } else {
                t.clock.tick += wait;
            }
            BOOST_REQUIRE(t.accepts(kSomeone, all));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_clock)

BOOST_AUTO_TEST_CASE(ticks_may_wrap_around_32_bits) {
    constexpr auto kWrap = (1ULL << 32) * kSecond / kTicksPerSecond;
    for (const auto start : {kWrap - 512, kWrap - kSecond, 2 * kWrap - 1, (1ULL << 14) * kWrap - 300}) BOOST_TEST_CONTEXT(start) {
            OneClock t({policy("user", 3, 1s)});
            t.clock.tick = start;
            std::vector<std::uint64_t> accepts;
            for (int i = 0; i < 4000; ++i, ++t.clock.tick)
                if (t.accepts()) accepts.push_back(t.clock.tick);
            require_the_invariant(accepts, {3, 1s});
            BOOST_TEST(accepts.size() == 12U);
        }
}

BOOST_AUTO_TEST_CASE(who_was_idle_for_as_long_as_ticks_need_to_wrap_is_free) {
    for (const auto period : {1s, 3600s, 86'400s, 24 * 86'400s})
        for (const auto wrap : {1ULL << 24, 1ULL << 28, 1ULL << 32, 3 * (1ULL << 32)})
            for (const auto idle : {wrap - 5, wrap, wrap + 10, wrap / 2 + 1}) BOOST_TEST_CONTEXT(period.count() << " s, " << idle) {
                    if (idle < static_cast<std::uint64_t>(period.count()) * kSecond) continue;
                    OneClock t({policy("user", 2, period)});
                    BOOST_TEST(t.accepted_of(3) == 2U);
                    t.clock.tick += idle;
                    BOOST_TEST(t.used() == 0U);
                    BOOST_TEST(t.accepted_of(3) == 2U);
                }
}

BOOST_AUTO_TEST_CASE(one_request_a_day_for_a_year_never_reaches_a_hundred_a_day) {
    OneClock t({policy("user", 100, 86'400s)});
    for (int day = 0; day < 365; ++day, t.clock.tick += kDay) {
        BOOST_REQUIRE(t.accepts());
        BOOST_REQUIRE_EQUAL(t.used(), 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_period_of_a_year_is_never_short_and_a_tick_of_it_long) {
    OneClock t({policy("user", 2, 366 * 86'400s)});
    t.clock.tick += 7;
    const auto start = t.clock.tick;
    BOOST_TEST(t.accepted_of(3) == 2U);
    t.clock.tick = start + 366 * kDay - 1;
    BOOST_TEST(!t.accepts());
    BOOST_TEST(t.throttle.check(kFirst, kSomeone).retry_after.count() == 1);
    t.clock.tick = start + 366 * kDay + 16;
    BOOST_TEST(t.accepted_of(3) == 2U);
}

namespace {

// Goes on within its ticks, as real ones do.
struct Nanoseconds : TickSource {
    std::uint64_t time = 86'400'000'000'000 + 7;

    [[nodiscard]] std::uint64_t now() const override {
        return time / 1'000'000'000 * kTicksPerSecond + time % 1'000'000'000 * kTicksPerSecond / 1'000'000'000;
    }
    [[nodiscard]] std::uint64_t end_of(std::uint64_t now) const override { return now + 1; }
};

}  // namespace

BOOST_AUTO_TEST_CASE(between_two_ticks_nobody_is_accepted_a_nanosecond_early) {
    using enum Representation;
    constexpr std::uint64_t kJourney = 4'000;  // of an answer; a tick has 3,815 nanoseconds
    std::mt19937_64 random(11);
    for (const auto representation : {ring32, ring16, windows}) BOOST_TEST_CONTEXT(int(representation)) {
            Table table({policy("user", 2, 1s)});
            table.options.policies[0].representation = representation;
            const auto late = static_cast<std::uint64_t>(lateness_of(table.options.policies[0]).count()) * 1'000'000;
            Nanoseconds clock;
            auto throttle = table.open(clock);
            std::vector<std::uint64_t> accepts;
            for (int step = 0; step < 50'000; ++step) {
                clock.time += random() % (random() % 4 == 0 ? 400'000'000 : 3'000);
                const auto verdict = throttle.check(kFirst, kSomeone, {.cost = 1, .tell_quotas = true});
                if (representation == ring32) BOOST_REQUIRE_EQUAL(verdict.quotas.at(0).more_in.count(), 1);
                if (verdict.outcome == Outcome::refused) {
                    BOOST_REQUIRE_LT(clock.time, accepts[accepts.size() - 2] + 1'000'000'000 + late);
                    if (random() % 10 != 0) continue;
                    clock.time += static_cast<std::uint64_t>(verdict.retry_after.count()) * 1'000'000'000 + kJourney;
                    BOOST_REQUIRE((throttle.check(kFirst, kSomeone).outcome == Outcome::accepted));
                }
                accepts.push_back(clock.time);
            }
            for (std::size_t i = 2; i < accepts.size(); ++i) BOOST_REQUIRE_GE(accepts[i] - accepts[i - 2], 1'000'000'000U);
        }
}

BOOST_AUTO_TEST_CASE(nobody_is_told_to_wait_for_longer_than_the_period) {
    std::mt19937_64 random(5);
    for (const auto period : {1s, 60s, 3600s, 86'400s, 30 * 86'400s}) BOOST_TEST_CONTEXT(period.count()) {
            const Table table({policy("user", 1, period)}, 4096);
            Nanoseconds clock;
            auto throttle = table.open(clock);
            for (unsigned i = 0; i < 500; ++i) {
                clock.time += random() % 1'000'000;
                const auto address = address_number(i);
                const auto accepted = throttle.check(kFirst, at(address), {.cost = 1, .tell_quotas = true});
                BOOST_REQUIRE_EQUAL(accepted.quotas.at(0).more_in.count(), period.count());
                BOOST_REQUIRE_EQUAL(throttle.check(kFirst, at(address)).retry_after.count(), period.count());
                BOOST_REQUIRE_EQUAL(throttle.usage(at(address)).at(0).retry_after.count(), period.count());
            }
        }
}

// In a time namespace of its own CLOCK_BOOTTIME differs from CLOCK_MONOTONIC and the clocks that run with it, as after a suspend;
// everywhere it differs from the clocks that can be set.
BOOST_AUTO_TEST_CASE(the_clock_of_the_machine_is_the_one_that_nobody_sets) {
    constexpr auto kSuspended = 1'000'000.0;
    const auto read = [](clockid_t id) {
        timespec time{};
        ::clock_gettime(id, &time);
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
    };
    const auto child = in_child([&] {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWTIME) != 0) ::_exit(77);
        std::ofstream offsets("/proc/self/timens_offsets");
        if (!(offsets << "boottime 1000000 0" << std::flush)) ::_exit(77);
        if (!ended_well(in_child([&] {
                constexpr auto kPast = 2 * 366 * 86'400.0;
                const auto before = read(CLOCK_BOOTTIME);
                const auto now = static_cast<double>(boot_ticks().now()) / static_cast<double>(kTicksPerSecond) - kPast;
                const auto after = read(CLOCK_BOOTTIME);
                if (after - read(CLOCK_MONOTONIC) < kSuspended - 1) ::_exit(77);
                if (now < before - 0.001 || now > after + 0.001) throw 1;
            })))
            throw 1;
    });
    const auto status = wait_for(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return skip("there are no time namespaces here");
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_behind_gives_nobody_a_request_more) {
    OneClock t({policy("user", 4, 10s)});
    BOOST_TEST(t.accepted_of(2) == 2U);
    t.clock.tick -= 5 * kSecond;
    BOOST_TEST(t.accepted_of(5) == 2U);
    t.clock.tick += 5 * kSecond + 10 * kSecond - 1;
    BOOST_TEST(t.accepted_of(5) == 0U);
    t.clock.tick += 1;
    BOOST_TEST(t.accepted_of(5) == 4U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(identity)

BOOST_AUTO_TEST_CASE(spellings_of_one_client_share_a_counter) {
    const std::pair<const char*, const char*> same[] = {{"192.0.2.1", "192.0.2.1:8080"},      {"192.0.2.1", "::ffff:192.0.2.1"},
                                                        {"192.0.2.1", "::FFFF:c000:201"},     {"192.0.2.1", "[::ffff:192.0.2.1]:80"},
                                                        {"2001:db8::1", "2001:DB8::1"},       {"2001:db8::1", "2001:db8:0:0:ffff::2"},
                                                        {"2001:db8::1", "[2001:db8::1]:443"}, {"2001:db8::1", "[2001:db8::1]"},
                                                        {"fe80::1", "fe80::1%eth0"},          {"unix:", "unix:"}};
    for (const auto& [one, other] : same) BOOST_TEST_CONTEXT(one << " " << other) {
            OneClock t({policy("user", 1, 60s)});
            BOOST_TEST(t.accepts(at(one)));
            BOOST_TEST(!t.accepts(at(other)));
        }
}

BOOST_AUTO_TEST_CASE(different_clients_never_share_a_counter) {
    const std::string endless(10'000, 'x');
    const std::string_view different[] = {"192.0.2.1"sv,     "192.0.2.2"sv,
                                          "2001:db8::1"sv,   "2001:db8:0:1::1"sv,
                                          "::192.0.2.1"sv,   "1"sv,
                                          "unix:"sv,         ""sv,
                                          "unknown"sv,       "192.0.2.1.5"sv,
                                          "192.0.2.01"sv,    "192.0.2.1x"sv,
                                          endless,           "192.0.2.1\0"sv,
                                          "[::1"sv,          "a, 192.0.2.1"sv,
                                          "192.0.2.1:1:2"sv, "%"sv};
    OneClock t({policy("user", 1, 60s)}, 1024);
    for (const auto& address : different) BOOST_TEST_CONTEXT(address.substr(0, 20)) BOOST_TEST(t.accepts(at(address)));
    for (const std::int64_t id : {0, 1, 42, -1}) BOOST_TEST_CONTEXT(id) BOOST_TEST(t.accepts(user(id)));
    BOOST_TEST(!t.accepts(at("1")));
    BOOST_TEST(!t.accepts(user(1)));
}

// Whoever knows all but the secret picks addresses that would share a set with his victim; in the table they are spread like any others.
BOOST_AUTO_TEST_CASE(nobody_can_choose_the_set_he_comes_into) {
    ThrottleOptions options;
    options.clients = 256;
    const auto population = Layout(options).addresses;
    const auto set_of = [&](const std::string& address, const SipKey& secret) {
        const auto hash = std::bit_cast<std::array<std::uint64_t, 2>>(sip_hash(ClientKey(at(address)).bytes(), secret));
        return place_of(hash[0], false, population).sets[0];
    };
    SipKey guessed{}, actual{};
    random_bytes(guessed);
    random_bytes(actual);
    constexpr unsigned kChosen = 4000;
    std::vector<unsigned> in_set(population.sets());
    for (unsigned chosen = 0, i = 0; chosen < kChosen; ++i) {
        if (set_of(address_number(i), guessed) != 7) continue;
        ++in_set.at(set_of(address_number(i), actual));
        ++chosen;
    }
    const auto expected = static_cast<double>(kChosen) / static_cast<double>(in_set.size());
    double chi_square = 0;
    for (const auto count : in_set) chi_square += (count - expected) * (count - expected) / expected;
    const auto freedom = static_cast<double>(in_set.size() - 1);
    BOOST_TEST(chi_square < freedom + 6 * std::sqrt(2 * freedom));  // six standard deviations
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_full_table)

BOOST_AUTO_TEST_CASE(a_flood_of_addresses_frees_nobody_who_is_at_its_limit) {
    OneClock t({policy("user", 20, 3600s)}, 64);
    BOOST_TEST(t.accepted_of(25) == 20U);
    for (unsigned i = 0; i < 20'000; ++i) {
        BOOST_REQUIRE(t.accepts(at(address_number(i))));
        if (i % 50 == 0) BOOST_REQUIRE(!t.accepts());
    }
    BOOST_TEST(t.throttle.counters().evicted_live_requests > 19'000U);
}

BOOST_AUTO_TEST_CASE(what_a_flood_gives_back_is_never_more_than_what_was_counted_as_evicted) {
    std::mt19937 random(3);
    for (const unsigned kept : {1U, 10U, 19U}) BOOST_TEST_CONTEXT(kept) {
            OneClock t({policy("user", 20, 3600s)}, 64);
            unsigned admitted = 0;
            for (unsigned round = 0; round < 20; ++round) {
                admitted += t.accepted_of(kept);
                for (unsigned i = 0; i < 80; ++i) static_cast<void>(t.accepts(at(address_number(static_cast<unsigned>(random())))));
            }
            admitted += t.accepted_of(25);
            BOOST_TEST(admitted <= 20 + t.throttle.counters().evicted_live_requests);
            if (kept > 1) BOOST_TEST(admitted == 20U);
        }
}

BOOST_AUTO_TEST_CASE(a_newcomer_to_a_table_full_of_exhausted_clients_waits_for_the_first_of_them) {
    OneClock t({policy("user", 2, 60s)}, 8);
    unsigned next = 0;
    for (; t.accepts(at(address_number(next))); ++next, t.clock.tick += 1) BOOST_REQUIRE(t.accepts(at(address_number(next))));
    BOOST_TEST(next >= 8U);
    const auto newcomer = address_number(next);
    const auto verdict = t.throttle.check(kFirst, at(newcomer));
    BOOST_CHECK(verdict.outcome == Outcome::refused);
    for (unsigned i = 0; i < next; ++i) BOOST_REQUIRE(!t.accepts(at(address_number(i))));
    t.clock.tick += static_cast<std::uint64_t>(verdict.retry_after.count()) * kSecond;
    BOOST_TEST(t.accepts(at(newcomer)));
}

BOOST_AUTO_TEST_CASE(a_flood_of_addresses_takes_nothing_from_users) {
    OneClock t({policy("user", 3, 3600s)}, 64, 64);
    for (std::int64_t id = 0; id < 40; ++id) BOOST_REQUIRE(t.accepts(user(id)));
    constexpr unsigned kAddresses = kSanitized ? 50'000 : 1'000'000;
    for (unsigned i = 0; i < kAddresses; ++i) static_cast<void>(t.accepts(at(address_number(i))));
    for (std::int64_t id = 0; id < 40; ++id) BOOST_TEST(t.used(user(id)) == 1U);
}

BOOST_AUTO_TEST_CASE(it_holds_as_many_clients_as_it_was_made_for) {
    for (const unsigned clients : {100U, 1000U, 4096U}) BOOST_TEST_CONTEXT(clients) {
            OneClock t({policy("user", 3, 3600s)}, clients);
            for (unsigned i = 0; i < clients; ++i) BOOST_REQUIRE(t.accepts(at(address_number(i * 7919))));
            BOOST_TEST(t.throttle.counters().evicted_live_requests <= clients / 200);
        }
}

BOOST_AUTO_TEST_CASE(places_of_expired_records_are_used_again_without_a_loss) {
    OneClock t({policy("user", 3, 60s)}, 64);
    for (unsigned i = 0; i < 50'000; ++i, t.clock.tick += 2 * kSecond) BOOST_REQUIRE(t.accepts(at(address_number(i))));
    BOOST_TEST(t.throttle.counters().evicted_live_requests == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_operator)

BOOST_AUTO_TEST_CASE(usage_tells_without_counting) {
    OneClock t({policy("anon", 2, 60s, true), policy("user", 5, 3600s)});
    for (int i = 0; i < 3; ++i) t.accepts(kSomeone, {0, 1});
    for (int i = 0; i < 2; ++i) {
        const auto usage = t.throttle.usage(kSomeone);
        BOOST_REQUIRE(usage.size() == 2U);
        BOOST_TEST(usage[0].scope == "anon");
        BOOST_TEST(usage[0].used == 2U);
        BOOST_TEST(usage[0].retry_after.count() == 60);
        BOOST_TEST(usage[1].used == 2U);
        BOOST_TEST(usage[1].retry_after.count() == 0);
        BOOST_CHECK((usage[1].rate == Rate{5, 3600s}));
    }
    BOOST_TEST(t.throttle.usage(at("192.0.2.99")).at(0).used == 0U);
}

BOOST_AUTO_TEST_CASE(the_fullest_records_come_first_in_each_scope) {
    OneClock t({policy("one", 9, 60s), policy("two", 9, 60s)}, 1024, 1024);
    const auto use = [&](const Client& client, const Scopes& scopes, int times) {
        while (times-- > 0) t.accepts(client, scopes);
    };
    use(at("192.0.2.1"), {0}, 3);
    use(at("192.0.2.2"), {0}, 7);
    use(user(1), {0, 1}, 5);
    const auto records = t.throttle.fullest(2);
    BOOST_REQUIRE(records.size() == 3U);
    BOOST_TEST((records[0].scope == "one" && records[0].used == 7U && !records[0].is_user && records[0].limit == 9U));
    BOOST_TEST((records[1].scope == "one" && records[1].used == 5U && records[1].is_user));
    BOOST_TEST((records[2].scope == "two" && records[2].used == 5U));
    t.clock.tick += 60 * kSecond;
    BOOST_TEST(t.throttle.fullest(2).empty());
}

BOOST_AUTO_TEST_CASE(a_client_or_a_scope_can_be_reset) {
    OneClock t({policy("one", 1, 60s), policy("two", 1, 60s)});
    for (const auto& client : {kSomeone, user(1)}) t.accepts(client, {0, 1});
    t.throttle.reset(kSomeone);
    BOOST_TEST(t.accepts(kSomeone, {0, 1}));
    BOOST_TEST(!t.accepts(user(1), {0}));
    t.throttle.reset(Throttle::Scope{0});
    for (const auto& client : {kSomeone, user(1)}) {
        BOOST_TEST(t.accepts(client, {0}));
        BOOST_TEST(!t.accepts(client, {1}));
    }
}

BOOST_AUTO_TEST_CASE(counters_add_up) {
    OneClock t({policy("user", 3, 60s)});
    t.accepted_of(10);
    BOOST_TEST(t.throttle.counters().accepted == 3U);
    BOOST_TEST(t.throttle.counters().refused == 7U);
    BOOST_TEST(t.throttle.counters().stalls == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(processes)

BOOST_AUTO_TEST_CASE(sixteen_processes_on_one_client_get_exactly_the_limit) {
    const Table t({policy("user", 100, 86'400s), policy("other", 1000, 86'400s)});
    auto* const accepted = shared_memory<std::atomic<unsigned>>();
    auto* const start = shared_memory<std::atomic<bool>>();
    std::vector<pid_t> children;
    for (int i = 0; i < 16; ++i)
        children.push_back(in_child([&] {
            auto throttle = t.open(boot_ticks());
            while (!*start) std::this_thread::yield();
            for (int n = 0; n < 2000; ++n) *accepted += check_until_answered(throttle, {0, 1}, kSomeone) == Outcome::accepted;
        }));
    *start = true;
    for (const auto child : children) BOOST_TEST(ended_well(child));
    BOOST_TEST(accepted->load() == 100U);
    BOOST_TEST(t.open(boot_ticks()).usage(kSomeone).at(1).used == 100U);
}

BOOST_AUTO_TEST_CASE(eight_processes_on_a_thousand_clients_get_exactly_the_limit_of_each) {
    constexpr unsigned kClients = 1000;
    const Table t({policy("user", 5, 86'400s)}, 4096);
    auto* const accepted = shared_memory<std::atomic<unsigned>>(kClients);
    std::vector<pid_t> children;
    for (unsigned i = 0; i < 8; ++i)
        children.push_back(in_child([&, i] {
            auto throttle = t.open(boot_ticks());
            std::mt19937 random(i);
            for (int n = 0; n < 20'000; ++n) {
                const auto id = static_cast<unsigned>(random() % kClients);
                accepted[id] += check_until_answered(throttle, kFirst, at(address_number(id))) == Outcome::accepted;
            }
        }));
    for (const auto child : children) BOOST_TEST(ended_well(child));
    BOOST_TEST(std::all_of(accepted, accepted + kClients, [](const auto& count) { return count == 5; }));
}

BOOST_AUTO_TEST_CASE(threads_of_one_process_get_exactly_the_limit) {
    const Table t({policy("user", 500, 86'400s)});
    auto throttle = t.open(boot_ticks());
    std::atomic<unsigned> accepted = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 1000; ++n) {
                accepted += check_until_answered(throttle, kFirst, kSomeone) == Outcome::accepted;
                if (n % 100 == 0)
                    static_cast<void>(throttle.usage(kSomeone)), static_cast<void>(throttle.fullest(1)),
                        static_cast<void>(throttle.counters());
            }
        });
    for (auto& thread : threads) thread.join();
    BOOST_TEST(accepted == 500U);
}

// While one client is accepted whenever a time of its ring expires, most of its requests are refused without the lock.
BOOST_AUTO_TEST_CASE(what_is_refused_without_the_lock_was_at_the_limit) {
    constexpr std::uint32_t kLimit = 50;
    Table t({policy("user", kLimit, 1s), policy("narrow", kLimit, 1s)});
    t.options.policies[1].representation = Representation::ring16;
    auto throttle = t.open(boot_ticks());
    std::mutex mutex;
    std::vector<std::uint64_t> accepts[2];
    std::uint64_t asked = 0;
    std::vector<std::thread> threads;
    for (Throttle::Scope scope = 0; scope < 4; ++scope)
        threads.emplace_back([&, scope = scope % 2] {
            std::vector<std::uint64_t> own;
            std::uint64_t count = 0;
            const auto end = boot_ticks().now() + 3 * kTicksPerSecond;
            for (auto before = boot_ticks().now(); before < end; before = boot_ticks().now(), ++count)
                if (check_until_answered(throttle, {scope}, kSomeone) == Outcome::accepted) own.push_back(boot_ticks().now());
            const std::lock_guard lock(mutex);
            asked += count;
            accepts[scope].insert(accepts[scope].end(), own.begin(), own.end());
        });
    for (auto& thread : threads) thread.join();
    for (auto& times : accepts) {
        BOOST_TEST(times.size() >= 3 * kLimit);  // nobody is refused whose time has come
        BOOST_TEST(times.size() <= 3 * kLimit + kLimit);
    }
    const auto counters = throttle.counters();
    BOOST_TEST(counters.accepted == accepts[0].size() + accepts[1].size());
    BOOST_TEST(counters.accepted + counters.refused == asked);
    std::uint64_t told = 0;
    for (const auto& refusals : throttle.refusals()) told += refusals.count;
    BOOST_TEST(told == counters.refused);
}

BOOST_AUTO_TEST_CASE(processes_that_open_it_at_once_share_one_table) {
    constexpr int kRaces = kSanitized ? 50 : 1000;
    constexpr int kOpeners = 2;
    for (int round = 0; round < kRaces; ++round) {
        const Table t({policy("user", 1, 86'400s)});
        auto* const accepted = shared_memory<std::atomic<unsigned>>();
        auto* const ready = shared_memory<std::atomic<int>>();
        std::vector<pid_t> children;
        for (int i = 0; i < kOpeners; ++i)
            children.push_back(in_child([&] {
                ++*ready;
                while (*ready < kOpeners) std::this_thread::yield();
                auto throttle = t.open(boot_ticks());
                *accepted += check_until_answered(throttle, kFirst, kSomeone) == Outcome::accepted;
            }));
        for (const auto child : children) BOOST_REQUIRE(ended_well(child));
        BOOST_REQUIRE_EQUAL(accepted->load(), 1U);
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(t.options.folder)) names.insert(entry.path().filename());
        BOOST_TEST((names == std::set<std::string>{"beats-1", "throttle", "throttle.lock"}));
    }
}

BOOST_AUTO_TEST_CASE(the_counts_outlive_all_processes) {
    const Table t({policy("user", 3, 86'400s)});
    for (int i = 0; i < 5; ++i)
        BOOST_TEST(ended_well(in_child([&] {
            auto throttle = t.open(boot_ticks());
            const bool accepted = throttle.check(kFirst, kSomeone).outcome == Outcome::accepted;
            if (accepted != (i < 3)) throw i;
        })));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(what_else_a_policy_says)

BOOST_AUTO_TEST_CASE(a_cost_counts_that_often_or_not_at_all) {
    OneClock t({policy("user", 10, 60s)});
    const auto asked = [&](std::uint32_t cost) { return t.throttle.check(kFirst, kSomeone, {.cost = cost}); };
    BOOST_CHECK(asked(4).outcome == Outcome::accepted);
    t.clock.tick += 10 * kSecond;
    BOOST_CHECK(asked(4).outcome == Outcome::accepted);
    const auto refused = asked(4);
    BOOST_CHECK(refused.outcome == Outcome::refused);
    BOOST_TEST(refused.retry_after == 50s);
    BOOST_CHECK(asked(2).outcome == Outcome::accepted);
    BOOST_TEST(t.used() == 10U);
    BOOST_CHECK(asked(11).outcome == Outcome::refused);
    BOOST_TEST(asked(11).retry_after == 60s);
}

BOOST_AUTO_TEST_CASE(a_dry_run_accepts_and_tells_what_it_would_have_refused) {
    Table table({policy("user", 1, 60s), policy("other", 5, 60s)});
    table.options.policies[0].dry_run = true;
    FakeTicks clock;
    auto throttle = table.open(clock);
    for (int i = 0; i < 3; ++i) BOOST_CHECK(throttle.check(Scopes{0, 1}, kSomeone).outcome == Outcome::accepted);
    BOOST_TEST(throttle.counters().would_refuse == 2U);
    BOOST_TEST(throttle.counters().refused == 0U);
    BOOST_TEST(throttle.usage(kSomeone).at(1).used == 3U);
    const auto refusals = throttle.refusals();
    BOOST_REQUIRE_EQUAL(refusals.size(), 1U);
    BOOST_TEST(refusals[0].dry_run);
    BOOST_TEST(refusals[0].count == 2U);
}

BOOST_AUTO_TEST_CASE(looking_counts_nothing_but_a_refusal) {
    OneClock t({policy("user", 1, 60s)});
    for (int i = 0; i < 3; ++i) BOOST_CHECK(t.throttle.look(kFirst, kSomeone).outcome == Outcome::accepted);
    BOOST_TEST(t.throttle.counters().accepted == 0U);
    BOOST_TEST(t.accepts());
    BOOST_CHECK(t.throttle.look(kFirst, kSomeone).outcome == Outcome::refused);
    BOOST_TEST(t.throttle.counters().refused == 1U);
}

BOOST_AUTO_TEST_CASE(quotas_tell_what_is_left_and_when_more_comes) {
    OneClock t({policy("user", 3, 60s), policy("anon", 5, 3600s, true)});
    const auto both = [&](const Client& client) { return t.throttle.check(Scopes{0, 1}, client, {.cost = 1, .tell_quotas = true}).quotas; };
    BOOST_TEST(both(kSomeone).size() == 2U);
    t.clock.tick += 20 * kSecond;
    const auto quotas = both(kSomeone);
    BOOST_REQUIRE_EQUAL(quotas.size(), 2U);
    BOOST_TEST((quotas[0].scope == 0U && quotas[0].remaining == 1U && quotas[0].more_in == 40s));
    BOOST_TEST((quotas[1].scope == 1U && quotas[1].remaining == 3U && quotas[1].more_in == 3580s));
    BOOST_TEST(both(user(3)).size() == 1U);
    BOOST_TEST(t.throttle.check(Scopes{0, 1}, kSomeone).quotas.empty());
    const auto refused = t.throttle.check(Scopes{0, 1}, kSomeone);
    BOOST_REQUIRE_EQUAL(refused.quotas.size(), 2U);
    BOOST_TEST((refused.quotas[0].remaining == 0U && refused.quotas[0].more_in == 40s));
    BOOST_TEST((refused.quotas[1].remaining == 2U));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(notes_of_refusals)

BOOST_AUTO_TEST_CASE(a_thousand_refusals_of_one_client_are_told_once) {
    OneClock t({policy("user", 1, 60s)});
    BOOST_TEST(t.accepted_of(1001) == 1U);
    BOOST_TEST(t.throttle.take_refusals().empty());
    t.clock.tick += 61 * kSecond;
    const auto told = t.throttle.take_refusals();
    BOOST_REQUIRE_EQUAL(told.size(), 1U);
    BOOST_TEST((told[0].scope == "user" && told[0].client == "192.0.2.7" && told[0].count == 1000U));
    BOOST_TEST((told[0].lasted == 61s && told[0].retry_after == 0s && !told[0].dry_run));
    BOOST_TEST(t.throttle.take_refusals().empty());
}

BOOST_AUTO_TEST_CASE(a_long_refusal_is_told_every_ten_minutes_and_a_short_one_after_ten_seconds) {
    OneClock t({policy("day", 1, 86'400s), policy("second", 1, 1s)});
    BOOST_TEST(t.accepts(kSomeone, {0}));
    BOOST_TEST(t.accepts(kSomeone, {1}));
    for (const Throttle::Scope scope : {0, 1}) BOOST_TEST(!t.accepts(kSomeone, {scope}));
    t.clock.tick += 9 * kSecond;
    BOOST_TEST(t.throttle.take_refusals().empty());
    t.clock.tick += 1 * kSecond;
    BOOST_TEST(t.throttle.take_refusals().at(0).scope == "second");
    t.clock.tick += 590 * kSecond;
    const auto told = t.throttle.take_refusals();
    BOOST_REQUIRE_EQUAL(told.size(), 1U);
    BOOST_TEST((told[0].scope == "day" && told[0].retry_after == 85'800s));
}

BOOST_AUTO_TEST_CASE(the_refusals_of_a_client_or_a_scope_end_when_it_is_reset) {
    for (const bool whole_scope : {false, true}) BOOST_TEST_CONTEXT(whole_scope) {
            OneClock t({policy("day", 1, 86'400s), policy("other", 0, 86'400s)});
            BOOST_TEST(t.accepts(kSomeone, {0}));
            BOOST_TEST(!t.accepts(kSomeone, {0}));
            BOOST_TEST(!t.accepts(at("192.0.2.8"), {1}));
            BOOST_TEST(t.throttle.refusals().size() == 2U);
            whole_scope ? t.throttle.reset(Throttle::Scope{0}) : t.throttle.reset(kSomeone);
            t.clock.tick += 10 * kSecond;
            const auto told = t.throttle.take_refusals();
            BOOST_REQUIRE_EQUAL(told.size(), 1U);
            BOOST_TEST((told[0].scope == "day" && told[0].retry_after == 0s));
            BOOST_TEST(t.throttle.refusals().at(0).retry_after > 0s);  // nobody gave that one its limit back
        }
}

BOOST_AUTO_TEST_CASE(clients_are_named_as_they_are_counted_and_too_many_come_together) {
    OneClock t({policy("user", 0, 60s)});
    for (const auto& client : {at("2001:db8::1"), at("2001:DB8::2"), user(12), at("nonsense")}) BOOST_TEST(!t.accepts(client));
    std::map<std::string, std::uint64_t> counts;
    for (const auto& refusals : t.throttle.refusals()) counts[refusals.client] += refusals.count;
    BOOST_TEST(counts["2001:db8::/64"] == 2U);
    BOOST_TEST(counts["user 12"] == 1U);
    for (unsigned i = 0; i < 1000; ++i) BOOST_TEST(!t.accepts(at(address_number(i))));
    std::uint64_t sum = 0;
    for (const auto& refusals : t.throttle.refusals()) sum += refusals.count;
    BOOST_TEST(sum == 1004U);
    counts.clear();
    for (const auto& refusals : t.throttle.refusals()) counts[refusals.client] += refusals.count;
    BOOST_TEST(counts["others"] > 900U);
}

BOOST_AUTO_TEST_CASE(those_that_come_together_are_of_several_scopes_and_a_dry_run_only_if_all_are) {
    Table table({policy("watched", 0, 60s), policy("closed", 0, 60s)}, 8);
    table.options.policies[0].dry_run = true;
    FakeTicks clock;
    auto throttle = table.open(clock);
    const auto others = [&] {
        const auto all = throttle.refusals();
        return std::ranges::find(all, "others", &Throttle::Refusals::client)[0];
    };
    for (unsigned i = 0; i < 20; ++i) static_cast<void>(throttle.check(Scopes{0}, at(address_number(i))));
    BOOST_TEST((others().scope == "watched" && others().dry_run));
    const auto before = others().count;
    BOOST_TEST((throttle.check(Scopes{1}, kSomeone).outcome == Outcome::refused));
    BOOST_TEST((others().scope == "several" && !others().dry_run && others().count == before + 1));
}

BOOST_AUTO_TEST_CASE(of_several_processes_one_tells) {
    const Table t({policy("user", 1, 1s)});
    auto* const told = shared_memory<std::atomic<std::uint64_t>>();
    FakeTicks clock;
    auto throttle = t.open(clock);
    for (int i = 0; i < 11; ++i) static_cast<void>(throttle.check(kFirst, kSomeone));
    clock.tick += 20 * kSecond;
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i)
        children.push_back(in_child([&] {
            for (const auto& refusals : throttle.take_refusals()) *told += refusals.count;
        }));
    for (const auto child : children) BOOST_REQUIRE(ended_well(child));
    BOOST_TEST(told->load() == 10U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_strict_table)

namespace {

// The most requests of one client in one period, when between them it has others push it out. Accepts are the attacker's.
std::vector<std::uint64_t> accepted_under_flood(bool strict, unsigned requests_a_round, unsigned newcomers_a_round, unsigned rounds) {
    Table table({policy("user", 20, 86'400s)}, 512);
    table.options.strict = strict;
    FakeTicks clock;
    auto throttle = table.open(clock);
    std::vector<std::uint64_t> accepts;
    unsigned fresh = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        for (unsigned i = 0; i < requests_a_round; ++i)
            if (throttle.check(kFirst, kSomeone).outcome == Outcome::accepted) accepts.push_back(clock.tick);
        ++clock.tick;  // the idle one goes first
        for (unsigned i = 0; i < newcomers_a_round; ++i) static_cast<void>(throttle.check(kFirst, at(address_number(fresh++))));
        clock.tick += kSecond;
    }
    return accepts;
}

}  // namespace

BOOST_AUTO_TEST_CASE(who_is_pushed_out_gets_nothing_back) {
    for (const auto& [requests, newcomers] : {std::pair{20U, 5000U}, {19U, 2500U}, {1U, 2000U}, {1U, 700U}})
        BOOST_TEST_CONTEXT(requests << " requests, then " << newcomers << " newcomers") {
            const auto accepts = accepted_under_flood(true, requests, newcomers, 30);
            require_the_invariant(accepts, {20, 86'400s});
            BOOST_TEST(accepts.size() > 0U);
        }
    BOOST_TEST(accepted_under_flood(false, 1, 2000, 30).size() > 20U);  // what strict is for
}

// 40 clients at one of 5 push others out of 16 places for good, or leave them their floors.
BOOST_AUTO_TEST_CASE(what_a_floor_remembers_is_not_forgotten) {
    for (const bool strict : {true, false}) BOOST_TEST_CONTEXT(strict) {
            Table t({policy("anon", 5, 60s)}, 8);
            t.options.strict = strict;
            const FakeTicks clock;
            auto throttle = t.open(clock);
            for (unsigned i = 0; i < 40; ++i) static_cast<void>(throttle.check(kFirst, at(address_number(i))));
            BOOST_TEST((throttle.counters().evicted_live_requests == 0U) == strict);
        }
}

BOOST_AUTO_TEST_CASE(newcomers_to_a_table_with_room_lose_nothing) {
    Table table({policy("user", 20, 86'400s)}, 512);
    table.options.strict = true;
    FakeTicks clock;
    auto throttle = table.open(clock);
    for (unsigned i = 0; i < 400; ++i)
        for (unsigned n = 0; n < 20; ++n) BOOST_REQUIRE(throttle.check(kFirst, at(address_number(i))).outcome == Outcome::accepted);
}

BOOST_AUTO_TEST_CASE(a_scope_that_is_reset_forgets_its_floors_too) {
    Table table({policy("user", 2, 86'400s)}, 64);
    table.options.strict = true;
    FakeTicks clock;
    auto throttle = table.open(clock);
    for (unsigned i = 0; i < 20'000; ++i) static_cast<void>(throttle.check(kFirst, at(address_number(i))));
    BOOST_TEST((throttle.check(kFirst, kSomeone).outcome == Outcome::refused));
    throttle.reset(Throttle::Scope{0});
    for (int i = 0; i < 2; ++i) BOOST_TEST((throttle.check(kFirst, kSomeone).outcome == Outcome::accepted));
}

BOOST_AUTO_TEST_CASE(floors_outlive_a_reload) {
    for (const std::uint32_t clients : {512U, 1024U}) {
        Table table({policy("user", 2, 86'400s)}, 512);
        table.options.strict = true;
        FakeTicks clock;
        auto throttle = table.open(clock);
        BOOST_TEST((throttle.check(kFirst, kSomeone).outcome == Outcome::accepted));
        ++clock.tick;
        for (unsigned i = 0; i < 20'000; ++i) static_cast<void>(throttle.check(kFirst, at(address_number(i))));
        table.options.clients = clients;
        table.options.policies.push_back(policy("more", 1, 1s));
        auto young = table.open(clock);
        std::vector<std::uint64_t> accepts{clock.tick};
        for (int i = 0; i < 3; ++i)
            if (young.check(kFirst, kSomeone).outcome == Outcome::accepted) accepts.push_back(clock.tick);
        require_the_invariant(accepts, {2, 86'400s});
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(sixty_five_thousand_addresses_at_a_hundred_a_day_fit_34_mebibytes) {
    ThrottleOptions options;
    options.policies = {policy("anon", 100, 86'400s, true)};
    options.clients = 65'536;
    BOOST_TEST(memory_of(options).bytes <= 34ULL << 20);
    Table t(options.policies, options.clients, options.users);
    static_cast<void>(t.open(boot_ticks()));
    BOOST_TEST(std::filesystem::file_size(t.options.folder / "throttle") == memory_of(options).bytes);
}

BOOST_AUTO_TEST_CASE(fill_counts_records_with_live_requests) {
    OneClock t({policy("user", 5, 60s), policy("anon", 5, 60s, true)}, 100, 100);
    for (unsigned i = 0; i < 30; ++i) BOOST_TEST(t.accepts(at(address_number(i)), {0, 1}));
    BOOST_TEST(t.accepts(user(1), {0, 1}));
    BOOST_TEST(t.throttle.fill(false).used == 60U);
    BOOST_TEST(t.throttle.fill(false).records >= 250U);
    BOOST_TEST(t.throttle.fill(true).used == 1U);
    t.clock.tick += 61 * kSecond;
    BOOST_TEST(t.throttle.fill(false).used == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(crashes)

BOOST_AUTO_TEST_CASE(a_process_killed_inside_leaves_the_lock_to_the_others) {
    const Table t({policy("user", 100, 86'400s)});
    auto throttle = t.open(boot_ticks());
    for (unsigned kills = 1; kills <= 5; ++kills) {
        const auto child = in_child([&] {
            const HookedTicks die([] { ::raise(SIGKILL); });
            auto doomed = t.open(die);
            static_cast<void>(doomed.check(kFirst, kSomeone));
        });
        BOOST_TEST(WIFSIGNALED(wait_for(child)));
        BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
        BOOST_TEST(throttle.usage(kSomeone).at(0).used == kills);
        BOOST_TEST(throttle.counters().recovered_locks == kills);
        BOOST_TEST(throttle.counters().stalls == 0U);
    }
}

BOOST_AUTO_TEST_CASE(a_process_killed_at_any_moment_counts_at_most_its_own_request) {
    const Table t({policy("user", 1'000'000, 86'400s, true), policy("crowd", 3, 86'400s)}, 16);
    auto throttle = t.open(boot_ticks());
    auto* const served = shared_memory<std::atomic<std::uint64_t>>();
    auto* const started = shared_memory<std::atomic<bool>>();
    std::mt19937 random(11);
    constexpr unsigned kKills = kSanitized ? 100 : 10'000;
    constexpr unsigned kMost = 90;  // of each, lest a busy machine reach the limit
    for (unsigned kill = 0; kill < kKills; ++kill) {
        *started = false;
        const auto child = in_child([&] {
            for (unsigned n = 0; n < kMost; ++n) {
                *started = true;
                *served += throttle.check(kFirst, kSomeone).outcome == Outcome::accepted;
                static_cast<void>(throttle.check(Scopes{1}, at(address_number(kill + n % 100))));
            }
            ::pause();
        });
        while (!*started) std::this_thread::yield();
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 100);
        while (std::chrono::steady_clock::now() < end) {
        }
        ::kill(child, SIGKILL);
        wait_for(child);
        const auto verdict = throttle.check(Scopes{0}, kSomeone);
        BOOST_REQUIRE(verdict.outcome == Outcome::accepted);
        ++*served;
    }
    const auto used = throttle.usage(kSomeone).at(0).used;
    BOOST_TEST(used >= *served);
    BOOST_TEST(used <= *served + kKills);
    BOOST_TEST((kSanitized || throttle.counters().recovered_locks > 0));  // how many died inside is up to the machine; some always did
    for (const auto& record : throttle.fullest(100)) BOOST_TEST(record.used <= record.limit);
    BOOST_TEST(throttle.counters().stalls == 0U);
}

// Steps through check() by single instructions, from the reading of the clock on, and kills after the first store, the second, ...
class Stepped : public Table {
public:
    Stepped(Representation representation, std::uint32_t cost, bool strict)
        : Table({policy("user", 3 * cost, 86'400s), policy("blog", 2 * cost, 86'400s)}, 8), cost_(cost) {
        options.strict = strict;
        for (auto& one : options.policies) {
            one.representation = representation;
            if (strict) one.rate.limit = 200;  // of a full table newcomers inherit the counts of those it forgot
        }
        throttle_ = open(clock_);
        file_ = SharedFile::attach(options.folder / "throttle");
    }

    void kill_after_each_store(const Client& client) {
        bool inside = true;
        unsigned stores = 0;
        std::pair<std::uint32_t, std::uint32_t> done{0, 0};
        for (; inside; ++stores) BOOST_TEST_CONTEXT(stores << " stores") {
                prepare();
                const auto before = used(client);
                inside = kill_after(client, stores);
                const auto now = used(client);
                const std::pair counted{now.first - before.first, now.second - before.second};
                BOOST_REQUIRE((counted.first == done.first || done.first == 0));  // all at once, and one store later there is no less
                BOOST_REQUIRE((counted.second == done.second || done.second == 0));
                done = counted;
                for (const auto& record : throttle_->fullest(100)) BOOST_REQUIRE_LE(record.used, record.limit);
                const bool has_room = now.second + cost_ <= options.policies[1].rate.limit;
                BOOST_REQUIRE((throttle_->check(kBoth, client, {.cost = cost_}).outcome == Outcome::accepted) == has_room);
            }
        BOOST_TEST(stores > 6U);
        BOOST_TEST(throttle_->counters().stalls == 0U);
        BOOST_TEST(throttle_->counters().recovered_locks > 3U);
        // With what a strict table makes a newcomer inherit.
        BOOST_TEST((options.strict ? done.first >= cost_ : done.first == cost_));
        BOOST_TEST((options.strict ? done.second >= cost_ : done.second == cost_));
    }

private:
    // Full: a newcomer must push somebody out.
    void prepare() {
        clock_.tick += 2 * kDay;
        static_cast<void>(throttle_->check(kBoth, kSomeone, {.cost = cost_}));
        for (unsigned i = 0; i < 40; ++i) static_cast<void>(throttle_->check(kBoth, at(address_number(i)), {.cost = cost_}));
        clock_.tick += 1;
    }

    std::pair<std::uint32_t, std::uint32_t> used(const Client& client) const {
        const auto usage = throttle_->usage(client);
        return {usage.at(0).used, usage.at(1).used};
    }

    // False when the child came to its end first.
    bool kill_after(const Client& client, unsigned stores) {
        const auto child = in_child([&] { run_and_stop(client); });
        BOOST_REQUIRE(WIFSTOPPED(wait_for(child)));
        const bool inside = step_until_stores(child, stores);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        return inside;
    }

    void run_and_stop(const Client& client) {
        bool warm = false;
        const HookedTicks stop(
            [&] {
                if (warm) ::raise(SIGSTOP);
            },
            clock_);
        auto traced = open(stop);
        static_cast<void>(traced.check(kBoth, at("192.0.2.70"), {.cost = cost_}));  // the dynamic linker does its part now
        traced.reset(at("192.0.2.70"));
        warm = true;
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        static_cast<void>(traced.check(kBoth, client, {.cost = cost_}));
        ::raise(SIGUSR1);
    }

    bool step_until_stores(pid_t child, unsigned stores) const {
        std::vector<std::byte> seen(file_->bytes().begin(), file_->bytes().end());
        while (stores > 0) {
            if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) return false;
            const auto status = wait_for(child);
            if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGUSR1) return false;
            if (std::ranges::equal(seen, file_->bytes())) continue;
            std::ranges::copy(file_->bytes(), seen.begin());
            --stores;
        }
        return true;
    }

    inline static const Scopes kBoth = {0, 1};

    std::uint32_t cost_;
    FakeTicks clock_;
    std::optional<Throttle> throttle_;
    std::optional<SharedFile> file_;
};

// A sanitizer's instructions would make this minutes and tell nothing about ours.
BOOST_AUTO_TEST_CASE(a_process_killed_after_any_store_leaves_all_or_nothing_in_each_scope, *boost::unit_test::enable_if<!kSanitized>()) {
    using enum Representation;
    const auto newcomer = at("192.0.2.60");
    for (const auto& [name, representation, client] : {std::tuple("ring32", ring32, kSomeone),
                                                       {"ring16", ring16, kSomeone},
                                                       {"windows", windows, kSomeone},
                                                       {"a newcomer", ring32, newcomer}})
        BOOST_TEST_CONTEXT(name) Stepped(representation, 1, false).kill_after_each_store(client);
    BOOST_TEST_CONTEXT("a cost of 3") Stepped(ring32, 3, false).kill_after_each_store(newcomer);
    BOOST_TEST_CONTEXT("strict") Stepped(ring32, 1, true).kill_after_each_store(newcomer);
}

BOOST_AUTO_TEST_CASE(a_stopped_process_delays_the_others_by_some_milliseconds_only) {
    const Table t({policy("user", 100, 86'400s)}, 4096);
    auto throttle = t.open(boot_ticks());
    const auto child = in_child([&] {
        const HookedTicks stop([] { ::raise(SIGSTOP); });
        auto stopped = t.open(stop);
        static_cast<void>(stopped.check(kFirst, kSomeone));
    });
    BOOST_REQUIRE(WIFSTOPPED(wait_for(child, WUNTRACED)));

    while (throttle.check(kFirst, kSomeone).outcome != Outcome::stalled) continue;  // its last beat grows old
    auto least = std::chrono::nanoseconds::max();                                   // of many, lest a busy machine count
    for (int i = 0; i < 50; ++i) {
        const auto before = std::chrono::steady_clock::now();
        BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::stalled);
        least = std::min(least, std::chrono::steady_clock::now() - before);
    }
    BOOST_TEST((least >= 4ms));
    BOOST_TEST((least <= 20ms), least.count());
    BOOST_CHECK_EXCEPTION(static_cast<void>(throttle.usage(kSomeone)), std::runtime_error, [](const std::exception& problem) {
        return problem.what() == "throttle: a stopped process holds a lock of the table"s;
    });
    unsigned served = 0;
    for (unsigned i = 0; i < 20; ++i) served += throttle.check(kFirst, at(address_number(i))).outcome == Outcome::accepted;
    BOOST_TEST(served >= 10U);
    BOOST_TEST(throttle.counters().stalls >= 1U);

    ::kill(child, SIGCONT);
    BOOST_TEST(ended_well(child));
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    BOOST_TEST(throttle.usage(kSomeone).at(0).used == 2U);
}

// Somebody does this while he has the lock; who comes meanwhile gets in after him.
void check_is_waited_for(const std::function<void()>& hold) {
    const Table t({policy("user", 100, 86'400s)});
    auto throttle = t.open(boot_ticks());
    auto* const inside = shared_memory<std::atomic<bool>>();
    const auto child = in_child([&] {
        const HookedTicks slow([&] {
            *inside = true;
            hold();
        });
        static_cast<void>(t.open(slow).check(kFirst, kSomeone));
    });
    while (!*inside) std::this_thread::yield();
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    BOOST_TEST(throttle.counters().stalls == 0U);
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(a_holder_that_is_merely_slow_is_waited_for) {
    check_is_waited_for([] {
        for (const auto end = std::chrono::steady_clock::now() + 30ms; std::chrono::steady_clock::now() < end;) {
        }
    });
}

BOOST_AUTO_TEST_CASE(a_holder_that_the_kernel_keeps_for_a_moment_is_waited_for) {
    // The parent of a vfork() is in the state D until its child ends, as a process is that waits for a page.
    check_is_waited_for([] {
        if (::vfork() != 0) return;
        ::usleep(50'000);
        ::_exit(0);
    });
}

BOOST_AUTO_TEST_CASE(a_holder_that_sleeps_is_waited_for) {
    check_is_waited_for([] { ::usleep(50'000); });
}

BOOST_AUTO_TEST_CASE(a_holder_that_runs_and_never_ends_is_named_as_such_and_waited_for_by_none_that_may_not_wait) {
    const Table t({policy("user", 100, 86'400s)});
    auto throttle = t.open(boot_ticks());
    auto* const inside = shared_memory<std::atomic<bool>>();
    const auto child = in_child([&] {
        const HookedTicks slow([&] {
            *inside = true;
            for (;;) ::usleep(1000);
        });
        static_cast<void>(t.open(slow).check(kFirst, kSomeone));
    });
    while (!*inside) std::this_thread::yield();
    auto least = std::chrono::nanoseconds::max();
    for (int i = 0; i < 20; ++i) {
        const auto before = std::chrono::steady_clock::now();
        BOOST_CHECK(throttle.check(kFirst, kSomeone, {.may_wait = false}).outcome == Outcome::busy);
        BOOST_CHECK(throttle.look(kFirst, kSomeone, false).outcome == Outcome::busy);
        least = std::min(least, std::chrono::steady_clock::now() - before);
    }
    BOOST_TEST((least < 2ms));
    BOOST_TEST(throttle.counters().late_locks == 0U);
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::late);
    BOOST_TEST(throttle.counters().late_locks == 1U);
    BOOST_TEST(throttle.counters().stalls == 0U);
    BOOST_CHECK_EXCEPTION(static_cast<void>(throttle.usage(kSomeone)), std::runtime_error, [](const std::exception& problem) {
        return problem.what() == "throttle: processes that run held for 200 ms a lock of the table"s;
    });
    ::kill(child, SIGKILL);
    wait_for(child);
    BOOST_CHECK(throttle.check(kFirst, kSomeone, {.may_wait = false}).outcome == Outcome::accepted);
    BOOST_TEST(throttle.usage(kSomeone).at(0).used == 1U);  // none that was busy counted
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(memory)

namespace {

long page_faults() {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    return used.ru_minflt + used.ru_majflt;
}

}  // namespace

// A process that comes to a table that others have filled. Its clock is read under the lock.
BOOST_AUTO_TEST_CASE(under_the_lock_of_a_stripe_there_is_no_page_fault, *boost::unit_test::enable_if<!kSanitized>()) {
    const Table t({policy("user", 1000, 86'400s), policy("blog", 1000, 86'400s)}, 4096);
    const auto filled = t.open(boot_ticks());
    auto* const faults = shared_memory<std::atomic<long>>();
    BOOST_TEST(ended_well(in_child([&] {
        long inside = 0;
        const HookedTicks count([&] { inside = page_faults(); });
        auto throttle = Throttle::open(t.options, count);
        for (unsigned i = 0; i < 50; ++i) static_cast<void>(throttle.check(Scopes{0, 1}, at(address_number(i))));
        for (unsigned i = 50; i < 500; ++i) {
            static_cast<void>(throttle.check(Scopes{0, 1}, at(address_number(i))));
            *faults += page_faults() - inside;
        }
    })));
    BOOST_TEST(faults->load() < 45);  // one of ten, of the heap and the stack; without care there are thousands
}

BOOST_AUTO_TEST_CASE(a_snapshot_looks_only_where_a_client_was_counted, *boost::unit_test::enable_if<!kSanitized>()) {
    Table t({policy("user", 1000, 86'400s)}, 16'384);
    t.options.snapshot = t.folder / "snapshot";
    auto filled = t.open(boot_ticks());
    for (unsigned i = 0; i < 3; ++i) static_cast<void>(filled.check(kFirst, at(address_number(i))));
    auto* const faults = shared_memory<std::atomic<long>>();
    BOOST_TEST(ended_well(in_child([&] {
        const auto throttle = t.open(boot_ticks());
        const auto before = page_faults();
        throttle.save();
        *faults = page_faults() - before;
        if (throttle.fullest(10).size() != 3 || throttle.fill(false).used != 3) throw 1;
    })));
    BOOST_TEST(faults->load() < 1000);  // of 20,480 records, each on a page of its own
    std::filesystem::remove_all(t.options.folder);
    BOOST_TEST(t.open(boot_ticks()).usage(at(address_number(1))).at(0).used == 1U);
}

BOOST_AUTO_TEST_CASE(beside_busy_loops_no_check_finds_a_process_stopped) {
    constexpr unsigned kProcesses = 5, kChecks = 10'000;
    const Table t({policy("user", 1'000'000, 86'400s)});
    auto throttle = t.open(boot_ticks());
    std::vector<pid_t> loops, workers;
    for (int i = 0; i < 4; ++i)
        loops.push_back(in_child([] {
            for (std::atomic<unsigned> spin = 0;; ++spin) continue;
        }));
    for (unsigned i = 0; i < kProcesses; ++i)
        workers.push_back(in_child([&] {
            auto own = t.open(boot_ticks());
            for (unsigned check = 0; check < kChecks; ++check)
                if (own.check(kFirst, kSomeone).outcome != Outcome::accepted) throw 1;
        }));
    for (const auto worker : workers) BOOST_TEST(ended_well(worker));
    for (const auto loop : loops) {
        ::kill(loop, SIGKILL);
        wait_for(loop);
    }
    BOOST_TEST(throttle.usage(kSomeone).at(0).used == kProcesses * kChecks);
    BOOST_TEST(throttle.counters().stalls == 0U);
    BOOST_TEST(throttle.counters().late_locks == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_file)

namespace {

std::filesystem::path file_of(const Table& t) { return t.options.folder / "throttle"; }

// Opens a table whose client has used its only request, then has its file spoilt.
bool keeps_the_count_after(const std::function<void(const std::filesystem::path&)>& spoil) {
    const Table t({policy("user", 1, 86'400s)});
    BOOST_REQUIRE(t.open(boot_ticks()).check(kFirst, kSomeone).outcome == Outcome::accepted);
    spoil(file_of(t));
    const bool attached = Throttle::attach(t.options.folder).has_value();
    BOOST_TEST(t.open(boot_ticks()).note().empty() == attached);
    return t.open(boot_ticks()).check(kFirst, kSomeone).outcome == Outcome::refused;
}

void overwrite(const std::filesystem::path& path, std::size_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put('\x77');
    BOOST_REQUIRE(file.good());
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_to_open_says_that_it_made_it_and_the_next_one_nothing) {
    const Table t({policy("user", 1, 60s)});
    BOOST_TEST(t.open(boot_ticks()).note() == "throttle: made a new table");
    BOOST_TEST(t.open(boot_ticks()).note().empty());
}

BOOST_AUTO_TEST_CASE(a_file_of_another_boot_or_version_is_replaced) {
    BOOST_TEST(keeps_the_count_after([](const auto&) {}));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { std::filesystem::remove(path); }));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { overwrite(path, offsetof(Description, magic)); }));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { overwrite(path, offsetof(Description, layout)); }));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { overwrite(path, offsetof(Description, boot)); }));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { overwrite(path, offsetof(Description, policy_count) + 3); }));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { std::filesystem::resize_file(path, 100); }));
    BOOST_TEST(!keeps_the_count_after([](const auto& path) { std::filesystem::resize_file(path, 8192); }));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_ours_alone_is_refused) {
    const std::pair<const char*, std::function<void(const std::filesystem::path&)>> cases[] = {
        {"open to others", [](const auto& path) { ::chmod(path.c_str(), 0644); }},
        {"a second name", [](const auto& path) { std::filesystem::create_hard_link(path, path.string() + "2"); }},
        {"a link",
         [](const auto& path) {
             std::filesystem::rename(path, path.string() + "2");
             std::filesystem::create_symlink(path.string() + "2", path);
         }},
        {"a folder",
         [](const auto& path) {
             std::filesystem::remove(path);
             std::filesystem::create_directory(path);
         }},
        {"of another owner", [](const auto& path) { BOOST_REQUIRE(::chown(path.c_str(), 65'534, 65'534) == 0); }},
        {"a folder that others write to", [](const auto& path) { ::chmod(path.parent_path().c_str(), 0777); }}};
    for (const auto& [name, spoil] : cases) BOOST_TEST_CONTEXT(name) {
            if (name == "of another owner"sv && ::geteuid() != 0) continue;  // only root can give it away
            const Table t({policy("user", 1, 60s)});
            static_cast<void>(t.open(boot_ticks()));
            spoil(file_of(t));
            BOOST_CHECK_THROW(static_cast<void>(t.open(boot_ticks())), std::runtime_error);
        }
}

BOOST_AUTO_TEST_CASE(other_policies_make_a_new_table_that_keeps_the_counts_of_the_scopes_that_both_have) {
    Table t({policy("anon", 1, 60s, true), policy("user", 1, 60s), policy("gone", 1, 60s)});
    auto old = t.open(boot_ticks());
    for (const auto& client : {kSomeone, user(1)}) BOOST_TEST((old.check(Scopes{0, 1, 2}, client).outcome == Outcome::accepted));
    t.options.policies = {policy("new", 1, 60s), policy("user", 1, 60s), policy("anon", 2, 60s, true)};
    auto throttle = t.open(boot_ticks());
    BOOST_TEST(throttle.note() == "throttle: made a new table for changed policies, counts kept: anon, user");
    for (const auto& client : {kSomeone, user(1)}) {
        BOOST_TEST((throttle.check(Scopes{1}, client).outcome == Outcome::refused));
        BOOST_TEST((throttle.check(Scopes{0, 2}, client).outcome == Outcome::accepted));
    }
    t.options.clients *= 2;
    BOOST_TEST(t.open(boot_ticks()).note() == "throttle: made a new table for changed policies, counts kept: new, user, anon");
    t.options.policies = {policy("other", 1, 60s)};
    BOOST_TEST(t.open(boot_ticks()).note() == "throttle: made a new table for changed policies, counts kept: none");
}

BOOST_AUTO_TEST_CASE(the_operator_attaches_to_what_is_there_and_makes_nothing) {
    const Table t({policy("anon", 2, 60s, true), policy("user", 1000, 86'400s)}, 100, 20);
    BOOST_TEST(!Throttle::attach(t.folder / "nowhere"));
    BOOST_TEST(!std::filesystem::exists(t.folder / "nowhere"));
    auto throttle = t.open(boot_ticks());
    static_cast<void>(throttle.check(Scopes{0, 1}, kSomeone));
    const auto seen = Throttle::attach(t.options.folder);
    BOOST_REQUIRE(seen);
    const auto usage = seen->usage(kSomeone);
    BOOST_REQUIRE(usage.size() == 2U);
    BOOST_TEST((usage[1].scope == "user" && usage[1].used == 1U));
    BOOST_CHECK((usage[1].rate == Rate{1000, 86'400s}));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_made_is_refused_at_the_start) {
    const std::vector<std::vector<ThrottlePolicy>> impossible = {{policy(std::string(48, 'x'), 1, 60s)},
                                                                 {policy("user", 1U << 24, 60s)},
                                                                 {policy("user", 1, 0s)},
                                                                 std::vector(65, policy("user", 1, 60s))};
    for (const auto& policies : impossible) BOOST_CHECK_THROW(static_cast<void>(Table(policies).open(boot_ticks())), std::runtime_error);
    const Table too_large({policy("user", (1U << 24) - 2, 60s)}, 4'000'000'000);
    BOOST_CHECK_THROW(static_cast<void>(too_large.open(boot_ticks())), std::runtime_error);
    BOOST_TEST(!std::filesystem::exists(file_of(too_large)));
}

BOOST_AUTO_TEST_CASE(a_maker_killed_half_way_does_not_stop_the_next_one) {
    const Table t({policy("user", 1000, 86'400s)}, 20'000);
    std::mt19937 random(5);
    for (int round = 0; round < 20; ++round) {
        std::filesystem::remove_all(t.options.folder);
        const auto child = in_child([&] { static_cast<void>(t.open(boot_ticks())); });
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        ::kill(child, SIGKILL);
        wait_for(child);
        auto throttle = t.open(boot_ticks());
        BOOST_REQUIRE(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    }
}

BOOST_AUTO_TEST_SUITE_END()
