#define BOOST_TEST_MODULE flights
#include "cache/flights.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

struct Host {
    TemporaryFolder folder;
    Flights::Options options{.lock_file = folder / "lock"};
    Flights flights{options};
};

CacheHit some_entry() { return std::make_shared<CacheEntry>(); }

// Counts its wakes.
struct Someone {
    std::atomic<int> woken = 0;
    Flights::Waiter waiter{[this] { ++woken; }};
};

template <class T>
bool landed_as(const Someone& someone) {
    return std::holds_alternative<T>(someone.waiter.landing());
}

// Another process that leads until it is killed.
class OtherLeader {
public:
    OtherLeader(const Flights::Options& options, std::string_view key) {
        int ready[2];
        if (::pipe(ready) != 0) throw std::runtime_error("pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            Flights flights(options);
            const auto joined = flights.join(key, nullptr);
            const char leads = joined.lead ? 'y' : 'n';
            if (::write(ready[1], &leads, 1) == 1) ::pause();
            ::_exit(0);
        }
        if (::read(ready[0], &leads_, 1) != 1) throw std::runtime_error("read");
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~OtherLeader() { kill(); }

    [[nodiscard]] bool leads() const { return leads_ == 'y'; }
    void kill() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_ = 0;
    char leads_ = 'n';
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_leads_and_the_others_get_what_he_made) {
    Host host;
    auto first = host.flights.join("key", nullptr);
    BOOST_REQUIRE(first.lead.has_value());
    BOOST_TEST(host.flights.is_flying("key"));
    Someone one, two;
    BOOST_TEST(host.flights.join("key", &one.waiter).waits);
    BOOST_TEST(host.flights.join("key", &two.waiter).waits);
    BOOST_TEST(one.woken + two.woken == 0);
    const auto made = some_entry();
    first.lead->land(made);
    for (const auto* someone : {&one, &two}) {
        BOOST_TEST(someone->woken == 1);
        BOOST_REQUIRE(landed_as<Flights::Made>(*someone));
        BOOST_TEST(std::get<Flights::Made>(someone->waiter.landing()).entry == made);
    }
    BOOST_TEST(!host.flights.is_flying("key"));
    BOOST_TEST(host.flights.join("key", nullptr).lead.has_value());
}

BOOST_AUTO_TEST_CASE(another_key_is_another_flight) {
    Host host;
    const auto first = host.flights.join("key", nullptr);
    BOOST_TEST(host.flights.join("other", nullptr).lead.has_value());
    const auto second = host.flights.join("key", nullptr);
    BOOST_TEST(!second.lead.has_value());
    BOOST_TEST(!second.waits);
}

BOOST_AUTO_TEST_CASE(a_leader_who_gives_up_sends_the_others_their_own_way) {
    Host host;
    Someone someone;
    {
        const auto first = host.flights.join("key", nullptr);
        BOOST_REQUIRE(first.lead.has_value());
        BOOST_REQUIRE(host.flights.join("key", &someone.waiter).waits);
    }
    BOOST_TEST(someone.woken == 1);
    BOOST_TEST(landed_as<Flights::Alone>(someone));
}

BOOST_AUTO_TEST_CASE(nobody_waits_longer_than_his_patience) {
    Host host;
    auto options = host.options;
    options.patience = 30ms;
    Flights flights(options);
    const auto first = flights.join("key", nullptr);
    BOOST_REQUIRE(first.lead.has_value());
    Someone someone;
    BOOST_REQUIRE(flights.join("key", &someone.waiter).waits);
    BOOST_TEST(eventually([&] { return someone.woken == 1; }));
    BOOST_TEST(landed_as<Flights::Alone>(someone));
}

// The watcher has settled down to sleep for the first waiter's patience when the second joins.
BOOST_AUTO_TEST_CASE(who_waits_for_another_process_is_not_forgotten_for_one_who_waits_here) {
    Host host;
    OtherLeader other(host.options, "there");
    BOOST_REQUIRE(other.leads());
    const auto leader = host.flights.join("here", nullptr);
    Someone waits_here, waits_for_the_other;
    BOOST_REQUIRE(host.flights.join("here", &waits_here.waiter).waits);
    std::this_thread::sleep_for(50ms);  // too short only makes the test weaker
    BOOST_REQUIRE(host.flights.join("there", &waits_for_the_other.waiter).waits);
    other.kill();
    BOOST_TEST(eventually([&] { return waits_for_the_other.woken == 1; }, host.options.patience / 2));
    BOOST_TEST(landed_as<Flights::LookAgain>(waits_for_the_other));
    BOOST_TEST(waits_here.woken == 0);
}

BOOST_AUTO_TEST_CASE(there_are_no_more_waiters_than_allowed) {
    Host host;
    auto options = host.options;
    options.max_waiting = 1;
    Flights flights(options);
    auto first = flights.join("key", nullptr);
    Someone one, two;
    BOOST_TEST(flights.join("key", &one.waiter).waits);
    BOOST_TEST(!flights.join("key", &two.waiter).waits);
    first.lead->land(some_entry());
    BOOST_TEST(one.woken == 1);
    BOOST_TEST(two.woken == 0);
}

BOOST_AUTO_TEST_CASE(who_goes_away_is_not_woken) {
    Host host;
    auto first = host.flights.join("key", nullptr);
    std::atomic<int> woken = 0;
    {
        Flights::Waiter waiter([&] { ++woken; });
        BOOST_REQUIRE(host.flights.join("key", &waiter).waits);
    }
    first.lead->land(some_entry());
    BOOST_TEST(woken == 0);
}

// By itself, late, or woken: in each case its place is another's.
BOOST_AUTO_TEST_CASE(a_waiter_that_leaves_makes_room_for_the_next) {
    Host host;
    auto options = host.options;
    options.max_waiting = 1;
    Flights flights(options);
    std::optional<Flights::Joined> first(flights.join("key", nullptr));
    BOOST_REQUIRE(first->lead.has_value());
    for (int i = 0; i < 5; ++i) {
        Someone leaves, too_many;
        BOOST_TEST(flights.join("key", &leaves.waiter).waits);
        BOOST_TEST(!flights.join("key", &too_many.waiter).waits);
    }
    Someone woken, next;
    BOOST_TEST(flights.join("key", &woken.waiter).waits);
    first.reset();  // gives up
    BOOST_TEST(woken.woken == 1);
    const auto second = flights.join("key", nullptr);
    BOOST_REQUIRE(second.lead.has_value());
    BOOST_TEST(flights.join("key", &next.waiter).waits);
}

BOOST_AUTO_TEST_CASE(a_waiter_that_was_late_makes_room_for_the_next) {
    Host host;
    auto options = host.options;
    options.max_waiting = 1;
    options.patience = 20ms;
    Flights flights(options);
    const auto first = flights.join("key", nullptr);
    for (int i = 0; i < 3; ++i) {
        Someone late;
        BOOST_REQUIRE(flights.join("key", &late.waiter).waits);
        BOOST_TEST(eventually([&] { return late.woken == 1; }));
    }
}

BOOST_AUTO_TEST_CASE(threads_compute_once_and_share) {
    Host host;
    std::atomic<int> computed = 0, shared = 0;
    std::atomic<bool> go = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i)
        threads.emplace_back([&] {
            while (!go) std::this_thread::yield();
            auto landing = host.flights.join_and_wait("key");
            if (auto* lead = std::get_if<Flights::Lead>(&landing)) {
                ++computed;
                std::this_thread::sleep_for(100ms);  // until the others have joined
                lead->land(some_entry());
            } else {
                shared += std::holds_alternative<Flights::Made>(std::get<Flights::Landing>(landing));
            }
        });
    go = true;
    for (auto& thread : threads) thread.join();
    BOOST_TEST(computed == 1);
    BOOST_TEST(shared == 15);
}

BOOST_AUTO_TEST_CASE(another_process_s_flight_is_waited_for_and_looked_up) {
    Host host;
    OtherLeader other(host.options, "key");
    BOOST_REQUIRE(other.leads());
    const auto joined = host.flights.join("key", nullptr);
    BOOST_TEST(!joined.lead.has_value());
    Someone someone;
    BOOST_REQUIRE(host.flights.join("key", &someone.waiter).waits);
    BOOST_TEST(host.flights.is_flying("key"));
    std::this_thread::sleep_for(30ms);
    BOOST_TEST(someone.woken == 0);
    BOOST_TEST(host.flights.join("other", nullptr).lead.has_value());
    other.kill();  // as if it had landed: all that the host sees is that the lock is gone
    BOOST_TEST(eventually([&] { return someone.woken == 1; }));
    BOOST_TEST(landed_as<Flights::LookAgain>(someone));
    BOOST_TEST(host.flights.join("key", nullptr).lead.has_value());
}

BOOST_AUTO_TEST_CASE(a_flight_here_is_seen_by_other_processes_until_it_lands) {
    Host host;
    auto first = host.flights.join("key", nullptr);
    BOOST_TEST(!OtherLeader(host.options, "key").leads());
    first.lead->land(some_entry());
    BOOST_TEST(OtherLeader(host.options, "key").leads());
}
