// What Django REST framework's own tests of throttling check, with `charge = drf` and a clock that stands still between requests; and
// where ours differs on purpose. Those that concern a request as a whole are in view_exchange_test and api_test.
// Source: the list of cases of rest_framework's tests/test_throttling.py.
#define BOOST_TEST_MODULE throttle_drf
#include <random>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include "tests/support/service.hpp"
#include "tests/support/throttles.hpp"
#include "util/text.hpp"

using namespace recto;

namespace {

struct Drf : Table {
    explicit Drf(std::vector<ThrottlePolicy> policies) : Table(std::move(policies)) {
        options.charge = Charge::drf;
        throttle.emplace(open(clock));
    }

    Throttle::Verdict ask(const Client& client = kSomeone, const Scopes& scopes = kFirst) { return throttle->check(scopes, client); }
    bool accepts(const Client& client = kSomeone, const Scopes& scopes = kFirst) {
        return ask(client, scopes).outcome == Outcome::accepted;
    }
    long wait(const Client& client = kSomeone, const Scopes& scopes = kFirst) { return ask(client, scopes).retry_after.count(); }
    void at_second(std::uint64_t second) { clock.tick = 1000 * kDay + second * kSecond; }

    FakeTicks clock;
    std::optional<Throttle> throttle;
};

const ThrottlePolicy kThreeASecond = policy("user", 3, 1s);

}  // namespace

BOOST_AUTO_TEST_CASE(the_fourth_of_three_a_second_is_refused) {
    Drf drf({kThreeASecond});
    for (int i = 0; i < 3; ++i) BOOST_TEST(drf.accepts());
    BOOST_TEST(!drf.accepts());
}

BOOST_AUTO_TEST_CASE(after_exactly_one_second_it_is_accepted_again) {
    Drf drf({kThreeASecond});
    for (int i = 0; i < 4; ++i) static_cast<void>(drf.ask());
    drf.at_second(1);
    BOOST_TEST(drf.accepts());
}

BOOST_AUTO_TEST_CASE(each_user_is_counted_alone) {
    Drf drf({kThreeASecond});
    for (int i = 0; i < 4; ++i) static_cast<void>(drf.ask(user(1)));
    BOOST_TEST(!drf.accepts(user(1)));
    BOOST_TEST(drf.accepts(user(2)));
}

BOOST_AUTO_TEST_CASE(of_two_throttles_the_refused_one_is_told_and_the_other_is_charged_too) {
    Drf drf({policy("three", 3, 1s), policy("six", 6, 60s)});
    const Scopes both = {0, 1};
    for (int i = 0; i < 3; ++i) BOOST_TEST(drf.accepts(kSomeone, both));
    BOOST_TEST(drf.wait(kSomeone, both) == 1);
    drf.at_second(1);
    for (int i = 0; i < 2; ++i) BOOST_TEST(drf.accepts(kSomeone, both));
    BOOST_TEST(drf.wait(kSomeone, both) == 59);
    drf.at_second(2);
    BOOST_TEST(drf.wait(kSomeone, both) == 58);
}

BOOST_AUTO_TEST_CASE(a_lowered_rate_refuses_and_does_not_crash) {
    Drf drf({policy("user", 24, 60s)});
    for (int i = 0; i < 24; ++i) BOOST_TEST(drf.accepts());
    drf.options.policies = {policy("user", 3, 60s)};
    auto lowered = drf.open(drf.clock);
    const auto verdict = lowered.check(kFirst, kSomeone);
    BOOST_CHECK(verdict.outcome == Outcome::refused);
    BOOST_TEST(verdict.retry_after == 60s);  // theirs says nothing here
}

BOOST_AUTO_TEST_CASE(only_the_refused_one_has_a_time_to_wait) {
    Drf drf({policy("user", 3, 60s)});
    for (int i = 0; i < 3; ++i) BOOST_TEST(drf.wait() == 0);
    BOOST_TEST(drf.wait() == 60);
}

BOOST_AUTO_TEST_CASE(who_follows_the_advice_is_always_accepted) {
    Drf drf({policy("user", 3, 60s)});
    for (const unsigned second : {0, 20, 40, 60, 80}) {
        drf.at_second(second);
        BOOST_TEST(drf.accepts());
    }
}

BOOST_AUTO_TEST_CASE(scopes_count_apart_and_each_is_free_after_exactly_a_minute) {
    Drf drf({policy("x", 3, 60s), policy("y", 1, 60s)});
    for (unsigned second = 0; second < 3; ++second) {
        drf.at_second(second);
        BOOST_TEST(drf.accepts(kSomeone, {0}));
    }
    BOOST_TEST(!drf.accepts(kSomeone, {0}));
    drf.at_second(4);
    BOOST_TEST(drf.accepts(kSomeone, {1}));
    BOOST_TEST(!drf.accepts(kSomeone, {1}));
    drf.at_second(60);
    BOOST_TEST(drf.accepts(kSomeone, {0}));
    BOOST_TEST(!drf.accepts(kSomeone, {0}));
    drf.at_second(64);
    BOOST_TEST(drf.accepts(kSomeone, {1}));
}

BOOST_AUTO_TEST_CASE(a_view_without_a_scope_is_never_throttled) {
    Drf drf({policy("x", 0, 60s)});
    for (int i = 0; i < 100; ++i) BOOST_TEST(drf.accepts(kSomeone, {}));
}

BOOST_AUTO_TEST_CASE(anon_neither_counts_nor_refuses_a_user) {
    Drf drf({policy("anon", 1, 86'400s, true)});
    for (int i = 0; i < 3; ++i) BOOST_TEST(drf.accepts(user(1)));
    BOOST_TEST(drf.accepts(kSomeone));
    BOOST_TEST(!drf.accepts(kSomeone));
}

// Six quick requests at 2/min + 5/day: two are served; the daily count holds five there, two here unless `charge = drf`.
BOOST_AUTO_TEST_CASE(what_a_refused_request_costs_elsewhere_is_a_choice) {
    for (const auto& [charge, daily] : {std::pair{Charge::drf, 5U}, {Charge::atomic, 2U}}) {
        Table t({policy("burst", 2, 60s), policy("daily", 5, 86'400s)});
        t.options.charge = charge;
        FakeTicks clock;
        auto throttle = t.open(clock);
        unsigned served = 0;
        for (int i = 0; i < 7; ++i) served += throttle.check(Scopes{0, 1}, kSomeone).outcome == Outcome::accepted;
        BOOST_TEST(served == 2U);
        BOOST_TEST(throttle.usage(kSomeone).at(1).used == daily);
    }
}

// At 2/min + 3/day the third is told 60 s; with theirs the third has just used up the day.
BOOST_AUTO_TEST_CASE(retry_after_is_true_where_theirs_is_not) {
    for (const auto& [charge, outcome] : {std::pair{Charge::drf, Outcome::refused}, {Charge::atomic, Outcome::accepted}}) {
        Table t({policy("burst", 2, 60s), policy("daily", 3, 86'400s)});
        t.options.charge = charge;
        FakeTicks clock;
        auto throttle = t.open(clock);
        for (int i = 0; i < 2; ++i) BOOST_CHECK(throttle.check(Scopes{0, 1}, kSomeone).outcome == Outcome::accepted);
        const auto verdict = throttle.check(Scopes{0, 1}, kSomeone);
        BOOST_TEST(verdict.retry_after == 60s);
        clock.tick += 60 * kSecond;
        BOOST_CHECK(throttle.check(Scopes{0, 1}, kSomeone).outcome == outcome);
    }
}

namespace {

constexpr char kUnits[] = {'s', 'm', 'h', 'd'};
constexpr std::chrono::seconds kPeriods[] = {1s, 60s, 3600s, 86'400s};

struct Step {
    std::uint64_t tick;
    bool is_user;
    unsigned client;
    Scopes scopes;
};

// What one run of both is about, as tests/support/drf_throttle.py reads it.
class Script {
public:
    explicit Script(std::mt19937& random) {
        text_ << "policies";
        for (const auto* const name : {"one", "two", "three"}) {
            const auto unit = random() % 4;
            policies_.push_back(policy(name, random() % 20 == 0 ? 0 : 1 + random() % 9, kPeriods[unit], random() % 3 == 0));
            text_ << ' ' << name << ':' << (policies_.back().addresses_only ? "anon" : "user") << ':' << policies_.back().rate.limit << ':'
                  << kUnits[unit];
        }
        text_ << '\n';
        auto tick = 1000 * kDay;
        for (int i = 0; i < 1000; ++i) add(random, tick += pause(random));
    }

    [[nodiscard]] std::string text() const { return text_.str(); }

    // As Python prints them.
    [[nodiscard]] std::string our_answers() const {
        Drf drf(policies_);
        std::string all;
        for (const auto& step : steps_) {
            drf.clock.tick = step.tick;
            const auto verdict = drf.ask(step.is_user ? user(step.client) : at(address_number(step.client)), step.scopes);
            const bool is_accepted = verdict.outcome == Outcome::accepted;
            all += is_accepted ? "200\n" : "429 " + std::to_string(verdict.retry_after.count()) + '\n';
        }
        return all;
    }

private:
    static std::uint64_t pause(std::mt19937& random) {
        static constexpr std::uint64_t kMost[] = {1, 1, 4, 2 * kSecond, 100 * kSecond, 3 * 3600 * kSecond, 2 * kDay};
        return random() % kMost[random() % std::size(kMost)];
    }

    void add(std::mt19937& random, std::uint64_t tick) {
        Step step{.tick = tick, .is_user = random() % 2 == 0, .client = static_cast<unsigned>(random() % 3), .scopes = {0, 1, 2}};
        std::ranges::shuffle(step.scopes, random);
        step.scopes.resize(1 + random() % 3);
        text_ << tick << (step.is_user ? " u" + std::to_string(step.client) : " a" + address_number(step.client));
        for (const auto scope : step.scopes) text_ << ' ' << policies_[scope].scope;
        text_ << '\n';
        steps_.push_back(std::move(step));
    }

    std::vector<ThrottlePolicy> policies_;
    std::vector<Step> steps_;
    std::ostringstream text_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(it_answers_as_the_real_one_does_at_every_step) {
    std::mt19937 random(20261123);
    std::string script, ours;
    for (int round = 0; round < 10; ++round) {
        const Script one(random);
        script += one.text();
        ours += one.our_answers();
    }
    const auto theirs = done(run_command({"/usr/bin/python3", "tests/support/drf_throttle.py"}, script));
    BOOST_TEST(split_list(theirs, '\n') == split_list(ours, '\n'), boost::test_tools::per_element());
    BOOST_TEST(split_list(ours, '\n').size() == 10'000u);
    BOOST_TEST(ours.find("429") != std::string::npos);
}
