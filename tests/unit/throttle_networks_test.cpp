// Floods from one network: what one customer of a provider can take from all others.
#define BOOST_TEST_MODULE throttle_networks
#include <deque>
#include <map>
#include <random>
#include <set>

#include "fcgi/view_throttle.hpp"
#include "tests/support/throttles.hpp"
#include "throttle/client_key.hpp"

using namespace recto;

namespace {

constexpr std::uint32_t kClients = 4096;
constexpr unsigned kFlood = 6000;
constexpr unsigned kNewcomers = 500;

std::string hex_of(unsigned number) {
    char text[16];
    std::snprintf(text, sizeof text, "%x", number);
    return text;
}

// Addresses of the flood, each a client of its own.
std::string in_one_48(unsigned i) { return "2001:db8:1:" + hex_of(i) + "::1"; }
std::string in_many_48s(unsigned i) { return "2001:db8:" + hex_of(i) + "::1"; }
std::string in_one_16(unsigned i) { return "198.51." + std::to_string(i / 250) + '.' + std::to_string(i % 250); }
std::string in_twelve_48s(unsigned i) { return "2001:" + hex_of(0xa00 + i % 12) + ":1:" + hex_of(i) + "::1"; }
std::string in_sixty_48s(unsigned i) { return "2001:" + hex_of(0xa00 + i % 60) + ":1:" + hex_of(i) + "::1"; }
std::string in_both_families(unsigned i) { return i % 2 == 0 ? in_one_48(i / 2) : in_one_16(i / 2); }

struct Flood {
    const char* name;
    std::string (*address)(unsigned);
};
constexpr Flood kFloods[] = {{"one /48", in_one_48},         {"many /48s of one /32", in_many_48s}, {"one /16", in_one_16},
                             {"twelve /48s", in_twelve_48s}, {"sixty /48s", in_sixty_48s},          {"a /48 and a /16", in_both_families}};

// Somebody elsewhere: no two of them in one network.
std::string elsewhere(unsigned i) { return std::to_string(20 + i % 100) + '.' + std::to_string(i / 100) + ".7.1"; }

struct Flooded : OneClock {
    Flooded(std::vector<ThrottlePolicy> policies, std::uint32_t clients = kClients) : OneClock(std::move(policies), clients) {}

    // Each client uses all it can get.
    void flood(const Flood& with, const Scopes& scopes = kFirst, unsigned clients = kFlood) {
        for (unsigned i = 0; i < clients; ++i) {
            while (accepts(at(with.address(i)), scopes)) continue;
            if (i % 10 == 0) ++clock.tick;
        }
    }
    unsigned refused_of_newcomers(const Scopes& scopes = kFirst) {
        unsigned refused = 0;
        for (unsigned i = 0; i < kNewcomers; ++i) refused += !accepts(at(elsewhere(i)), scopes);
        return refused;
    }
    unsigned free_again(const Flood& with, const Scopes& scopes = kFirst) {
        unsigned free = 0;
        for (unsigned i = 0; i < kFlood; ++i) free += accepts(at(with.address(i)), scopes);
        return free;
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(a_flood_from_one_network)

BOOST_AUTO_TEST_CASE(refuses_no_newcomer_from_elsewhere_and_frees_nobody) {
    for (const auto& flood : kFloods) BOOST_TEST_CONTEXT(flood.name) {
            Flooded t({policy("anon", 100, 86'400s, true)});
            t.flood(flood);
            const auto refused = t.refused_of_newcomers();
            BOOST_TEST_MESSAGE(flood.name << ": refused " << refused << " of " << kNewcomers);
            BOOST_TEST(refused == 0U);
            BOOST_TEST(t.free_again(flood) == 0U);
        }
}

BOOST_AUTO_TEST_CASE(does_neither_in_any_of_several_scopes) {
    Flooded t({policy("anon", 5, 86'400s, true), policy("user", 8, 3600s), policy("blog", 3, 86'400s)});
    t.options.policies[1].representation = Representation::ring16;
    t.options.policies[2].representation = Representation::windows;
    t.throttle = t.open(t.clock);
    for (const auto& scopes : {Scopes{0}, Scopes{1}, Scopes{2}, Scopes{0, 1, 2}}) {
        t.flood(kFloods[0], scopes);
        BOOST_TEST(t.refused_of_newcomers(scopes) == 0U);
        BOOST_TEST(t.free_again(kFloods[0], scopes) == 0U);
    }
    for (std::int64_t id = 0; id < 64; ++id) BOOST_TEST(t.accepts(user(id), {1, 2}));
}

BOOST_AUTO_TEST_CASE(of_wrong_tokens_refuses_no_valid_one) {
    for (const auto& flood : kFloods) BOOST_TEST_CONTEXT(flood.name) {
            Flooded t({policy("wrong_tokens", 60, 3600s, true)});
            const ViewThrottle view(t.throttle, {}, "users");
            t.flood(flood);
            unsigned refused = 0;
            for (unsigned i = 0; i < 300; ++i) refused += view.refusal_of_guesses(elsewhere(i)).has_value();
            for (unsigned i = 0; i < 10; ++i)
                BOOST_TEST(view.refusal_of_guesses(flood.address(i)).has_value());  // who guessed is not let in
            BOOST_TEST_MESSAGE(flood.name << ": refused " << refused << " of 300 valid tokens");
            BOOST_TEST(refused == 0U);
        }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(without_room)

// A table that groups nobody, full of exhausted clients.
struct Full : OneClock {
    Full() : OneClock({policy("wrong_tokens", 2, 3600s, true)}, 64), view(throttle, {}, "users") {
        while (accepts(at(address_number(next)))) BOOST_REQUIRE(accepts(at(address_number(next++))));
        while (refused_in_a_row < 40) refused_in_a_row = accepted_of(3, at(address_number(++next))) == 0 ? refused_in_a_row + 1 : 0;
    }
    unsigned next = 0, refused_in_a_row = 0;
    ViewThrottle view;
};

BOOST_AUTO_TEST_CASE(a_token_is_looked_at_and_a_wrong_one_is_told_so) {
    Full t;
    unsigned without_room = 0;
    for (unsigned i = 0; i < 300; ++i) {
        const auto address = elsewhere(i);
        BOOST_TEST(!t.view.refusal_of_guesses(address));
        without_room += t.throttle.check(kFirst, at(address)).no_room;
        BOOST_TEST(!t.view.refusal_after_wrong_token(address));
    }
    BOOST_TEST(without_room > 250U);
    BOOST_TEST(t.throttle.counters().no_room >= without_room);
    BOOST_TEST(t.view.refusal_of_guesses(address_number(0)).has_value());  // it did guess
    BOOST_TEST(!t.throttle.check(kFirst, at(address_number(0))).no_room);
}

BOOST_AUTO_TEST_CASE(a_newcomer_has_used_nothing) {
    Full t;
    for (unsigned i = 0; i < 50; ++i) BOOST_TEST(t.used(at(elsewhere(i))) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_network)

namespace {

constexpr std::size_t kRecords = 5120;  // of 4096 clients

// More than three quarters of the records are of one /48, whose clients have used all they could.
struct Crowded : Flooded {
    explicit Crowded(std::uint32_t limit = 3) : Flooded({policy("anon", limit, 86'400s, true)}) { flood(kFloods[0], kFirst, 4500); }
};

unsigned accepted_of_new(OneClock& t, std::string (*address)(unsigned), unsigned first, unsigned count) {
    unsigned accepted = 0;
    for (unsigned i = first; i < first + count; ++i) accepted += t.accepted_of(20, at(address(i)));
    return accepted;
}

std::string in_another_48(unsigned i) { return "2001:db8:2:" + hex_of(i) + "::1"; }
std::string in_one_24(unsigned i) { return "203.0.113." + std::to_string(i); }

}  // namespace

BOOST_AUTO_TEST_CASE(is_not_looked_at_below_three_quarters_nor_in_a_small_table) {
    Flooded t({policy("anon", 3, 86'400s, true)});
    BOOST_TEST(accepted_of_new(t, in_one_48, 0, 3800) >= 3 * 3750U);  // a stripe may be full before
    Flooded small({policy("anon", 3, 86'400s, true)}, 1000);
    BOOST_TEST(accepted_of_new(small, in_one_48, 0, 1000) >= 3 * 990U);
}

BOOST_AUTO_TEST_CASE(above_its_share_gets_the_limit_of_one_client_for_all_new_ones) {
    Flooded t({policy("anon", 3, 86'400s, true)});
    const auto accepted = accepted_of_new(t, in_one_48, 0, 6000);
    BOOST_TEST(accepted > 3 * (kRecords * 3 / 4));
    BOOST_TEST(accepted <= 3 * (kRecords * 3 / 4 + 3));
    Flooded least({policy("anon", 3, 86'400s, true)}, 1024);
    BOOST_TEST(accepted_of_new(least, in_one_48, 0, 1280) <= 3 * (960 + 3U));
}

BOOST_AUTO_TEST_CASE(below_its_share_is_not_grouped_and_what_one_holds_above_is_not_the_larger_ones) {
    Crowded t;
    BOOST_TEST(accepted_of_new(t, in_one_24, 0, 150) == 3 * 150U);
    BOOST_TEST(accepted_of_new(t, in_another_48, 0, 150) == 3 * 150U);  // of the same /32 as the flood
    BOOST_TEST(accepted_of_new(t, in_another_48, 150, 100) <= 3 * 14U);
}

BOOST_AUTO_TEST_CASE(of_whom_one_counts_together_is_told_what_is_left) {
    Crowded t(10);
    t.throttle.reset(at(in_one_48(5000)));  // of all who count with their network
    BOOST_TEST(t.accepts(at(in_one_48(5000))));
    t.clock.tick += kSecond;
    const auto verdict = t.throttle.check(kFirst, at(in_one_48(5001)), {.cost = 2, .tell_quotas = true});
    BOOST_REQUIRE_EQUAL(verdict.quotas.size(), 1U);
    BOOST_TEST(verdict.quotas[0].remaining == 7U);
    BOOST_TEST(verdict.quotas[0].more_in.count() == 86'399);
    BOOST_TEST(t.used(at(in_one_48(5002))) == 3U);
    BOOST_TEST(t.accepted_of(20, at(in_one_48(5002))) == 7U);
    const auto refused = t.throttle.check(kFirst, at(in_one_48(5003)));
    BOOST_CHECK(refused.outcome == Outcome::refused);
    BOOST_TEST(!refused.no_room);
    BOOST_TEST(refused.retry_after.count() == 86'399);
    t.clock.tick += static_cast<std::uint64_t>(refused.retry_after.count()) * kSecond;
    BOOST_TEST(t.accepts(at(in_one_48(5003))));
    const auto fullest = t.throttle.fullest(5000);
    BOOST_TEST(std::ranges::count_if(fullest, &Throttle::Record::is_network) == 1);
}

BOOST_AUTO_TEST_CASE(is_forgotten_with_its_records_and_a_full_part_is_told_once_when_it_begins_and_ends) {
    Crowded t;
    const auto told = t.throttle.recount();
    BOOST_REQUIRE_EQUAL(told.size(), 1U);
    BOOST_TEST((told[0].scope == "anon" && told[0].is_full && !told[0].users && told[0].records == kRecords && told[0].used > 3840U));
    BOOST_TEST(t.throttle.recount().empty());
    t.clock.tick += 2 * kDay;
    const auto ended = t.throttle.recount();
    BOOST_REQUIRE_EQUAL(ended.size(), 1U);
    BOOST_TEST((ended[0].scope == "anon" && !ended[0].is_full && ended[0].used == 0U));
    BOOST_TEST(t.throttle.recount().empty());
    BOOST_TEST(accepted_of_new(t, in_one_48, 10'000, 3000) == 3 * 3000U);
}

BOOST_AUTO_TEST_CASE(is_counted_again_each_second_without_what_has_expired) {
    Flooded t({policy("anon", 1, 10s, true)});
    BOOST_TEST(accepted_of_new(t, in_one_48, 0, 3000) == 3000U);
    t.clock.tick += 9 * kSecond;
    BOOST_TEST(accepted_of_new(t, in_one_24, 0, 250) == 250U);
    BOOST_TEST(accepted_of_new(t, in_one_16, 0, 650) >= 600U);
    t.clock.tick += 1 * kSecond;  // the first three thousand are over
    static_cast<void>(t.throttle.recount());
    BOOST_TEST(accepted_of_new(t, in_another_48, 0, 2500) == 2500U);
    BOOST_TEST(t.throttle.counters().no_room == 0U);
}

BOOST_AUTO_TEST_CASE(stays_known_over_a_reload_and_a_reboot) {
    for (const bool is_reboot : {false, true}) BOOST_TEST_CONTEXT(is_reboot) {
            Crowded t;
            t.options.snapshot = t.folder / "snapshot";
            t.throttle = t.open(t.clock);
            if (is_reboot) {
                t.throttle.save();
                std::filesystem::remove(t.options.folder / "throttle");
            } else {
                t.options.clients += 100;
            }
            t.throttle = t.open(t.clock);
            BOOST_TEST(!t.throttle.note().empty());
            BOOST_TEST(t.free_again(kFloods[0]) == 0U);
            BOOST_TEST(t.refused_of_newcomers() == 0U);
            BOOST_TEST(accepted_of_new(t, in_one_48, 20'000, 100) == 0U);
        }
}

BOOST_AUTO_TEST_CASE(is_begun_anew_with_its_scope) {
    Crowded t;
    BOOST_TEST(accepted_of_new(t, in_one_48, 5000, 10) == 0U);
    t.throttle.reset(Throttle::Scope{0});
    BOOST_TEST(accepted_of_new(t, in_one_48, 5000, 3000) == 3 * 3000U);
}

// The serial model of each client is the rule itself; what a record of fewer requests than its limit loses is counted.
BOOST_AUTO_TEST_CASE(gives_no_client_more_than_its_limit_however_it_was_counted) {
    for (unsigned seed = 1; seed <= 6; ++seed) BOOST_TEST_CONTEXT("seed " << seed) {
            std::mt19937 random(seed);
            const Rate rate{2 + seed % 3, 3600s};
            OneClock t({policy("anon", rate.limit, rate.period, true)}, 1024);
            t.options.policies[0].representation = seed % 3 == 2 ? Representation::windows : Representation::ring32;
            t.throttle = t.open(t.clock);
            std::map<std::string, std::deque<std::uint64_t>> accepts;
            std::uint64_t excess = 0, forgotten = 0;
            unsigned grouped = 0;
            for (unsigned step = 0; step < 30'000; ++step) {
                t.clock.tick += random() % (seed % 2 == 0 ? 600 : 3000);
                const auto i = static_cast<unsigned>(random() % 3000);
                const auto address = random() % 8 == 0 ? elsewhere(i % 500) : kFloods[step / 5000].address(i);
                auto& times = accepts[address];
                while (!times.empty() && times.front() + 3600 * kSecond <= t.clock.tick) times.pop_front();
                while (t.accepts(at(address))) times.push_back(t.clock.tick);
                if (times.size() > rate.limit) excess += times.size() - rate.limit, times.erase(times.begin(), times.end() - rate.limit);
                grouped += times.empty();
                if (step % 500 == 0) static_cast<void>(t.throttle.recount());
                if (step % 7000 == 6999) {
                    forgotten += t.throttle.counters().evicted_live_requests;
                    t.options.clients += 8;
                    t.throttle = t.open(t.clock);
                }
            }
            forgotten += t.throttle.counters().evicted_live_requests;
            BOOST_TEST(excess == 0U);
            BOOST_TEST(forgotten == 0U);
            std::cerr << "EXCESS " << seed << " " << excess << " " << forgotten << " " << grouped << "\n";
            BOOST_TEST(grouped > 100U);
        }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_key_of_a_client)

BOOST_AUTO_TEST_CASE(names_the_two_networks_of_an_address) {
    const auto same = [&](std::string_view one, std::string_view other, std::size_t level) {
        const ClientKey a(at(one)), b(at(other));
        return a.networks()[level] == b.networks()[level];
    };
    BOOST_TEST(same("2001:db8:1::1", "2001:db8:1:ffff::1", 0));
    BOOST_TEST(!same("2001:db8:1::1", "2001:db8:2::1", 0));
    BOOST_TEST(same("2001:db8:1::1", "2001:db8:2::1", 1));
    BOOST_TEST(!same("2001:db8:1::1", "2001:db9:1::1", 1));
    BOOST_TEST(same("192.0.2.1", "192.0.2.200", 0));
    BOOST_TEST(same("192.0.2.1", "::ffff:192.0.2.9", 0));
    BOOST_TEST(!same("192.0.2.1", "192.0.3.1", 0));
    BOOST_TEST(same("192.0.2.1", "192.0.3.1", 1));
    BOOST_TEST(!same("192.0.2.1", "192.1.2.1", 1));
    BOOST_TEST(!same("52.46.54.1", "3432:3634:3632::1", 1));  // other bytes of one text
    for (const auto& client : {at("unix:"), at(""), user(1)}) BOOST_TEST(ClientKey(client).networks()[1].empty());
}

BOOST_AUTO_TEST_SUITE_END()
