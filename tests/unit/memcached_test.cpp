#define BOOST_TEST_MODULE memcached
#include "cache/memcached.hpp"

#include <boost/test/unit_test.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "log/log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/memcached_server.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kPatient = 5000ms;  // where the test isn't about time: a machine under load is no failure

std::string text(const std::optional<Memcached::Value>& value) { return value ? std::string(value->view()) : "(absent)"; }

std::size_t count(std::string_view all, std::string_view part) {
    std::size_t times = 0;
    for (auto at = all.find(part); at != std::string_view::npos; at = all.find(part, at + 1)) ++times;
    return times;
}

SteadyClock::duration time_of(const std::function<void()>& action) {
    const auto begin = SteadyClock::now();
    action();
    return SteadyClock::now() - begin;
}

// Says `answer` to whatever comes, a byte each `pause` if there is one, then closes.
class FakeServer {
public:
    FakeServer(const std::filesystem::path& socket, std::string answer, std::chrono::milliseconds pause = 0ms)
        : answer_(std::move(answer)), pause_(pause), listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
        std::filesystem::remove(socket);
        begin(address);
    }
    FakeServer(std::uint16_t port, std::string answer)
        : answer_(std::move(answer)), pause_(0ms), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const int yes = 1;
        ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        begin(address);
    }
    ~FakeServer() {
        ending_ = true;
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }

private:
    template <class Address>
    void begin(const Address& address) {
        BOOST_REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        BOOST_REQUIRE(::listen(listener_.get(), 16) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    void serve() {
        for (;;) {
            const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
            if (!client) return;
            char question[4096];
            if (::recv(client.get(), question, sizeof question, 0) > 0) say(client);
        }
    }
    void say(const UniqueFd& client) {
        const auto step = pause_ > 0ms ? 1 : answer_.size();
        for (std::size_t at = 0; at < answer_.size() && !ending_; at += step) {
            if (::send(client.get(), answer_.data() + at, std::min(step, answer_.size() - at), MSG_NOSIGNAL) < 0) return;
            std::this_thread::sleep_for(pause_);
        }
    }

    const std::string answer_;
    const std::chrono::milliseconds pause_;
    std::atomic<bool> ending_ = false;
    UniqueFd listener_;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_was_set_is_what_get_gives) {
    const TemporaryFolder folder;
    const MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, kPatient);
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) every_byte.push_back(static_cast<char>(byte));
    const std::string values[] = {
        "one", "", "\r\nEND\r\n", "\r\nset x 0 0 1\r\n1\r\n", every_byte, std::string(8195, 'b'), std::string(1'000'000, 'c')};
    for (const auto& value : values) BOOST_TEST_CONTEXT(value.size()) {
            BOOST_TEST(memcached.set("key", value, 60s));
            BOOST_TEST(text(memcached.get("key")) == value);
        }
    BOOST_TEST(memcached.remove("key"));
    BOOST_TEST(!memcached.remove("key"));
    BOOST_TEST(!memcached.get("key"));
    BOOST_TEST(memcached.set(std::string(250, 'k'), "long", 60s));
    BOOST_TEST(text(memcached.get(std::string(250, 'k'))) == "long");
}

BOOST_AUTO_TEST_CASE(a_time_to_live_is_two_seconds_to_thirty_days) {
    const TemporaryFolder folder;
    const MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, kPatient);
    const std::pair<std::chrono::milliseconds, int> cases[] = {{1ms, 2}, {2000ms, 2}, {2001ms, 3}, {60s, 60}, {24h * 365, 30 * 24 * 3600}};
    for (const auto& [ttl, seconds] : cases) BOOST_TEST_CONTEXT(ttl.count()) {
            BOOST_REQUIRE(memcached.set("key", "value", ttl));
            const auto left = std::stoi(server.ask("mg key t\r\n").substr(std::strlen("HD t")));
            BOOST_TEST(left <= seconds);
            BOOST_TEST(left > seconds - 30);
        }
    BOOST_TEST(!memcached.set("other", "value", 0ms));
    BOOST_TEST(!memcached.set("other", "value", -1s));
    BOOST_TEST(!memcached.get("other"));
}

BOOST_AUTO_TEST_CASE(no_server_is_absence) {
    Memcached memcached({}, 50ms);
    BOOST_TEST(!memcached.set("key", "value", 60s));
    BOOST_TEST(!memcached.get("key"));
    BOOST_TEST(!memcached.remove("key"));
    BOOST_TEST(memcached.stats().empty());
}

BOOST_AUTO_TEST_CASE(an_address_that_cannot_be_read_is_refused_at_the_start) {
    for (const auto* address : {"", "unix:", "unix:relative", "localhost", ":11211", "host:0", "host:65536", "host:11a", "/socket"})
        BOOST_TEST_CONTEXT(address) BOOST_CHECK_THROW(Memcached({address}, 50ms), std::runtime_error);
    for (const auto* address : {"unix:/nowhere/m", "127.0.0.1:1", "[::1]:1", "localhost:1"})
        BOOST_TEST_CONTEXT(address) BOOST_TEST(!Memcached({address}, 50ms).get("key"));
}

BOOST_AUTO_TEST_CASE(a_server_that_was_restarted_meanwhile_is_used_at_once) {
    const TemporaryFolder folder;
    MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, kPatient);
    for (int round = 0; round < 3; ++round) {
        BOOST_TEST(memcached.set("key", "value", 60s));
        server.restart();
        BOOST_TEST(!memcached.get("key"));
        BOOST_TEST(memcached.set("key", "again", 60s));
        BOOST_TEST(text(memcached.get("key")) == "again");
        server.restart();
    }
}

BOOST_AUTO_TEST_CASE(a_dead_server_costs_nothing_and_is_logged_when_it_dies_and_when_it_is_back) {
    const TemporaryFolder folder;
    const LogSession log(log_to({.file = folder / "log" / "recto.log"}));
    MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, kPatient);
    BOOST_REQUIRE(memcached.set("key", "value", 60s));
    for (int round = 1; round <= 2; ++round) {
        server.kill();
        BOOST_TEST((time_of([&] {
                        for (int i = 0; i < 1000; ++i) BOOST_TEST(!memcached.get("key"));
                    }) < kPatient));
        server.restart();
        BOOST_TEST((time_of([&] { BOOST_TEST(eventually([&] { return memcached.set("key", "back", 60s); })); }) < 5s));
        BOOST_TEST(text(memcached.get("key")) == "back");
        const auto lines = read_file(folder / "log" / "recto.log");
        BOOST_TEST(count(lines, "cache.down") == round);
        BOOST_TEST(count(lines, "cache.up") == round);
        BOOST_TEST(lines.find(server.address()) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_server_that_failed_is_left_alone_for_as_long_as_the_operator_says) {
    const TemporaryFolder folder;
    MemcachedServer server(folder / "m");
    Memcached patient({server.address()}, kPatient, {}, 1min), eager({server.address()}, kPatient, {}, 10ms);
    server.kill();
    for (auto* memcached : {&patient, &eager}) BOOST_TEST(!memcached->set("key", "value", 60s));
    server.restart();
    BOOST_TEST(eventually([&] { return eager.set("key", "value", 60s); }));
    BOOST_TEST(!patient.get("key"));
    BOOST_TEST(text(eager.get("key")) == "value");
}

BOOST_AUTO_TEST_CASE(a_frozen_server_costs_one_timeout_a_second) {
    const TemporaryFolder folder;
    MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, 200ms);
    BOOST_REQUIRE(memcached.set("key", "old", 60s));
    server.freeze();
    const auto first = time_of([&] { BOOST_TEST(!memcached.set("key", "new", 60s)); });
    BOOST_TEST((first >= 150ms));
    BOOST_TEST((first < 5s));
    BOOST_TEST((least_time(5, [&] {  // it is tried again each second
                    for (int i = 0; i < 1000; ++i) BOOST_TEST(!memcached.get("key"));
                }) < 150ms));
    server.thaw();
    BOOST_TEST(eventually([&] { return memcached.get("key").has_value(); }));
    const auto now = text(memcached.get("key"));
    BOOST_TEST((now == "old" || now == "new"));  // what timed out may have been done
}

// What an interrupted conversation leaves in a connection must never become the answer to another question.
BOOST_AUTO_TEST_CASE(a_server_that_stops_and_goes_never_gives_the_value_of_another_key) {
    const TemporaryFolder folder;
    MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, 20ms);
    std::atomic<bool> ending = false;
    std::atomic<int> wrong = 0, right = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            std::mt19937 random(static_cast<unsigned>(thread));
            while (!ending) {
                const auto key = "key" + std::to_string(random() % 50);
                const auto value = key + std::string(random() % 20'000, '.') + key;
                if (random() % 2 != 0) memcached.set(key, value, 60s);
                const auto found = memcached.get(key);
                if (!found) continue;
                const bool own = found->view().starts_with(key + '.') && found->view().ends_with('.' + key);
                ++(own || found->view() == key + key ? right : wrong);
            }
        });
    for (int round = 0; round < 5; ++round) {
        server.freeze();
        std::this_thread::sleep_for(60ms);
        server.thaw();
        const int before = right;
        BOOST_TEST(eventually([&] { return right > before + 20; }));
    }
    ending = true;
    for (auto& thread : threads) thread.join();
    BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(what_is_too_large_is_refused_and_the_server_stays_up) {
    const TemporaryFolder folder;
    const LogSession log(log_to({.file = folder / "log" / "recto.log"}));
    const MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, kPatient);
    BOOST_REQUIRE(memcached.set("key", "small", 60s));
    for (const std::size_t size : {1'048'577u, 3'000'000u, 20'000'000u}) BOOST_TEST_CONTEXT(size) {
            BOOST_TEST(!memcached.set("key", std::string(size, 'x'), 60s));
            BOOST_TEST(!memcached.get("key"));  // memcached drops what was there
            BOOST_TEST(memcached.set("key", "small", 60s));
            BOOST_TEST(text(memcached.get("key")) == "small");
        }
    BOOST_TEST(count(read_file(folder / "log" / "recto.log"), "cache.down") == 0);
}

BOOST_AUTO_TEST_CASE(a_full_server_gives_what_it_kept) {
    const TemporaryFolder folder;
    const MemcachedServer server(folder / "m", {"-m", "2", "-I", "512k"});
    Memcached memcached({server.address()}, kPatient);
    const auto value = [](int i) { return std::to_string(i) + std::string(20'000, 'v'); };
    int kept = 0;
    for (int i = 0; i < 400; ++i) memcached.set("key" + std::to_string(i), value(i), 60s);
    for (int i = 0; i < 400; ++i) {
        const auto found = memcached.get("key" + std::to_string(i));
        if (found) BOOST_TEST((found->view() == value(i)));
        kept += found.has_value();
    }
    BOOST_TEST(kept > 0);
    BOOST_TEST(kept < 400);
}

BOOST_AUTO_TEST_CASE(several_servers_share_the_keys_and_one_that_dies_takes_only_its_own) {
    const TemporaryFolder folder;
    MemcachedServer first(folder / "a"), second(folder / "b"), third(folder / "c");
    Memcached memcached({first.address(), second.address(), third.address()}, kPatient);
    const auto key = [](int i) { return "key" + std::to_string(i); };
    for (int i = 0; i < 300; ++i) BOOST_REQUIRE(memcached.set(key(i), key(i), 60s));
    const auto lost = first.keys();
    BOOST_TEST(lost.size() > 40u);
    BOOST_TEST(second.keys().size() > 40u);
    BOOST_TEST(third.keys().size() > 40u);
    first.kill();
    int found = 0;
    for (int i = 0; i < 300; ++i) {
        const auto value = memcached.get(key(i));
        if (value) BOOST_TEST((value->view() == key(i)));
        found += value.has_value();
        memcached.set(key(i), "moved", 60s);
        memcached.set(key(i), key(i), 60s);
    }
    BOOST_TEST(found == 300 - static_cast<int>(lost.size()));
    for (const auto& name : lost) BOOST_TEST(!memcached.get(name));  // not on another server either
}

BOOST_AUTO_TEST_CASE(servers_of_both_kinds_share_the_keys) {
    const TemporaryFolder folder;
    const MemcachedServer on_socket(folder / "a");
    const auto port = free_port();
    std::vector<std::string> command{"memcached", "-l", "127.0.0.1", "-p", std::to_string(port)};
    if (::geteuid() == 0) command.insert(command.end(), {"-u", "root"});
    std::optional<Process> on_tcp(std::in_place, command);
    Memcached memcached({on_socket.address(), "127.0.0.1:" + std::to_string(port)}, kPatient);
    BOOST_REQUIRE(eventually([&] { return memcached.stats()[1].reachable; }));
    const auto key = [](int i) { return "key" + std::to_string(i); };
    for (int i = 0; i < 200; ++i) BOOST_REQUIRE(memcached.set(key(i), key(i), 60s));
    const auto staying = on_socket.keys();
    BOOST_TEST(staying.size() > 40u);
    BOOST_TEST(staying.size() < 160u);
    for (int i = 0; i < 200; ++i) BOOST_TEST(text(memcached.get(key(i))) == key(i));
    on_tcp.reset();
    for (int i = 0; i < 200; ++i) {
        const bool stays = std::ranges::find(staying, key(i)) != staying.end();
        BOOST_TEST(text(memcached.get(key(i))) == (stays ? key(i) : "(absent)"));
        BOOST_TEST(memcached.set(key(i), key(i), 60s) == stays);
    }
    BOOST_TEST(on_socket.keys().size() == staying.size());
}

BOOST_AUTO_TEST_CASE(a_server_that_talks_nonsense_is_absent) {
    const TemporaryFolder folder;
    std::mt19937 random(1);
    std::string noise(200'000, '\0');
    for (auto& byte : noise) byte = static_cast<char>(random());
    const std::string answers[] = {"",
                                   "\r\n",
                                   "ERROR\r\n",
                                   "CLIENT_ERROR no\r\n",
                                   "SERVER_ERROR out of everything\r\n",
                                   "VALUE",
                                   "VALUE key 0 5\r\nab",
                                   "VALUE other 0 3\r\nabc\r\nEND\r\n",
                                   "VALUE key 0 3\r\nabc\r\nVALUE key 0 3\r\nabd\r\nEND\r\n",
                                   "VALUE key 0 3\r\nabcdef\r\nEND\r\n",
                                   "VALUE key\r\n",
                                   "STORED\r\n",
                                   "STAT pid 1\r\nEND\r\n",
                                   "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                                   std::string(300, 'V') + "\r\n",
                                   noise};
    for (const auto& answer : answers) BOOST_TEST_CONTEXT(answer.substr(0, 60)) {
            const FakeServer server(folder / "m", answer);
            Memcached memcached({"unix:" + (folder / "m").string()}, 300ms);
            BOOST_TEST((time_of([&] { BOOST_TEST(text(memcached.get("key")) == "(absent)"); }) < 5s));
            memcached.remove("key");
            BOOST_TEST(text(memcached.get("key")) == "(absent)");
        }
}

BOOST_AUTO_TEST_CASE(a_server_that_drips_is_left_alone_after_one_operation) {
    const TemporaryFolder folder;
    const FakeServer server(folder / "m", "VALUE key 0 20\r\n01234567890123456789\r\nEND\r\n", 20ms);
    Memcached memcached({"unix:" + (folder / "m").string()}, 100ms);
    (void)memcached.get("key");
    BOOST_TEST((least_time(5, [&] {
                    for (int i = 0; i < 100; ++i) BOOST_TEST(!memcached.get("key"));
                }) < 100ms));
}

BOOST_AUTO_TEST_CASE(statistics_come_under_memcacheds_own_names) {
    const TemporaryFolder folder;
    MemcachedServer server(folder / "m");
    Memcached memcached({server.address(), "unix:/nowhere/m"}, kPatient);
    const auto stats = memcached.stats();
    BOOST_REQUIRE(stats.size() == 2u);
    BOOST_TEST(stats[0].server == server.address());
    BOOST_TEST(stats[0].reachable);
    BOOST_TEST(std::ranges::count(stats[0].values, "version", &std::pair<std::string, std::string>::first) == 1);
    BOOST_TEST(!stats[1].reachable);
    BOOST_TEST(stats[1].values.empty());
}

BOOST_AUTO_TEST_SUITE(with_a_password)

BOOST_AUTO_TEST_CASE(who_knows_it_gets_what_was_set) {
    const std::string passwords[] = {"hunter2", R"(a "long; one # of  words' $%&~\ and )" + std::string(900, 'x') + "é"};
    for (const auto& password : passwords) BOOST_TEST_CONTEXT(password) {
            const TemporaryFolder folder;
            const SaslMemcachedServer server(folder / "sasl", "recto", password);
            Memcached memcached({server.address()}, kPatient, {"recto", password});
            std::string every_byte;
            for (int byte = 0; byte < 256; ++byte) every_byte.push_back(static_cast<char>(byte));
            BOOST_TEST(!memcached.get("key"));
            for (const auto& value : {std::string("one"), std::string(), "\r\nEND\r\n" + every_byte, std::string(1'000'000, 'c')}) {
                BOOST_TEST_REQUIRE(memcached.set("key", value, 60s));
                BOOST_TEST((text(memcached.get("key")) == value));
                BOOST_TEST(!memcached.get("other"));
            }
            BOOST_TEST(memcached.remove("key"));
            BOOST_TEST(!memcached.remove("key"));
            BOOST_TEST(!memcached.get("key"));
            BOOST_TEST(memcached.set(std::string(250, 'k'), "long", 60s));
            BOOST_TEST(text(memcached.get(std::string(250, 'k'))) == "long");
            const auto stats = memcached.stats();
            BOOST_TEST(stats[0].reachable);
            BOOST_TEST(std::ranges::count(stats[0].values, "version", &std::pair<std::string, std::string>::first) == 1);
        }
}

BOOST_AUTO_TEST_CASE(who_does_not_know_it_finds_a_server_that_is_down) {
    const TemporaryFolder folder;
    const LogSession log(log_to({.file = folder / "log" / "recto.log"}));
    const SaslMemcachedServer server(folder / "sasl", "recto", "right");
    const std::pair<std::string, std::string> logins[] = {{"recto", "wrong"}, {"nobody", "right"}, {"", ""}};
    int down = 0;
    for (const auto& [user, password] : logins) BOOST_TEST_CONTEXT(user) {
            // Without a log-in it speaks text, which this server leaves without an answer.
            Memcached memcached({server.address()}, user.empty() ? 200ms : kPatient, {user, password});
            BOOST_TEST((time_of([&] {
                            for (int i = 0; i < 100; ++i) {
                                BOOST_TEST(!memcached.get("key"));
                                BOOST_TEST(!memcached.set("key", "value", 60s));
                                BOOST_TEST(!memcached.remove("key"));
                            }
                        }) < kPatient));
            BOOST_TEST(!memcached.stats()[0].reachable);
            const auto lines = read_file(folder / "log" / "recto.log");
            BOOST_TEST(count(lines, "cache.down") == ++down);
            BOOST_TEST(count(lines, "wrong") == 0);
        }
    Memcached right({server.address()}, kPatient, {"recto", "right"});
    BOOST_TEST(right.set("key", "value", 60s));
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_is_logged_in_to_again) {
    const TemporaryFolder folder;
    const LogSession log(log_to({.file = folder / "log" / "recto.log"}));
    SaslMemcachedServer server(folder / "sasl", "recto", "hunter2");
    Memcached memcached({server.address()}, kPatient, {"recto", "hunter2"});
    BOOST_TEST(memcached.set("key", "value", 60s));
    server.restart();
    BOOST_TEST(!memcached.get("key"));
    BOOST_TEST(memcached.set("key", "again", 60s));
    for (int round = 1; round <= 2; ++round) {
        server.kill();
        BOOST_TEST((time_of([&] {
                        for (int i = 0; i < 1000; ++i) BOOST_TEST(!memcached.get("key"));
                    }) < kPatient));
        server.restart();
        BOOST_TEST(eventually([&] { return memcached.set("key", "back", 60s); }));
        BOOST_TEST(text(memcached.get("key")) == "back");
        const auto lines = read_file(folder / "log" / "recto.log");
        BOOST_TEST(count(lines, "cache.down") == round);
        BOOST_TEST(count(lines, "cache.up") == round);
        BOOST_TEST(count(lines, "hunter2") == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_frozen_server_costs_one_timeout_a_second_then_too) {
    const TemporaryFolder folder;
    SaslMemcachedServer server(folder / "sasl", "recto", "hunter2");
    Memcached memcached({server.address()}, 200ms, {"recto", "hunter2"});
    BOOST_REQUIRE(eventually([&] { return memcached.set("key", "old", 60s); }));
    server.freeze();
    BOOST_TEST((time_of([&] { BOOST_TEST(!memcached.get("key")); }) < 5s));
    BOOST_TEST((least_time(5, [&] {
                    for (int i = 0; i < 1000; ++i) BOOST_TEST(!memcached.get("key"));
                }) < 150ms));
    // New connections are taken by the kernel, and the log-in waits.
    Memcached stranger({server.address()}, 200ms, {"recto", "hunter2"});
    BOOST_TEST((time_of([&] { BOOST_TEST(!stranger.get("key")); }) < 5s));
    server.thaw();
    BOOST_TEST(eventually([&] { return memcached.get("key").has_value(); }));
    BOOST_TEST(eventually([&] { return text(stranger.get("key")) == "old"; }));
}

BOOST_AUTO_TEST_CASE(what_is_too_large_is_refused_and_the_server_stays_up_then_too) {
    const TemporaryFolder folder;
    const LogSession log(log_to({.file = folder / "log" / "recto.log"}));
    const SaslMemcachedServer server(folder / "sasl", "recto", "hunter2");
    Memcached memcached({server.address()}, kPatient, {"recto", "hunter2"});
    for (const std::size_t size : {1'048'577u, 3'000'000u}) BOOST_TEST_CONTEXT(size) {
            BOOST_TEST(memcached.set("key", "small", 60s));
            BOOST_TEST(!memcached.set("key", std::string(size, 'x'), 60s));
            BOOST_TEST(memcached.set("key", "small", 60s));
            BOOST_TEST(text(memcached.get("key")) == "small");
        }
    BOOST_TEST(count(read_file(folder / "log" / "recto.log"), "cache.down") == 0);
}

// `status` and `key` as in memcached's doc/protocol-binary.
std::string binary_answer(char opcode, int status, const std::string& key, const std::string& value = {}, int pretended = -1) {
    const auto body = static_cast<std::uint32_t>(pretended >= 0 ? static_cast<std::size_t>(pretended) : key.size() + value.size());
    std::string text{
        '\x81', opcode, '\0', static_cast<char>(key.size()), '\0', '\0', static_cast<char>(status >> 8), static_cast<char>(status)};
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(body >> shift);
    return text + std::string(12, '\0') + key + value;
}

BOOST_AUTO_TEST_CASE(nonsense_during_and_after_the_log_in_is_absence) {
    constexpr char kList = 0x20, kLogIn = 0x21, kGet = 0x0d, kNoop = 0x0a;
    const auto mechanisms = binary_answer(kList, 0, "", "PLAIN");
    const auto welcome = mechanisms + binary_answer(kLogIn, 0, "", "Authenticated");
    std::mt19937 random(2);
    std::string noise(200'000, '\0');
    for (auto& byte : noise) byte = static_cast<char>(random());
    const std::pair<const char*, std::string> answers[] = {
        {"nothing", ""},
        {"text", "ERROR\r\n"},
        {"noise", noise},
        {"half a header", mechanisms.substr(0, 10)},
        {"another mechanism", binary_answer(kList, 0, "", "KERBEROS_V4")},
        {"no mechanism", binary_answer(kList, 0, "", "")},
        {"far too many mechanisms", binary_answer(kList, 0, "", std::string(30'000, 'P'))},
        {"no SASL, then nothing", binary_answer(kList, 0x81, "", "Unknown command")},
        {"wrong password", mechanisms + binary_answer(kLogIn, 0x20, "", "Auth failure")},
        {"go on for ever", mechanisms + binary_answer(kLogIn, 0x21, "", "go on") + binary_answer(kLogIn, 0x21, "", "go on")},
        {"noise after the mechanisms", mechanisms + noise},
        {"noise after the log-in", welcome + noise},
        {"the answer to something else", welcome + binary_answer(kLogIn, 0, "", "Authenticated")},
        {"another key", welcome + binary_answer(kGet, 0, "other", "abc") + binary_answer(kNoop, 0, "")},
        {"less than promised", welcome + binary_answer(kGet, 0, "key", "abc", 100)},
        {"no end", welcome + binary_answer(kGet, 0, "key", "abc")},
    };
    const auto port = free_port();
    for (const auto& [what, answer] : answers) BOOST_TEST_CONTEXT(what) {
            const FakeServer server(port, answer);
            Memcached memcached({"127.0.0.1:" + std::to_string(port)}, 300ms, {"recto", "hunter2"});
            BOOST_TEST((time_of([&] { BOOST_TEST(text(memcached.get("key")) == "(absent)"); }) < 5s));
            memcached.remove("key");
            BOOST_TEST(text(memcached.get("key")) == "(absent)");
        }
}

BOOST_AUTO_TEST_CASE(a_unix_socket_knows_no_users) {
    BOOST_CHECK_THROW(Memcached({"unix:/nowhere/m"}, 50ms, {"recto", "hunter2"}), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(many_threads_log_in_at_once) {
    const TemporaryFolder folder;
    const SaslMemcachedServer server(folder / "sasl", "recto", "hunter2");
    Memcached memcached({server.address()}, kPatient, {"recto", "hunter2"});
    std::atomic<int> right = 0;
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 8; ++thread)
            threads.emplace_back([&, thread] {
                for (int i = 0; i < 50; ++i) {
                    const auto key = std::to_string(thread) + '-' + std::to_string(i);
                    if (memcached.set(key, key, 60s) && text(memcached.get(key)) == key) ++right;
                }
            });
    }
    BOOST_TEST(right == 400);
}

BOOST_AUTO_TEST_SUITE_END()
