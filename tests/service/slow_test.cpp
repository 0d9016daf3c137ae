// Requests that take long or hang, and what is said of them; memcached, frozen, is what they wait for.
#define BOOST_TEST_MODULE slow
#include <boost/test/unit_test.hpp>

#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/service.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

// The events of that name in the log, in the order they came.
std::vector<json::object> events(const Service& service, std::string_view name) {
    std::vector<json::object> found;
    const auto log = service.log();  // its last line may be half there
    for (const auto& line : split_list(log.substr(0, log.rfind('\n') + 1), '\n')) {
        const auto brace = line.find('{');
        if (brace == std::string::npos) continue;
        auto event = json::parse(line.substr(brace)).as_object();
        if (event.at("ev").as_string() == name) found.push_back(std::move(event));
    }
    return found;
}

ServiceOptions options(const std::string& memcached_timeout, const std::string& log) {
    return {.workers = 1, .ini = "timeout = " + memcached_timeout + "\n[log]\n" + log + "[view blogs.by_author]\nthrottle = none\n"};
}

constexpr auto kAnswer = "/api/blogs?author_id=1";

}  // namespace

BOOST_AUTO_TEST_CASE(a_slow_request_is_logged_with_what_it_was_busy_with) {
    Service service(options("300ms", "slow = 200ms\n"));
    BOOST_TEST(service.client().get(kAnswer).status == 200);

    service.memcached().freeze();
    const auto answer = service.client().get("/api/blogs?author_id=2");
    service.memcached().thaw();
    BOOST_TEST(answer.status == 200);
    const auto its_own = [&] {
        auto all = events(service, "request.slow");
        // The first one was quick, unless the machine stood still.
        for (const auto& event : all) BOOST_TEST(event.at("data").at("us").as_int64() >= 200'000);
        std::erase_if(all, [&](const auto& event) { return event.at("txid").as_string() != answer.header("x-request-id"); });
        return all;
    };
    BOOST_TEST(eventually([&] { return !its_own().empty(); }));

    const auto all = its_own();
    BOOST_REQUIRE(all.size() == 1u);
    const auto& data = all[0].at("data").as_object();
    BOOST_TEST(data.at("view").as_string() == "blogs.by_author");
    BOOST_TEST(data.at("method").as_string() == "GET");
    BOOST_TEST(data.at("status").as_int64() == 200);
    BOOST_TEST(data.at("us").as_int64() >= 300'000);
    BOOST_TEST(data.at("queries").as_int64() >= 1);
    BOOST_TEST(json::serialize(data.at("parameters")) == R"({"author_id":"2"})");
    BOOST_TEST(data.at("waited").as_int64() >= 0);  // nginx says when it handed the request on
    const auto& phases = data.at("phases").as_object();
    BOOST_TEST(phases.at("cache").as_int64() >= 290'000);  // what it waited for
    BOOST_TEST(phases.at("store").as_int64() > 0);
    BOOST_TEST(phases.at("store").as_int64() < phases.at("cache").as_int64());
    std::int64_t sum = 0;
    for (const auto& [name, time] : phases) sum += time.as_int64();
    BOOST_TEST(sum <= data.at("us").as_int64());
    BOOST_TEST(sum > data.at("us").as_int64() - 10);  // each is cut to whole microseconds
}

// All workers stood still, say: what it took once it was read is not what its client saw.
BOOST_AUTO_TEST_CASE(a_request_that_waited_to_be_read_is_slow) {
    Service service(options("300ms", "slow = 30s\n"));
    FastcgiClient client(service.folder() / "recto.sock", 10s);
    const auto ask_sent_before = [&](std::chrono::seconds before, const std::string& query) {
        const auto sent = std::chrono::duration_cast<std::chrono::seconds>((std::chrono::system_clock::now() - before).time_since_epoch());
        auto params = get_params("/api/blogs", query);
        params.emplace_back("REQUEST_SENT", std::to_string(sent.count()) + ".000");
        return client.ask(params)->status;
    };
    BOOST_TEST(ask_sent_before(0s, "author_id=1") == 200);
    BOOST_TEST(ask_sent_before(1min, "author_id=02&token=secret") == 200);
    BOOST_TEST(ask_sent_before(2min, "token=secret") == 400);
    BOOST_REQUIRE(eventually([&] { return events(service, "request.slow").size() == 2; }));
    const auto all = events(service, "request.slow");
    BOOST_TEST(json::serialize(all[0].at("data").at("parameters")) == R"({"author_id":"2"})");
    BOOST_TEST(all[0].at("data").at("waited").as_int64() >= 60'000'000);
    BOOST_TEST(all[0].at("data").at("us").as_int64() < 30'000'000);
    BOOST_TEST(!all[1].at("data").as_object().contains("parameters"));
    BOOST_TEST(service.log().find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_client_that_gave_up_does_not_hide_a_slow_request) {
    Service service(options("500ms", "slow = 200ms\n"));
    service.memcached().freeze();
    {
        FastcgiClient client(service.folder() / "recto.sock", 10s);
        BOOST_TEST(client.send(fastcgi_request(get_params("/api/blogs", "author_id=1"))));
        std::this_thread::sleep_for(100ms);
    }
    BOOST_TEST(eventually([&] { return !events(service, "request.slow").empty(); }));
    service.memcached().thaw();
    const auto all = events(service, "request.slow");
    BOOST_REQUIRE(!all.empty());
    BOOST_TEST(all[0].at("data").at("status").as_int64() == 499);
}

BOOST_AUTO_TEST_CASE(a_hung_request_is_logged_with_its_stack_while_it_hangs) {
    Service service(options("3s", "hang = 200ms\nslow = off\n"));
    service.memcached().freeze();
    std::string txid;
    std::thread client([&] { txid = service.client().get(kAnswer).header("x-request-id"); });
    const bool was_seen = eventually([&] { return !events(service, "request.hung").empty(); }, 2500ms);
    service.memcached().thaw();
    client.join();
    BOOST_TEST(was_seen);

    const auto all = events(service, "request.hung");
    BOOST_REQUIRE(!all.empty());
    BOOST_TEST(all[0].at("txid").as_string() == txid);
    const auto& data = all[0].at("data").as_object();
    BOOST_TEST(data.at("view").as_string() == "blogs.by_author");
    BOOST_TEST(data.at("phase").as_string() == "cache");
#ifndef __SANITIZE_THREAD__  // it holds signals back
    BOOST_TEST(json::serialize(data.at("stack")).find("memcached") != std::string::npos, json::serialize(data));
#endif
    BOOST_TEST(events(service, "request.slow").empty());
}
