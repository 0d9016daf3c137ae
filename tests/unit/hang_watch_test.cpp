#define BOOST_TEST_MODULE hang_watch
#include "fcgi/hang_watch.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <future>
#include <vector>

#include <unistd.h>

#include "log/log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;

// With a name to the outside, to be found in a stack; and what is called from it is at the top for as long as it waits.
[[gnu::noinline]] void recto_test_waits_here(const std::future<void>& end) {
    end.wait();
    asm volatile("");  // so that the call isn't the last thing here, which a jump would do for
}

namespace {

struct Fixture {
    TemporaryFolder folder;
    LogSession session{log_to({.file = folder / "recto.log", .format = "{message}"})};

    [[nodiscard]] std::vector<json::value> events() const {
        std::vector<json::value> found;
        const auto text = read_file(folder / "recto.log");  // its last line may be half there
        for (const auto& line : split_list(text.substr(0, text.rfind('\n') + 1), '\n')) found.push_back(json::parse(line));
        return found;
    }
    [[nodiscard]] bool has_events(std::size_t count) const {
        return eventually([&] { return events().size() >= count; });
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(hang_watch, Fixture)

BOOST_AUTO_TEST_CASE(a_thread_that_is_at_one_request_too_long_is_logged_once_with_its_request_and_stack) {
    HangWatch watch(300ms);
    std::promise<void> end;
    std::thread thread([&, future = end.get_future()] {
        HangWatch::Desk desk(watch);
        RequestContext context{.txid = "0123456789abcdef0123456789abcdef", .address = {}, .user_id = 12, .view = "posts.list"};
        const ContextScope scope(context);
        const PhaseScope phase(Phase::store);
        const HangWatch::Work work(desk);
        recto_test_waits_here(future);
    });
    BOOST_TEST(has_events(1));
    std::this_thread::sleep_for(500ms);  // several more looks at it
    end.set_value();
    thread.join();

    const auto all = events();
    BOOST_REQUIRE(all.size() == 1u);
    const auto& event = all[0].as_object();
    BOOST_TEST(event.at("ev").as_string() == "request.hung");
    if (!kSignalsComeAtOnce) return skip("signals come late under ThreadSanitizer, so no stack is seen");
    BOOST_TEST(event.at("txid").as_string() == "0123456789abcdef0123456789abcdef");
    BOOST_TEST(event.at("uid").as_int64() == 12);
    const auto& data = event.at("data").as_object();
    BOOST_TEST(data.at("view").as_string() == "posts.list");
    BOOST_TEST(data.at("phase").as_string() == "store");
    BOOST_TEST(data.at("ms").as_int64() >= 300);
    BOOST_TEST(data.at("thread").as_int64() != ::getpid());
    BOOST_TEST(json::serialize(data.at("stack")).find("recto_test_waits_here") != std::string::npos, json::serialize(data));
}

BOOST_AUTO_TEST_CASE(each_piece_of_work_is_judged_for_itself) {
    HangWatch watch(600ms);
    HangWatch::Desk desk(watch);
    for (int i = 0; i < 40; ++i) {  // twice the limit in all
        const HangWatch::Work work(desk);
        std::this_thread::sleep_for(30ms);
    }
    std::this_thread::sleep_for(1200ms);  // idle
    BOOST_TEST(events().empty());
    for (int i = 1; i <= 2; ++i) {
        const HangWatch::Work work(desk);
        BOOST_TEST(has_events(static_cast<std::size_t>(i)));
    }
}

BOOST_AUTO_TEST_CASE(work_on_no_request_has_a_stack_alone) {
    HangWatch watch(50ms);
    HangWatch::Desk desk(watch);
    {
        const HangWatch::Work work(desk);
        BOOST_TEST(has_events(1));
    }
    const auto all = events();
    const auto& event = all.at(0).as_object();
    BOOST_TEST(!event.contains("txid"));
    BOOST_TEST(!event.at("data").as_object().contains("view"));
    BOOST_TEST(!event.at("data").at("stack").as_array().empty());
}

BOOST_AUTO_TEST_CASE(what_a_thread_waits_for_goes_on_after_it_was_looked_at) {
    HangWatch watch(50ms);
    HangWatch::Desk desk(watch);
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    const UniqueFd reading(ends[0]), writing(ends[1]);
    auto other = std::async(std::launch::async, [&] { return has_events(1) && ::write(writing.get(), "x", 1) == 1; });
    char byte = 0;
    {
        const HangWatch::Work work(desk);
        BOOST_TEST(::read(reading.get(), &byte, 1) == 1);
    }
    BOOST_TEST(other.get());
    BOOST_TEST(byte == 'x');
}

// The signal came when its desk was going; the thread has another one now.
BOOST_AUTO_TEST_CASE(a_late_signal_means_no_desk_that_comes_after) {
    HangWatch watch(1h);
    const auto number = SIGRTMIN + 1;
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, number);
    {
        HangWatch::Desk desk(watch);
        ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
        BOOST_REQUIRE(::pthread_sigqueue(::pthread_self(), number, {.sival_ptr = &desk}) == 0);
    }
    sigset_t pending;
    ::sigpending(&pending);
    BOOST_TEST(::sigismember(&pending, number) == 0);
}

BOOST_AUTO_TEST_CASE(a_limit_of_zero_watches_nobody) {
    const HangWatch watch(0ms);
    HangWatch none(0ms);
    HangWatch::Desk desk(none);
    const HangWatch::Work work(desk);
    std::this_thread::sleep_for(50ms);
    BOOST_TEST(events().empty());
}

BOOST_AUTO_TEST_CASE(threads_come_and_go_while_they_are_watched) {
    HangWatch watch(10ms);
    const auto end = std::chrono::steady_clock::now() + 1s;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            while (std::chrono::steady_clock::now() < end)
                std::thread([&] {
                    HangWatch::Desk desk(watch);
                    const HangWatch::Work work(desk);
                    std::this_thread::sleep_for(12ms);
                }).join();
        });
    for (auto& thread : threads) thread.join();
    BOOST_TEST(!events().empty());
}

BOOST_AUTO_TEST_SUITE_END()
