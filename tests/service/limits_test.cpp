// The limits as clients meet them: through real nginx, over two workers.
#define BOOST_TEST_MODULE limits
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <latch>
#include <set>
#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/service.hpp"
#include "tests/support/tokens.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using Statuses = std::vector<int>;

constexpr auto kToldAfter = 30s;  // ten, and a loaded machine
constexpr auto kPerElement = boost::test_tools::per_element();

Statuses statuses(HttpClient& client, const std::string& target, int count, const HttpHeaders& headers = {}) {
    Statuses all;
    for (int i = 0; i < count; ++i) all.push_back(client.get(target, headers).status);
    return all;
}

// The events of that name in the log.
std::vector<json::object> events(const Service& service, const std::string& name) {
    std::vector<json::object> found;
    for (const auto& line : split_list(service.log(), '\n'))
        if (line.find("\"ev\":\"" + name + '"') != line.npos) found.push_back(json::parse(line.substr(line.find('{'))).as_object());
    return found;
}

// A row of `recto throttle show`.
std::string counter(const Service& service, const std::string& name) {
    for (const auto& line : split_list(done(service.recto({"throttle", "show"})), '\n'))
        if (line.starts_with(name + ' ')) return line.substr(line.rfind(' ') + 1);
    return "none";
}

}  // namespace

BOOST_AUTO_TEST_CASE(views_that_name_one_scope_share_its_counter) {
    const Service service({.ini = "[throttle]\nblog_limit = 4/day\nblog_2_limit = 2/day\n"});
    auto client = service.client();
    for (const auto* path : {"/api/blog", "/api/blog/detail", "/api/blog", "/api/blog/detail"}) BOOST_TEST(client.get(path).status == 200);
    for (const auto* path : {"/api/blog", "/api/blog/detail"}) {
        const auto answer = client.get(path);
        BOOST_TEST(answer.status == 429);
        const auto seconds = std::stoi(answer.header("retry-after"));
        BOOST_TEST((seconds > 86'400 - 60 && seconds <= 86'400), seconds);
        BOOST_TEST(answer.body ==
                   R"({"detail":"Request was throttled. Expected available in )" + std::to_string(seconds) + R"( seconds."})");
        BOOST_TEST(answer.header("cache-control") == "no-store");
        BOOST_TEST(answer.header("x-request-id").size() == 32u);
    }
    for (const int status : {200, 200, 429}) BOOST_TEST(client.get("/api/blog2").status == status);
}

BOOST_AUTO_TEST_CASE(users_and_addresses_are_counted_apart) {
    const Service service({.ini = "[throttle]\nblog_limit = 2/day\n"});
    (void)done(service.recto({"user", "add", "Ada"}));
    (void)done(service.recto({"user", "add", "Bob"}));
    const auto ada = new_token(service, "Ada"), same = new_token(service, "Ada"), bob = new_token(service, "Bob");
    auto here = service.client(), there = service.client("127.0.0.2");
    for (const int status : {200, 200, 429}) BOOST_TEST(here.get("/api/blog").status == status);
    for (const int status : {200, 200, 429}) BOOST_TEST(there.get("/api/blog").status == status);
    BOOST_TEST(here.get("/api/blog", with_token(ada)).status == 200);
    BOOST_TEST(there.get("/api/blog", with_token(same)).status == 200);  // the account, not the address or the token
    BOOST_TEST(here.get("/api/blog", with_token(same)).status == 429);
    for (const int status : {200, 200, 429}) BOOST_TEST(here.get("/api/blog", with_token(bob)).status == status);
    BOOST_TEST(here.get("/api/blog", {{"X-Forwarded-For", "10.0.0.1"}}).status == 429);  // nobody chooses an address
}

BOOST_AUTO_TEST_CASE(visitors_and_users_have_rates_of_their_own) {
    const Service service({.ini = "[throttle]\nanon = 1/day\nuser = 3/day\n"});
    (void)done(service.recto({"user", "add", "Ada"}));
    const auto token = new_token(service, "Ada");
    auto client = service.client();
    const std::string target = "/api/blogs?author_id=1";
    for (const int status : {200, 429, 429}) BOOST_TEST(client.get(target).status == status);
    for (const int status : {200, 200, 200, 429}) BOOST_TEST(client.get(target, with_token(token)).status == status);
}

BOOST_AUTO_TEST_CASE(retry_after_is_true) {
    const Service service({.ini = "[throttle]\nblog_limit = 2/2seconds\n"});
    auto client = service.client();
    BOOST_TEST(client.get("/api/blog").status == 200);
    const auto first = std::chrono::steady_clock::now();
    BOOST_TEST(client.get("/api/blog").status == 200);
    const auto refused = client.get("/api/blog");
    BOOST_TEST_REQUIRE(refused.status == 429);
    const std::chrono::seconds wait(std::stoi(refused.header("retry-after")));
    BOOST_TEST((wait >= 1s && wait <= 2s));
    const auto promised = std::chrono::steady_clock::now() + wait;
    BOOST_TEST(eventually([&] { return client.get("/api/blog").status == 200; }));
    const auto accepted = std::chrono::steady_clock::now();
    BOOST_TEST((accepted > first + 1900ms));    // not before the window has passed
    BOOST_TEST((accepted < promised + 500ms));  // a loaded machine; refusals in between cost nothing
}

namespace {

// Which of the workers take part is the kernel's choice: how many did.
std::size_t let_eight_clients_ask_for_a_hundred() {
    const Service service({.workers = 2, .ini = "[throttle]\nblog_limit = 100/day\n"});
    constexpr int kThreads = 8;
    std::atomic<int> permitted = 0, refused = 0;
    std::latch together(kThreads);
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                auto client = service.client();
                together.arrive_and_wait();
                for (int i = 0; i < 40; ++i) {
                    const auto status = client.get((t + i) % 2 == 0 ? "/api/blog" : "/api/blog/detail").status;
                    if (status == 200) ++permitted;
                    if (status == 429) ++refused;
                }
            });
        }
    }
    BOOST_TEST(permitted == 100);
    BOOST_TEST(refused == kThreads * 40 - 100);
    std::set<std::string> pids;
    for (const auto& line : split_list(service.log(), '\n'))
        if (line.find("\"ev\":\"get_blog") != line.npos) pids.insert(split_list(line, ' ').at(2));
    return pids.size();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_hundred_means_a_hundred_under_any_concurrency) {
    BOOST_TEST(eventually([] { return let_eight_clients_ask_for_a_hundred() == 2; }, 30s), "both workers have answered at once");
}

BOOST_AUTO_TEST_CASE(nobody_chooses_an_address_by_a_header) {
    const Service service({.ini = "[throttle]\nblog_limit = 2/day\n"});
    auto client = service.client();
    BOOST_TEST(statuses(client, "/api/blog", 3) == (Statuses{200, 200, 429}), kPerElement);
    const std::string again = "10.0.0.1\r\nX-Forwarded-For: 10.0.0.2";  // nginx 1.22 hands each of them on by itself
    for (const auto& forged : {std::string("10.0.0.1"), std::string("42"), std::string(), std::string(7'000, '1'), again})
        for (const auto* const name : {"X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "Remote-Addr"})
            BOOST_TEST(client.get("/api/blog", {{name, forged}}).status == 429, name);
    for (int i = 0; i < 20; ++i) BOOST_TEST(client.get("/api/blog", {{"X-Forwarded-For", "10.0.1." + std::to_string(i)}}).status == 429);
    const auto refused = 1 + 5 * 5 + 20;
    BOOST_TEST(counter(service, "accepted") == "2");
    BOOST_TEST(counter(service, "refused") == std::to_string(refused));  // each once: nginx asks no second worker
}

BOOST_AUTO_TEST_CASE(every_method_counts_and_so_does_one_that_the_view_does_not_have) {
    const Service service({.ini = "[throttle]\nblog_limit = 3/day\n"});
    auto client = service.client();
    BOOST_TEST(client.request("HEAD", "/api/blog").status == 200);
    BOOST_TEST(client.request("OPTIONS", "/api/blog").status == 200);
    BOOST_TEST(client.request("DELETE", "/api/blog").status == 405);
    for (const auto* const method : {"GET", "HEAD", "OPTIONS", "DELETE"})
        BOOST_TEST(client.request(method, "/api/blog").status == 429, method);
    BOOST_TEST(client.get("/api/nothing").status == 404);
}

BOOST_AUTO_TEST_CASE(wrong_tokens_are_throttled_by_address_before_they_are_looked_up) {
    const Service service({.ini = "[throttle]\nwrong_tokens = 3/day\nblog_limit = 5/day\n"});
    (void)done(service.recto({"user", "add", "Ada"}));
    const auto good = with_token(new_token(service, "Ada"));
    auto here = service.client(), there = service.client("127.0.0.2");
    for (int i = 0; i < 3; ++i) BOOST_TEST(here.get("/api/blog", with_token(std::string(40, static_cast<char>('a' + i)))).status == 401);
    const auto refused = here.get("/api/blog", with_token(std::string(40, 'e')));
    BOOST_TEST(refused.status == 429);
    BOOST_TEST(refused.header("ratelimit-policy") == R"("wrong_tokens";q=3;w=86400)");
    BOOST_TEST(here.get("/api/blog", good).status == 429);  // unread
    BOOST_TEST(there.get("/api/blog", good).status == 200);
    BOOST_TEST(statuses(here, "/api/blog", 6) == (Statuses{200, 200, 200, 200, 200, 429}), kPerElement);  // 401s cost nothing here
}

BOOST_AUTO_TEST_CASE(whom_the_operator_trusts_is_not_counted) {
    Service service({.workers = 1, .ini = "[throttle]\nblog_limit = 1/day\nexempt_networks = 127.0.0.8/29\nexempt_users = Ada, Nobody\n"});
    (void)done(service.recto({"user", "add", "Ada"}));
    (void)done(service.recto({"user", "add", "Bob"}));
    const auto ada = with_token(new_token(service, "Ada")), bob = with_token(new_token(service, "Bob"));
    service.end_workers();
    service.start_worker();
    auto trusted = service.client("127.0.0.9"), other = service.client("127.0.0.2");
    BOOST_TEST(statuses(trusted, "/api/blog", 3) == (Statuses{200, 200, 200}), kPerElement);
    BOOST_TEST(statuses(other, "/api/blog", 2) == (Statuses{200, 429}), kPerElement);
    BOOST_TEST(statuses(other, "/api/blog", 3, ada) == (Statuses{200, 200, 200}), kPerElement);
    BOOST_TEST(statuses(other, "/api/blog", 2, bob) == (Statuses{200, 429}), kPerElement);
    BOOST_TEST(service.lines_with("exempt_users: there is no user Nobody") == 2u);  // each worker says so
    BOOST_TEST(service.lines_with("exempt_users: there is no user Ada") == 1u);     // the first one
}

BOOST_AUTO_TEST_CASE(behind_a_proxy_that_nginx_trusts_the_client_is_who_the_proxy_names) {
    const Service service({.ini = "[throttle]\nblog_limit = 1/day\n",
                           .nginx = "set_real_ip_from 127.0.0.0/8;\nreal_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n"});
    auto proxy = service.client();
    const auto ask = [&](const std::string& forwarded) { return proxy.get("/api/blog", {{"X-Forwarded-For", forwarded}}).status; };
    BOOST_TEST(ask("192.0.2.1") == 200);
    BOOST_TEST(ask("192.0.2.2") == 200);
    BOOST_TEST(ask("192.0.2.1") == 429);
    BOOST_TEST(ask("10.9.9.9, 192.0.2.2") == 429);   // what the client itself put in front counts for nothing
    BOOST_TEST(ask("192.0.2.1, 127.0.0.5") == 429);  // a second proxy of ours
    BOOST_TEST(ask("2001:db8::1") == 200);
    BOOST_TEST(ask("2001:db8::2") == 429);  // of the same /64
    BOOST_TEST(ask("2001:db8:0:1::1") == 200);
}

BOOST_AUTO_TEST_CASE(a_view_may_cost_more_and_a_scope_may_only_watch) {
    const Service service({.ini = "[throttle]\nblog_limit = 5/day\nblog_2_limit = 1/second\n[view blog]\ncost = 2\n"
                                  "[scope blog_2_limit]\ndry_run = on\n[scope blog_limit]\nrepr = windows\n"});
    auto client = service.client();
    BOOST_TEST(statuses(client, "/api/blog", 3) == (Statuses{200, 200, 429}), kPerElement);
    BOOST_TEST(statuses(client, "/api/blog/detail", 2) == (Statuses{200, 429}), kPerElement);
    BOOST_TEST(statuses(client, "/api/blog2", 4) == (Statuses{200, 200, 200, 200}), kPerElement);
    BOOST_REQUIRE(eventually([&] { return service.lines_with("throttle.refused") > 0u; }, kToldAfter));
    const auto event = events(service, "throttle.refused").at(0);
    BOOST_TEST(json::serialize(event.at("data")).find("\"dry_run\":true") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_storm_of_refusals_is_one_line_of_the_log) {
    const Service service({.ini = "[throttle]\nblog_limit = 1/2seconds\n"});
    auto client = service.client(), other = service.client("127.0.0.2");
    BOOST_TEST(statuses(client, "/api/blog", 51).back() == 429);
    BOOST_TEST(statuses(other, "/api/blog", 2) == (Statuses{200, 429}), kPerElement);
    BOOST_REQUIRE(eventually([&] { return events(service, "throttle.refused").size() == 2u; }, kToldAfter));
    std::map<std::string, std::int64_t> counts;
    for (const auto& event : events(service, "throttle.refused")) {
        const auto& data = event.at("data").as_object();
        BOOST_TEST(data.at("scope").as_string() == "blog_limit");
        counts[std::string(data.at("client").as_string())] = data.at("count").to_number<std::int64_t>();
    }
    BOOST_TEST(counts.at("127.0.0.1") == 50);
    BOOST_TEST(counts.at("127.0.0.2") == 1);
}

BOOST_AUTO_TEST_CASE(what_is_left_is_told_to_users_and_never_on_an_answer_for_everyone) {
    const Service service({.ini = "[throttle]\nblog_limit = 5/day\n"});
    (void)done(service.recto({"user", "add", "Ada"}));
    const auto ada = with_token(new_token(service, "Ada"));
    auto client = service.client();
    BOOST_TEST(client.get("/api/blog", ada).header("ratelimit") == R"("blog_limit";r=4;t=86400)");
    BOOST_TEST(client.get("/api/blog").header("ratelimit") == "");
    const auto open = client.get("/api/blogs?author_id=1", ada);
    BOOST_TEST(open.status == 200);
    BOOST_TEST(open.header("cache-control") != "");
    BOOST_TEST(open.header("ratelimit") == "");
}

BOOST_AUTO_TEST_CASE(a_limit_outlives_the_removal_of_its_file_under_running_workers) {
    Service service({.ini = "[throttle]\nblog_limit = 2/day\n"});
    auto client = service.client();
    BOOST_TEST(statuses(client, "/api/blog", 3) == (Statuses{200, 200, 429}), kPerElement);
    std::filesystem::remove(service.runtime() / "throttle");
    BOOST_REQUIRE(eventually([&] { return service.lines_with("made it again, with all counts") == 1u; }));
    for (auto& worker : service.workers()) worker.kill();
    service.workers().clear();
    service.start_worker();
    BOOST_TEST(service.client().get("/api/blog").status == 429);
    BOOST_TEST(service.lines_with("made a new table") == 1u);
}

BOOST_AUTO_TEST_CASE(a_limit_outlives_every_worker_and_the_shared_memory) {
    Service service({.ini = "[throttle]\nblog_limit = 2/day\n"});
    auto client = service.client();
    BOOST_TEST(statuses(client, "/api/blog", 3) == (Statuses{200, 200, 429}), kPerElement);
    for (auto& worker : service.workers()) worker.kill();
    service.workers().clear();
    service.start_worker();
    BOOST_TEST(service.client().get("/api/blog").status == 429);
    service.end_workers();  // leaves a snapshot, as before a reboot
    for (const auto& entry : std::filesystem::directory_iterator(service.runtime().path()))
        if (entry.path().filename().string().starts_with("throttle")) std::filesystem::remove(entry.path());
    service.start_worker();
    BOOST_TEST(service.client().get("/api/blog").status == 429);
    BOOST_TEST(service.lines_with("taken from the snapshot") == 1u);
}

BOOST_AUTO_TEST_CASE(a_table_that_takes_more_than_half_of_the_room_is_a_mistake_and_both_figures_are_told) {
    const Service service({.workers = 1, .ini = {}});
    const char* const build = std::getenv("BUILD");
    const auto recto = std::string(build == nullptr ? "build" : build) + "/recto";
    const auto check = [&](const std::vector<std::string>& settings) {
        return run_command({recto, "--config", (service.folder() / "recto.ini").string(), "check"}, {}, settings);
    };
    BOOST_TEST(check({"RECTO_THROTTLE__ANON=1/day"}).status == 0);
    const auto refused = check({"RECTO_THROTTLE__USER=65000/day", "RECTO_THROTTLE__USERS=16777216"});  // 130 KB each
    BOOST_TEST(refused.status == 78);
    BOOST_TEST(refused.errors.find("the table of [throttle] takes 2") != std::string::npos, refused.errors);
    BOOST_TEST(refused.errors.find(" MB that are free for it in " + service.runtime().path().string()) != std::string::npos,
               refused.errors);
    BOOST_TEST(refused.output.find("is good") == std::string::npos);
}

}  // namespace recto
