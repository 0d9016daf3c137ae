// What is kept when policies change under running workers, and over a reboot.
#define BOOST_TEST_MODULE throttle_reload
#include <algorithm>
#include <atomic>
#include <fstream>
#include <limits>
#include <random>
#include <thread>

#include <sys/resource.h>
#include <csignal>

#include <boost/test/unit_test.hpp>

#include "tests/support/throttles.hpp"
#include "throttle/layout.hpp"
#include "throttle/snapshot.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"

using namespace recto;

namespace {

constexpr Representation kRepresentations[] = {Representation::ring32, Representation::ring16, Representation::windows};

ThrottlePolicy kept_as(ThrottlePolicy policy, Representation representation) {
    policy.representation = representation;
    return policy;
}

std::uint32_t used_of(const Throttle& throttle, const Client& client) { return throttle.usage(client).at(0).used; }

unsigned accepted_of(Throttle& throttle, unsigned requests, const Client& client) {
    unsigned count = 0;
    while (requests-- > 0) count += throttle.check(kFirst, client).outcome == Outcome::accepted;
    return count;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(changed_policies)

BOOST_AUTO_TEST_CASE(whatever_changes_the_count_is_taken_over) {
    using Change = std::function<void(ThrottleOptions&)>;
    const std::pair<const char*, Change> kChanges[] = {
        {"limit raised", [](ThrottleOptions& o) { o.policies[0].rate.limit = 20; }},
        {"period longer", [](ThrottleOptions& o) { o.policies[0].rate.period = 7200s; }},
        {"period shorter", [](ThrottleOptions& o) { o.policies[0].rate.period = 1800s; }},
        {"ring16", [](ThrottleOptions& o) { o.policies[0].representation = Representation::ring16; }},
        {"windows", [](ThrottleOptions& o) { o.policies[0].representation = Representation::windows; }},
        {"more clients", [](ThrottleOptions& o) { o.clients *= 10; }},
        {"fewer clients", [](ThrottleOptions& o) { o.clients /= 2; }},
        {"strict", [](ThrottleOptions& o) { o.strict = true; }},
        {"another scope", [](ThrottleOptions& o) { o.policies.push_back(policy("more", 1, 1s)); }},
    };
    for (const auto& [name, change] : kChanges) BOOST_TEST_CONTEXT(name) {
            Table t({policy("user", 10, 3600s)}, 1000);
            FakeTicks clock;
            auto old = t.open(clock);
            for (unsigned i = 0; i < 100; ++i) accepted_of(old, 1 + i % 10, at(address_number(i)));
            for (std::int64_t i = 1; i <= 20; ++i) accepted_of(old, 4, user(i));
            clock.tick += 10;
            change(t.options);
            auto changed = t.open(clock);
            for (unsigned i = 0; i < 100; ++i) BOOST_REQUIRE_EQUAL(used_of(changed, at(address_number(i))), 1 + i % 10);
            for (std::int64_t i = 1; i <= 20; ++i) BOOST_REQUIRE_EQUAL(used_of(changed, user(i)), 4U);
        }
}

BOOST_AUTO_TEST_CASE(a_lowered_limit_refuses_until_enough_is_over_and_says_when) {
    for (const auto representation : kRepresentations) {
        Table t({kept_as(policy("user", 24, 60s), representation)});
        FakeTicks clock;
        auto old = t.open(clock);
        for (int i = 0; i < 24; ++i) {
            BOOST_REQUIRE(old.check(kFirst, kSomeone).outcome == Outcome::accepted);
            clock.tick += kSecond;
        }
        t.options.policies[0].rate.limit = 3;
        auto throttle = t.open(clock);
        const auto verdict = throttle.check(kFirst, kSomeone);
        BOOST_REQUIRE(verdict.outcome == Outcome::refused);
        BOOST_TEST(verdict.retry_after.count() >= 57);  // the 22nd of 24, three seconds ago
        BOOST_TEST(verdict.retry_after.count() <= 60);
        clock.tick += static_cast<std::uint64_t>(verdict.retry_after.count()) * kSecond;
        BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    }
}

// The oldest one's end brings nothing where more are counted than the limit.
BOOST_AUTO_TEST_CASE(what_is_told_of_a_lowered_limit_is_when_a_request_is_accepted_again) {
    for (const auto representation : {Representation::ring32, Representation::windows}) {
        Table t({policy("user", 5, 1200s)});
        t.options.policies[0].representation = representation;
        FakeTicks clock;
        for (auto throttle = t.open(clock); accepted_of(throttle, 1, kSomeone) == 1U;) clock.tick += 100 * kSecond;
        t.options.policies[0].rate.limit = 2;
        auto throttle = t.open(clock);
        const auto refused = throttle.check(kFirst, kSomeone);
        BOOST_REQUIRE(refused.outcome == Outcome::refused);
        BOOST_TEST(refused.quotas.at(0).remaining == 0U);
        BOOST_TEST(refused.quotas.at(0).more_in.count() == refused.retry_after.count());
        const auto usage = throttle.usage(kSomeone).at(0);
        BOOST_TEST(usage.more_in.count() == refused.retry_after.count());
        clock.tick += (static_cast<std::uint64_t>(usage.more_in.count()) - 20) * kSecond;
        BOOST_TEST(accepted_of(throttle, 1, kSomeone) == 0U);
        clock.tick += 20 * kSecond;
        const auto last = throttle.check(kFirst, kSomeone, {.tell_quotas = true});
        BOOST_REQUIRE(last.outcome == Outcome::accepted);
        BOOST_TEST(last.quotas.at(0).remaining == 0U);
        clock.tick += static_cast<std::uint64_t>(last.quotas.at(0).more_in.count()) * kSecond;
        BOOST_TEST(accepted_of(throttle, 1, kSomeone) == 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_limit_that_is_lowered_and_raised_again_gives_nobody_a_request_more) {
    for (const auto representation : kRepresentations)
        for (const auto lowered : {0U, 1U, 3U}) BOOST_TEST_CONTEXT(int(representation) << ", " << lowered) {
                Table t({kept_as(policy("user", 10, 3600s), representation)});
                FakeTicks clock;
                auto throttle = t.open(clock);
                BOOST_TEST(accepted_of(throttle, 8, kSomeone) == 8U);
                BOOST_TEST(accepted_of(throttle, 2, user(1)) == 2U);
                for (int change = 0; change < 3; ++change) {
                    t.options.policies[0].rate.limit = lowered;
                    throttle = t.open(clock);
                    BOOST_TEST(throttle.note() != "");
                    BOOST_TEST(t.open(clock).note() == "");  // it fits who comes with the same policies
                    BOOST_TEST(used_of(throttle, kSomeone) == (lowered == 0 ? 0U : 8U));
                    BOOST_TEST(accepted_of(throttle, 5, kSomeone) == 0U);
                    t.options.policies[0].rate.limit = 10;
                    throttle = t.open(clock);
                    BOOST_TEST(used_of(throttle, kSomeone) == 8U);
                    BOOST_TEST(used_of(throttle, user(1)) == 2U);
                }
                BOOST_TEST(accepted_of(throttle, 5, kSomeone) == 2U);
                clock.tick += 2 * 3600 * kSecond;
                t.options.policies[0].rate.limit = lowered;
                throttle = t.open(clock);
                BOOST_TEST(std::filesystem::file_size(t.options.folder / "throttle") == memory_of(t.options).bytes);
            }
}

BOOST_AUTO_TEST_CASE(who_runs_with_old_policies_counts_by_the_new_ones_from_then_on) {
    Table t({policy("gone", 1, 60s), policy("user", 3, 60s)});
    FakeTicks clock;
    auto old = t.open(clock);
    BOOST_CHECK(old.check(Scopes{1}, kSomeone).outcome == Outcome::accepted);
    t.options.policies = {policy("new", 9, 60s), policy("other", 9, 60s), policy("user", 2, 60s)};
    auto young = t.open(clock);
    BOOST_CHECK(old.check(Scopes{0, 1}, kSomeone).outcome == Outcome::accepted);
    const auto refused = old.check(Scopes{0, 1}, kSomeone);
    BOOST_CHECK(refused.outcome == Outcome::refused);
    BOOST_TEST(refused.scope == 1U);  // its own name for it
    BOOST_CHECK(young.check(Scopes{2}, kSomeone).outcome == Outcome::refused);
    BOOST_CHECK(old.check(Scopes{0}, kSomeone).outcome == Outcome::accepted);  // a scope that is no more
}

BOOST_AUTO_TEST_CASE(refusals_that_were_not_told_yet_are_told_by_the_new_table) {
    Table t({policy("user", 1, 3600s)});
    FakeTicks clock;
    auto old = t.open(clock);
    for (int i = 0; i < 5; ++i) static_cast<void>(old.check(kFirst, kSomeone));
    t.options.policies.insert(t.options.policies.begin(), policy("new", 1, 60s));
    auto young = t.open(clock);
    clock.tick += 601 * kSecond;
    const auto told = old.take_refusals();
    BOOST_REQUIRE_EQUAL(told.size(), 1U);
    BOOST_TEST(told[0].scope == "user");
    BOOST_TEST(told[0].client == "192.0.2.7");
    BOOST_TEST(told[0].count == 4U);
    BOOST_TEST(young.take_refusals().empty());
}

// Eight workers ask without a pause while policies and sizes change fifty times: nobody gets a request more, nobody waits for long.
BOOST_AUTO_TEST_CASE(reloads_under_load_give_nobody_a_limit_twice) {
    constexpr unsigned kWorkers = 8;
    constexpr unsigned kReloads = 50;
    constexpr std::uint32_t kLimit = 100;
    constexpr unsigned kClients = 40;
    Table t({policy("user", kLimit, 86'400s)}, 4096);
    auto first = t.open(boot_ticks());
    struct Seen {
        std::atomic<std::uint64_t> accepted[kClients];
        std::atomic<bool> stop;
        std::atomic<std::uint64_t> slowest;  // microseconds
        std::atomic<std::uint64_t> stalled;
    };
    auto* const seen = shared_memory<Seen>();
    std::vector<pid_t> workers;
    for (unsigned w = 0; w < kWorkers; ++w)
        workers.push_back(in_child([&, w] {
            auto throttle = t.open(boot_ticks());
            for (unsigned i = w; !seen->stop; ++i) {
                const WaitingTime waiting;
                const auto outcome = throttle.check(kFirst, at(address_number(i % kClients))).outcome;
                const auto took = waiting.so_far();
                seen->accepted[i % kClients] += outcome == Outcome::accepted;
                seen->stalled += outcome > Outcome::refused;
                auto slowest = seen->slowest.load();
                while (static_cast<std::uint64_t>(took.count()) > slowest && !seen->slowest.compare_exchange_weak(slowest, took.count())) {
                }
                if (i % 64 == 0) ::usleep(200);
            }
        }));
    std::uint64_t slowest = std::numeric_limits<std::uint64_t>::max();  // of ten reloads, where the machine itself didn't stand still
    for (unsigned reload = 0; reload < kReloads; ++reload) {
        if (reload % 10 == 0 && reload > 0) slowest = std::min(slowest, seen->slowest.exchange(0));
        auto options = t.options;
        options.clients = 4096 + reload % 7 * 512;
        options.policies[0].representation = kRepresentations[reload % 2];  // both give exactly the limit
        if (reload % 3 == 0) options.policies.push_back(policy("extra", 5, 60s));
        BOOST_REQUIRE(ended_well(in_child([&] { static_cast<void>(Throttle::open(options)); })));
    }
    seen->stop = true;
    for (const auto worker : workers) BOOST_REQUIRE(ended_well(worker));
    auto last = t.open(boot_ticks());
    for (unsigned client = 0; client < kClients; ++client) {
        const auto rest = accepted_of(last, kLimit, at(address_number(client)));
        BOOST_TEST(seen->accepted[client] + rest == kLimit);
    }
    BOOST_TEST(seen->stalled.load() == 0U);
    BOOST_TEST((kSanitized || slowest < 250'000U));  // of it for others inside who have no processor
    BOOST_TEST_MESSAGE("slowest check: " << slowest << " microseconds");
}

BOOST_AUTO_TEST_CASE(whoever_replaces_a_table_may_be_killed_at_any_moment) {
    Table t({policy("user", 5, 86'400s)}, 20'000);
    auto throttle = t.open(boot_ticks());
    std::mt19937 random(7);
    for (unsigned i = 0; i < 5000; ++i) static_cast<void>(throttle.check(kFirst, at(address_number(i))));
    BOOST_REQUIRE_EQUAL(accepted_of(throttle, 10, kSomeone), 5U);
    for (unsigned round = 0; round < 60; ++round) {
        auto options = t.options;
        options.clients += 100 + round;
        const auto child = in_child([&] { static_cast<void>(Throttle::open(options)); });
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
        ::kill(child, SIGKILL);
        wait_for(child);
        BOOST_REQUIRE(throttle.check(kFirst, kSomeone).outcome == Outcome::refused);
        BOOST_REQUIRE_EQUAL(used_of(throttle, at(address_number(round))), 1U);
    }
}

// As left by one who was killed between the two: retired, and nothing in its place.
BOOST_AUTO_TEST_CASE(a_table_that_was_retired_and_not_replaced_is_taken_over_by_the_next_request) {
    Table t({policy("user", 2, 86'400s)});
    auto throttle = t.open(boot_ticks());
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    const auto file = SharedFile::attach(t.options.folder / "throttle");
    reinterpret_cast<Header*>(file->bytes().data())->retired = 1;
    const Layout layout(t.options);
    auto* const stripes = reinterpret_cast<Stripe*>(file->bytes().data() + Layout::offset_of_stripes());
    for (std::size_t i = 0; i < layout.stripes(); ++i) stripes[i].retired = 1;
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::refused);
    BOOST_TEST(!file->is_still(t.options.folder / "throttle"));
}

BOOST_AUTO_TEST_CASE(without_room_for_the_new_table_the_old_one_goes_on) {
    Table t({policy("user", 2, 86'400s)});
    auto throttle = t.open(boot_ticks());
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    const auto child = in_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{100'000, 100'000};
        ::setrlimit(RLIMIT_FSIZE, &small);
        auto options = t.options;
        options.clients = 100'000;
        try {
            static_cast<void>(Throttle::open(options));
        } catch (const std::exception&) {
            return;
        }
        throw 1;
    });
    BOOST_TEST(ended_well(child));
    BOOST_TEST(used_of(throttle, kSomeone) == 1U);
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::accepted);
    BOOST_CHECK(throttle.check(kFirst, kSomeone).outcome == Outcome::refused);
}

// Of a worker that runs with the old policies and has had no request since: what its keeper saves, and what an operator does there.
BOOST_AUTO_TEST_CASE(who_has_not_counted_since_a_reload_speaks_of_the_new_table_too) {
    Table t({policy("user", 3, 86'400s)});
    t.options.snapshot = t.folder.path() / "snapshot";
    FakeTicks clock;
    const auto idle = [&] { return t.open(clock); };
    auto old = idle(), resets_client = idle(), resets_scope = idle(), saves = idle();
    t.options.policies.push_back(policy("more", 1, 1s));
    auto young = t.open(clock);
    BOOST_TEST(accepted_of(young, 2, kSomeone) == 2U);
    BOOST_TEST(used_of(old, kSomeone) == 2U);
    BOOST_TEST(idle().counters().accepted == 2U);

    saves.save();
    std::filesystem::remove_all(t.options.folder);
    auto rebooted = idle();
    BOOST_TEST(used_of(rebooted, kSomeone) == 2U);

    resets_client = idle();
    resets_scope = idle();
    t.options.policies.pop_back();
    young = t.open(clock);
    resets_client.reset(kSomeone);
    BOOST_TEST(accepted_of(young, 5, kSomeone) == 3U);
    resets_scope.reset(Throttle::Scope{0});
    BOOST_TEST(accepted_of(young, 5, kSomeone) == 3U);
}

BOOST_AUTO_TEST_CASE(nobody_waits_for_long_while_a_large_table_is_replaced, *boost::unit_test::enable_if<!kSanitized>()) {
    constexpr unsigned kClients = 65'536;
    Table t({policy("user", 1000, 86'400s)}, kClients);
    auto throttle = t.open(boot_ticks());
    for (unsigned i = 0; i < kClients; ++i) static_cast<void>(throttle.check(kFirst, at(address_number(i)), {.cost = 999}));
    struct Seen {
        std::atomic<bool> stop;
        std::atomic<std::int64_t> slowest;  // microseconds
        std::atomic<unsigned> stalled;
    };
    auto* const seen = shared_memory<Seen>();
    const auto worker = in_child([&] {
        for (unsigned i = 0; i < kClients && !seen->stop; i += 1, ::usleep(50)) {
            const WaitingTime waiting;
            seen->stalled += throttle.check(kFirst, at(address_number(i))).outcome > Outcome::refused;
            seen->slowest = std::max<std::int64_t>(seen->slowest, waiting.so_far().count());
        }
    });
    std::int64_t least = 1'000'000;  // of some reloads, lest a busy machine count
    for (unsigned reload = 0; reload < 3; ++reload) {
        seen->slowest = 0;
        t.options.clients += 1000;
        BOOST_TEST(ended_well(in_child([&] { static_cast<void>(t.open(boot_ticks())); })));
        least = std::min(least, seen->slowest.load());
    }
    seen->stop = true;
    BOOST_TEST(ended_well(worker));
    BOOST_TEST(seen->stalled == 0U);
    BOOST_TEST(least < 50'000);
    BOOST_TEST_MESSAGE("slowest check: " << least << " microseconds");
}

BOOST_AUTO_TEST_CASE(who_slept_through_several_reloads_counts_in_the_last_one) {
    Table t({policy("user", 3, 86'400s)});
    auto sleeper = t.open(boot_ticks());
    BOOST_TEST(accepted_of(sleeper, 1, kSomeone) == 1U);
    std::vector<Throttle> young;
    for (int reload = 0; reload < 3; ++reload) {
        t.options.clients *= 2;
        young.push_back(t.open(boot_ticks()));
    }
    BOOST_TEST(accepted_of(young.back(), 1, kSomeone) == 1U);
    for (auto* const throttle : {&sleeper, &young[0], &young[2]}) BOOST_TEST(accepted_of(*throttle, 3, kSomeone) == (throttle == &sleeper));
}

namespace {

// Replaces the table and, with the lock of the stripe number `stripe` in his hand, is stopped.
pid_t stopped_at(const Table& t, unsigned stripe) {
    const auto child = in_child([&] {
        const HookedTicks stop([&, stripes = 0U]() mutable {
            if (stripes++ == stripe) ::raise(SIGSTOP);  // they are read once in each
        });
        static_cast<void>(t.open(stop));
    });
    BOOST_REQUIRE(WIFSTOPPED(wait_for(child, WUNTRACED)));
    return child;
}

}  // namespace

// A reload that somebody suspended or killed: clients that were moved and those that weren't count all the same.
BOOST_AUTO_TEST_CASE(half_way_through_a_reload_each_client_has_one_limit) {
    constexpr unsigned kClients = 300;
    for (const bool is_killed : {false, true}) BOOST_TEST_CONTEXT(is_killed) {
            Table t({policy("user", 3, 86'400s)}, 4096);
            auto throttle = t.open(boot_ticks());
            auto other = t.open(boot_ticks());
            for (unsigned i = 0; i < kClients; ++i) BOOST_REQUIRE_EQUAL(accepted_of(throttle, 1, at(address_number(i))), 1U);
            auto changed = t.options;
            t.options.clients *= 2;
            const auto child = stopped_at(t, 10);  // of 20 of addresses and 1 of users
            const auto before = std::chrono::steady_clock::now();
            std::vector<unsigned> stalled;
            for (unsigned i = 0; i < kClients; ++i) {
                const auto outcome = (i % 2 == 0 ? throttle : other).check(kFirst, at(address_number(i))).outcome;
                BOOST_REQUIRE(outcome != Outcome::refused);
                if (outcome > Outcome::refused) stalled.push_back(i);
            }
            BOOST_TEST((stalled.size() > 0U && stalled.size() < kClients / 8));
            BOOST_TEST((std::chrono::steady_clock::now() - before < 1500ms));
            ::kill(child, is_killed ? SIGKILL : SIGCONT);
            if (is_killed) wait_for(child);
            for (const auto i : stalled) BOOST_REQUIRE(check_until_answered(throttle, kFirst, at(address_number(i))) == Outcome::accepted);
            for (unsigned i = 0; i < kClients; i += 2) BOOST_REQUIRE_EQUAL(accepted_of(other, 3, at(address_number(i))), 1U);
            if (!is_killed) BOOST_TEST(ended_well(child));
            changed.clients += 100;
            auto young = Throttle::open(changed);  // if he was killed, after what he had begun
            for (unsigned i = 0; i < kClients; ++i) {
                BOOST_REQUIRE_EQUAL(used_of(young, at(address_number(i))), i % 2 == 0 ? 3U : 2U);
                auto& any = i % 3 == 0 ? young : i % 3 == 1 ? throttle : other;
                BOOST_REQUIRE_EQUAL(accepted_of(any, 3, at(address_number(i))), i % 2);
            }
            BOOST_TEST(!std::filesystem::exists(t.options.folder / "throttle.next"));
        }
}

BOOST_AUTO_TEST_CASE(a_process_stopped_inside_counts_again_in_the_table_that_took_over) {
    Table t({policy("user", 3, 86'400s)});
    auto throttle = t.open(boot_ticks());
    const auto child = in_child([&] {
        static_cast<void>(throttle.check(kFirst, kSomeone));
        const HookedTicks stop([stopped = false]() mutable {
            if (!std::exchange(stopped, true)) ::raise(SIGSTOP);
        });
        auto own = t.open(stop);
        if (own.check(kFirst, kSomeone).outcome != Outcome::accepted) throw 1;
    });
    BOOST_REQUIRE(WIFSTOPPED(wait_for(child, WUNTRACED)));
    t.options.clients *= 2;
    auto young = t.open(boot_ticks());
    BOOST_TEST(used_of(young, kSomeone) == 1U);
    ::kill(child, SIGCONT);
    BOOST_TEST(ended_well(child));
    BOOST_TEST(used_of(young, kSomeone) == 2U);
    BOOST_TEST(accepted_of(young, 5, kSomeone) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_file_removed_by_hand)

BOOST_AUTO_TEST_CASE(is_made_again_with_all_counts) {
    const Table t({policy("user", 3, 86'400s)});
    auto one = t.open(boot_ticks()), other = t.open(boot_ticks());
    BOOST_TEST(one.look_after() == "");
    BOOST_TEST(accepted_of(one, 2, kSomeone) == 2U);
    std::filesystem::remove_all(t.options.folder);
    BOOST_TEST(one.look_after().find("was removed; made it again, with all counts") != std::string::npos);
    BOOST_TEST(other.look_after() == "");
    auto young = t.open(boot_ticks());
    BOOST_TEST(young.note() == "");
    BOOST_TEST(accepted_of(young, 5, kSomeone) == 1U);
    for (auto* const throttle : {&one, &other}) BOOST_TEST(accepted_of(*throttle, 5, kSomeone) == 0U);
}

BOOST_AUTO_TEST_CASE(is_not_made_again_by_each_who_notices) {
    const Table t({policy("user", 3, 86'400s)});
    auto first = t.open(boot_ticks());
    auto* const made = shared_memory<std::atomic<unsigned>>();
    auto* const ready = shared_memory<std::atomic<unsigned>>();
    auto* const removed = shared_memory<std::atomic<bool>>();
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i)
        children.push_back(in_child([&] {
            auto throttle = t.open(boot_ticks());
            ++*ready;
            while (!*removed) std::this_thread::yield();
            *made += !throttle.look_after().empty();
            if (accepted_of(throttle, 1, kSomeone) > 1) throw 1;
        }));
    while (*ready < children.size()) std::this_thread::yield();
    std::filesystem::remove(t.options.folder / "throttle");
    *removed = true;
    for (const auto child : children) BOOST_TEST(ended_well(child));
    BOOST_TEST(*made <= 1U);
    BOOST_TEST(first.look_after().empty() == (*made == 1U));
    BOOST_TEST(used_of(t.open(boot_ticks()), kSomeone) == 3U);
}

// Whoever starts before that has nothing to take over from: from then on all count where he does.
BOOST_AUTO_TEST_CASE(and_made_by_a_newcomer_is_the_one_where_all_count) {
    const Table t({policy("user", 3, 86'400s)});
    auto old = t.open(boot_ticks());
    BOOST_TEST(accepted_of(old, 3, kSomeone) == 3U);
    std::filesystem::remove(t.options.folder / "throttle");
    auto young = t.open(boot_ticks());
    BOOST_TEST(accepted_of(young, 1, kSomeone) == 1U);
    BOOST_TEST(old.look_after().find("what was counted is lost") != std::string::npos);
    BOOST_TEST(old.look_after() == "");
    BOOST_TEST(accepted_of(old, 5, kSomeone) == 2U);
    BOOST_TEST(accepted_of(young, 5, kSomeone) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(over_a_reboot)

namespace {

struct Rebooting : Table {
    Rebooting() : Table({policy("user", 3, 3600s), policy("anon", 2, 86'400s, true)}) { options.snapshot = folder.path() / "snapshot"; }
    void lose_memory() const { std::filesystem::remove_all(options.folder); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_snapshot_brings_the_counts_back) {
    const Rebooting t;
    FakeTicks before(1000 * kDay);
    {
        auto throttle = t.open(before);
        BOOST_TEST(accepted_of(throttle, 2, kSomeone) == 2U);
        BOOST_TEST(accepted_of(throttle, 3, user(7)) == 3U);
        throttle.save();
    }
    t.lose_memory();
    FakeTicks after(800 * kDay);  // ticks begin anew
    auto throttle = t.open(after);
    BOOST_TEST(throttle.note().find("taken from the snapshot, counts kept: user, anon") != std::string::npos);
    BOOST_TEST(accepted_of(throttle, 5, kSomeone) == 1U);
    BOOST_TEST(accepted_of(throttle, 5, user(7)) == 0U);
    after.tick += 3601 * kSecond;
    BOOST_TEST(accepted_of(throttle, 5, user(7)) == 3U);
}

BOOST_AUTO_TEST_CASE(downtime_counts_and_a_wall_clock_that_went_back_counts_as_none) {
    ThrottleSnapshot snapshot;
    snapshot.scopes = {"user"};
    snapshot.records.push_back({.scope = 0, .is_user = true, .tag = 5, .ages = {160, 16}});
    const TemporaryFolder folder;
    const auto saved_at = std::chrono::system_clock::time_point(1'700'000'000s);
    save(snapshot, folder / "s", saved_at);
    BOOST_TEST(load_snapshot(folder / "s", saved_at + 90s)->downtime == 90 * kTicksPerSecond);
    BOOST_TEST(load_snapshot(folder / "s", saved_at - 1h)->downtime == 0U);
    BOOST_TEST((load_snapshot(folder / "s", saved_at)->records.at(0).ages == std::vector<std::uint32_t>{160, 16}));
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_is_not_whole_is_none) {
    ThrottleSnapshot snapshot;
    snapshot.scopes = {"user", "anon"};
    for (std::uint64_t tag = 1; tag < 20; ++tag) snapshot.records.push_back({.scope = 1, .is_user = false, .tag = tag, .ages = {9, 3}});
    const TemporaryFolder folder;
    const auto now = std::chrono::system_clock::now();
    save(snapshot, folder / "s", now);
    const auto whole = read_file(folder / "s");
    BOOST_REQUIRE(load_snapshot(folder / "s", now));
    for (std::size_t i = 0; i < whole.size(); ++i) {
        auto broken = whole;
        broken[i] = static_cast<char>(broken[i] ^ 1);
        replace_file(folder / "s", broken);
        BOOST_REQUIRE(!load_snapshot(folder / "s", now));
        replace_file(folder / "s", whole.substr(0, i));
        BOOST_REQUIRE(!load_snapshot(folder / "s", now));
    }
    BOOST_TEST(!load_snapshot(folder / "nowhere", now));
}

BOOST_AUTO_TEST_CASE(a_table_of_this_boot_goes_before_a_snapshot) {
    const Rebooting t;
    auto throttle = t.open(boot_ticks());
    throttle.save();
    BOOST_TEST(accepted_of(throttle, 5, kSomeone) == 3U);
    auto again = t.open(boot_ticks());
    BOOST_TEST(accepted_of(again, 5, kSomeone) == 0U);
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_cannot_be_written_is_an_error_and_leaves_the_last_one) {
    Rebooting t;
    auto throttle = t.open(boot_ticks());
    throttle.save();
    const auto last = read_file(t.options.snapshot);
    const auto child = in_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_FSIZE, &none);
        try {
            throttle.save();
        } catch (const std::system_error&) {
            return;
        }
        throw 1;
    });
    BOOST_TEST(ended_well(child));
    BOOST_TEST(read_file(t.options.snapshot) == last);
}

BOOST_AUTO_TEST_SUITE_END()
