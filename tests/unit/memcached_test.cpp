#define BOOST_TEST_MODULE memcached
#include "cache/memcached.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "log/log.hpp"
#include "tests/fuzz/memcached_fuzz.cpp"
#include "tests/support/eventually.hpp"
#include "tests/support/fake_memcached.hpp"
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

// Says the same to whatever comes.
FakeMemcached::Answer always(FakeMemcached::Reply reply) {
    return [reply = std::move(reply)](std::string_view) { return reply; };
}

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

BOOST_AUTO_TEST_CASE(a_large_value_does_not_get_new_memory_from_the_kernel_each_time) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    BOOST_TEST_MESSAGE("a sanitizer's memory is new each time");
    return;
#endif
    const TemporaryFolder folder;
    const MemcachedServer server(folder / "m");
    Memcached memcached({server.address()}, kPatient);
    const std::string value(400'000, 'v');
    const auto get = [&] { BOOST_REQUIRE((text(memcached.get("key")) == value)); };
    const auto page_faults = [] {
        rusage usage{};
        ::getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_minflt;
    };
    BOOST_REQUIRE(memcached.set("key", value, 60s));
    for (int i = 0; i < 10; ++i) get();
    const auto before = page_faults();
    for (int i = 0; i < 100; ++i) get();
    BOOST_TEST(page_faults() - before < 100 * 20);  // of its 98 pages
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
            const FakeMemcached server(folder / "m", always({.bytes = answer, .close = true}));
            Memcached memcached({"unix:" + (folder / "m").string()}, 300ms);
            BOOST_TEST((time_of([&] { BOOST_TEST(text(memcached.get("key")) == "(absent)"); }) < 5s));
            memcached.remove("key");
            BOOST_TEST(text(memcached.get("key")) == "(absent)");
        }
}

BOOST_AUTO_TEST_CASE(a_server_that_drips_is_left_alone_after_one_operation) {
    const TemporaryFolder folder;
    const FakeMemcached server(folder / "m", always({.bytes = "VALUE key 0 20\r\n01234567890123456789\r\nEND\r\n", .pause = 20ms}));
    Memcached memcached({"unix:" + (folder / "m").string()}, 100ms);
    (void)memcached.get("key");
    BOOST_TEST((least_time(5, [&] {
                    for (int i = 0; i < 100; ++i) BOOST_TEST(!memcached.get("key"));
                }) < 100ms));
}

BOOST_AUTO_TEST_SUITE(hostile)

struct Operation {
    const char* name;
    std::function<bool(Memcached&)> succeeds;
};
const Operation kOperations[] = {
    {"get", [](Memcached& memcached) { return memcached.get("key").has_value(); }},
    {"set", [](Memcached& memcached) { return memcached.set("key", "value", 60s); }},
    {"remove", [](Memcached& memcached) { return memcached.remove("key"); }},
    {"stats", [](Memcached& memcached) { return memcached.stats()[0].reachable; }},
};

// What a test wants to say over each kind of socket.
void on_both_sockets(const FakeMemcached::Answer& answer, const std::function<void(const FakeMemcached&)>& test) {
    const TemporaryFolder folder;
    BOOST_TEST_CONTEXT("unix socket") test(FakeMemcached(folder / "m", answer));
    BOOST_TEST_CONTEXT("TCP") test(FakeMemcached(free_port(), answer));
}

std::vector<std::string> wrong_words() {
    std::vector<std::string> words;
    for (const auto* line : {"END",
                             "OK",
                             "STORED",
                             "NOT_STORED",
                             "EXISTS",
                             "DELETED",
                             "NOT_FOUND",
                             "TOUCHED",
                             "VERSION",
                             "VERSION ",
                             "VERSION 1",
                             "VERSION 1.6.18",
                             "VERSION x.y.z",
                             "VERSION 1.6.99999999999999999999",
                             "5",
                             "99999999999999999999999",
                             "220 mail ESMTP",
                             "ITEM key [3 b; 0 s]",
                             "STAT",
                             "STAT ",
                             "STAT pid",
                             "STAT pid 1",
                             "VALUE",
                             "VALUE ",
                             "VALUE key",
                             "VALUE key 0",
                             "VALUE key 0 3",
                             "VALUE key 0 -1",
                             "VALUE key -1 3",
                             "VALUE key 0 18446744073709551615",
                             "VALUE key 0 18446744073709551614",
                             "VALUE key 0 9223372036854775807",
                             "VALUE key 0 4294967296",
                             "VALUE key 0 1000000000",
                             "VALUE key 0 3 ",
                             "VALUE other 0 3",
                             "VALUE ke 0 3",
                             "VALUE keys 0 3",
                             "VALUE  key 0 3",
                             "ERROR",
                             "CLIENT_ERROR",
                             "SERVER_ERROR",
                             "CLIENT_ERROR no",
                             "SERVER_ERROR no",
                             "HD",
                             "EN",
                             "VA 3",
                             "",
                             " ",
                             "\t"}) {
        words.push_back(std::string(line) + "\r\n");
        words.push_back(std::string(line) + "\r\nabc\r\nEND\r\n");
        words.push_back(std::string(line) + "\n");
        words.push_back(line);
    }
    for (const auto* begin : {"VALUE ", "STAT ", "VERSION ", "SERVER_ERROR ", "CLIENT_ERROR ", "", "STORED", "END", "STAT pid "})
        for (const std::size_t size : {240u, 251u, 255u, 300u, 341u, 343u, 349u, 350u, 351u, 8190u, 8196u, 8197u, 100'000u}) {
            words.push_back(begin + std::string(size, 'k') + " 0 3\r\nabc\r\nEND\r\n");
            words.push_back(begin + std::string(size, 'k'));
        }
    words.push_back("VALUE key 0 3\r\nabc\r\nEND\r\nEND\r\n");
    words.push_back("VALUE key 0 3\r\nabc\r\nVALUE key 0 3\r\nabd\r\nEND\r\n");
    words.push_back("VALUE key 0 3\r\nabcEND\r\n");
    words.push_back("VALUE key 0 3\r\nabc\r\nENDE\r\n");
    words.push_back("VALUE key 0 3\r\nabc\r\nSERVER_ERROR\r\n");
    words.push_back(std::string("VALUE k\0y 0 3\r\nabc\r\nEND\r\n", 26));
    for (int byte = 0; byte < 256; ++byte) words.emplace_back(200, static_cast<char>(byte));
    return words;
}

bool is_right(std::string_view word, std::string_view operation) {
    if (operation == "get") return word == "VALUE key 0 3\r\nabc\r\nEND\r\n";
    if (operation == "set") return word == "STORED\r\n";
    return operation == "remove" && word == "DELETED\r\n";
}

BOOST_AUTO_TEST_CASE(no_word_ends_the_process_or_is_taken_for_another) {
    for (const auto& word : wrong_words())
        on_both_sockets(always({.bytes = word, .close = true}), [&](const FakeMemcached& server) {
            for (const auto& operation : kOperations) BOOST_TEST_CONTEXT(operation.name << " answered by " << word.substr(0, 60)) {
                    Memcached memcached({server.address()}, kPatient);
                    BOOST_TEST(operation.succeeds(memcached) == is_right(word, operation.name));
                }
        });
}

// Right for one operation, wrong for the other three, and the connection stays open.
BOOST_AUTO_TEST_CASE(a_wrong_word_is_a_miss_and_one_line_of_the_log) {
    const TemporaryFolder folder;
    for (const auto* word :
         {"DELETED\r\n", "OK\r\n", "VERSION 1.6.18\r\n", "5\r\n", "220 mail ESMTP\r\n", "VALUE other 0 3\r\nabc\r\nEND\r\n"})
        for (const auto& operation : kOperations) BOOST_TEST_CONTEXT(operation.name << " answered by " << word) {
                if (std::string_view(operation.name) == "stats" || is_right(word, operation.name)) continue;
                const auto file = folder / "log" / "recto.log";
                std::filesystem::remove(file);
                const LogSession log(log_to({.file = file}));
                const FakeMemcached server(folder / "m", always({.bytes = word}));
                Memcached memcached({server.address()}, kPatient);
                for (int i = 0; i < 10; ++i) BOOST_TEST(!operation.succeeds(memcached));
                const auto lines = read_file(file);
                BOOST_TEST(count(lines, "cache.down") == 1);
                BOOST_TEST(lines.find("sent something that is no reply to what it was asked") != std::string::npos);
                BOOST_TEST(server.connections() == 1);
            }
}

// Each request is answered by the reply to the one before, as after a reply too many.
BOOST_AUTO_TEST_CASE(after_a_wrong_word_the_next_reply_is_not_mistaken_for_another_s) {
    const auto own = [](std::string_view request) {  // with a word too many
        const auto key = request.substr(4, request.find_first_of(" \r", 4) - 4);
        if (request.starts_with("get")) return "VALUE " + std::string(key) + " 0 3\r\nold\r\nEND\r\n";
        return std::string(request.starts_with("set") ? "STORED\r\n" : "DELETED\r\n");
    };
    for (const auto* too_many : {"END\r\n", "STORED\r\n", "DELETED\r\n", "VALUE b 0 3\r\nbad\r\nEND\r\n", "x"})
        on_both_sockets([&](std::string_view request) { return FakeMemcached::Reply{.bytes = own(request) + too_many}; },
                        [&](const FakeMemcached& server) {
                            Memcached memcached({server.address()}, kPatient, {}, 1ms);
                            for (int i = 0; i < 5; ++i)
                                for (const auto* key : {"a", "b", "c"}) {
                                    BOOST_TEST(text(memcached.get(key)) == "(absent)");
                                    std::this_thread::sleep_for(2ms);  // it is asked again after 1 ms
                                    BOOST_TEST(!memcached.set(key, "value", 60s));
                                    std::this_thread::sleep_for(2ms);
                                }
                            BOOST_TEST(server.connections() >= 20);
                        });
}

// The word too many comes when the reply has been taken: it lies in the idle connection.
BOOST_AUTO_TEST_CASE(what_comes_unasked_ends_an_idle_connection) {
    on_both_sockets(
        [](std::string_view request) {
            if (request.starts_with("set")) return FakeMemcached::Reply{.bytes = "STORED\r\nEND\r\n", .pause = 30ms, .piece = 8};
            return FakeMemcached::Reply{.bytes = "VALUE key 0 3\r\nabc\r\nEND\r\n"};
        },
        [](const FakeMemcached& server) {
            Memcached memcached({server.address()}, kPatient, {}, 1ms);
            BOOST_TEST(memcached.set("key", "value", 60s));
            std::this_thread::sleep_for(500ms);
            // Never the miss that lies there. It is told as a fault, and the next one has a new connection.
            BOOST_TEST(text(memcached.get("key")) == "(absent)");
            BOOST_TEST(server.connections() == 1);
            BOOST_TEST(eventually([&] { return text(memcached.get("key")) == "abc"; }));
            BOOST_TEST(server.connections() == 2);
        });
}

BOOST_AUTO_TEST_CASE(a_server_that_drips_stalls_or_never_ends_costs_one_timeout) {
    std::string statistics;
    for (int i = 0; i < 3000; ++i) statistics += "STAT name" + std::to_string(i) + " 1\r\n";
    const std::pair<const char*, std::string> replies[] = {{"a value", "VALUE key 0 100000\r\n" + std::string(100'000, 'v')},
                                                           {"a line", std::string(100'000, 'S')},
                                                           {"statistics", statistics},
                                                           {"an error", "SERVER_ERROR " + std::string(100'000, 'e')}};
    for (const auto& [what, bytes] : replies)
        for (const auto pause : {20ms, 49ms, 0ms})
            on_both_sockets(
                [&](std::string_view) {
                    return pause > 0ms ? FakeMemcached::Reply{.bytes = bytes, .pause = pause} : FakeMemcached::Reply{.bytes = ""};
                },
                [&](const FakeMemcached& server) {
                    for (const auto& operation : kOperations)
                        BOOST_TEST_CONTEXT(operation.name << " answered by " << what << " each " << pause.count() << " ms") {
                            std::optional<Memcached> memcached(std::in_place, std::vector{server.address()}, 50ms);
                            const auto took = time_of([&] { BOOST_TEST(!operation.succeeds(*memcached)); });
                            BOOST_TEST((took < 500ms));
                            BOOST_TEST((time_of([&] { memcached.reset(); }) < 500ms));  // closing doesn't wait either
                        }
                });
}

// A value of a gigabyte that comes as fast as it can: nothing is ever waited for.
BOOST_AUTO_TEST_CASE(the_deadline_holds_for_a_server_that_is_fast_too) {
    on_both_sockets(
        [](std::string_view) {
            return FakeMemcached::Reply{.bytes = "VALUE key 0 1000000000\r\n" + std::string(1'000'000, 'v'), .close = true, .times = 2'000};
        },
        [](const FakeMemcached& server) {
            Memcached memcached({server.address()}, 20ms);
            BOOST_TEST((time_of([&] { BOOST_TEST(!memcached.get("key")); }) < 400ms));
        });
}

// It takes what it is sent slower than it is sent.
BOOST_AUTO_TEST_CASE(a_server_that_takes_nothing_costs_one_timeout) {
    std::atomic<bool> ending = false;
    on_both_sockets(
        [&](std::string_view) {
            while (!ending) std::this_thread::sleep_for(1ms);
            return FakeMemcached::Reply{.bytes = "", .close = true};
        },
        [&](const FakeMemcached& server) {
            ending = false;
            Memcached memcached({server.address()}, 50ms);
            BOOST_TEST((time_of([&] { BOOST_TEST(!memcached.set("key", std::string(50'000'000, 'x'), 60s)); }) < 1s));
            ending = true;
        });
}

BOOST_AUTO_TEST_CASE(a_reply_in_pieces_is_the_reply) {
    std::string big = "VALUE key 0 50000\r\n" + std::string(50'000, 'v') + "\r\nEND\r\n";
    const auto in_pieces = [](std::string bytes, std::size_t piece) {
        return FakeMemcached::Reply{.bytes = std::move(bytes), .pause = 1ms, .piece = piece};
    };
    on_both_sockets(
        [&](std::string_view request) {
            if (request.starts_with("get key")) return in_pieces(big, 1000);
            if (request.starts_with("get")) return in_pieces("VALUE small 0 12\r\n\r\nEND\r\nEND\r\n\r\nEND\r\n", 1);
            if (request.starts_with("set")) return in_pieces("STORED\r\n", 1);
            if (request.starts_with("delete")) return in_pieces("NOT_FOUND\r\n", 1);
            if (request.starts_with("version")) return in_pieces("VERSION 1.6.18\r\n", 1);
            return in_pieces("STAT pid 7\r\nSTAT version 1.6.18 (custom build)\r\nSTAT empty \r\nEND\r\n", 1);
        },
        [](const FakeMemcached& server) {
            Memcached memcached({server.address()}, kPatient);
            for (int i = 0; i < 2; ++i) {
                BOOST_TEST((text(memcached.get("key")) == std::string(50'000, 'v')));
                BOOST_TEST(text(memcached.get("small")) == "\r\nEND\r\nEND\r\n");
                BOOST_TEST(memcached.set("key", "value", 60s));
                BOOST_TEST(!memcached.remove("key"));
            }
            BOOST_TEST(server.connections() == 1);
            const auto stats = memcached.stats()[0];
            BOOST_TEST(stats.reachable);
            BOOST_REQUIRE(stats.values.size() == 3u);
            BOOST_TEST(stats.values[0].first == "pid");
            BOOST_TEST(stats.values[0].second == "7");
        });
}

BOOST_AUTO_TEST_CASE(any_reply_is_a_miss_or_what_was_sent) {
    BOOST_TEST(replay(LLVMFuzzerTestOneInput, "tests/fuzz/seeds/memcached", 2'000) > 2'000u);
}

BOOST_AUTO_TEST_CASE(errors_that_memcached_names_are_misses_of_a_server_that_is_up) {
    const TemporaryFolder folder;
    const LogSession log(log_to({.file = folder / "log" / "recto.log"}));
    for (const auto* word : {"SERVER_ERROR out of memory storing object\r\n", "CLIENT_ERROR bad data chunk\r\n"}) {
        const FakeMemcached server(folder / "m", always({.bytes = word}));
        Memcached memcached({server.address()}, kPatient);
        for (const auto& operation : kOperations) BOOST_TEST(!operation.succeeds(memcached));
    }
    BOOST_TEST(count(read_file(folder / "log" / "recto.log"), "cache.down") == 0);
}

BOOST_AUTO_TEST_SUITE_END()

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
            const FakeMemcached server(port, always({.bytes = answer, .close = true}));
            Memcached memcached({"127.0.0.1:" + std::to_string(port)}, 300ms, {"recto", "hunter2"});
            BOOST_TEST((time_of([&] { BOOST_TEST(text(memcached.get("key")) == "(absent)"); }) < 5s));
            memcached.remove("key");
            BOOST_TEST(text(memcached.get("key")) == "(absent)");
        }
}

// Header fields that libmemcached believes: a version of more than 32 bytes, a key of more than 251, a key longer than all.
BOOST_AUTO_TEST_CASE(no_packet_ends_the_process_or_is_taken_for_another) {
    constexpr char kList = 0x20, kLogIn = 0x21, kGet = 0x0d, kNoop = 0x0a, kVersion = 0x0b, kStat = 0x10;
    const auto mechanisms = binary_answer(kList, 0, "", "PLAIN");
    const auto log_in = binary_answer(kLogIn, 0, "", "Authenticated");
    std::vector<std::string> packets{
        binary_answer(kVersion, 0, "", std::string(5000, '9')),
        binary_answer(kVersion, 0, "", "1"),
        binary_answer(kGet, 0, std::string(60'000, 'k'), "abc"),
        binary_answer(kGet, 0, std::string(252, 'k'), "abc"),
        binary_answer(kGet, 0, "key", "", 1),
        binary_answer(kGet, 0, "key", "", 0x7fffffff),
        binary_answer(kGet, 0, "key", "", -2),
        binary_answer(kStat, 0, std::string(300, 's'), "", 10),
        binary_answer(kStat, 0, std::string(60'000, 's'), "1"),
        binary_answer(kStat, 0, "", std::string(345, 's')),
        binary_answer(kNoop, 0, "", "body"),
        binary_answer(kNoop, 0x21, ""),
        "\x80" + std::string(60, '\0'),
        "STORED\r\n",
    };
    for (int opcode = 0; opcode < 0x30; ++opcode)
        for (const int status : {0, 1, 0x20, 0x21, 0x81, 0xffff})
            for (const std::size_t size : {0u, 40u})
                packets.push_back(binary_answer(static_cast<char>(opcode), status, "", std::string(size, 'x')));
    std::atomic<int> logged_in = 0;
    std::string packet;  // changed while no connection is open
    const FakeMemcached server(free_port(), [&](std::string_view request) {
        FakeMemcached::Reply reply{.bytes = packet, .close = true};
        if (request.size() > 1 && request[1] == kList && logged_in > 0) reply = {.bytes = mechanisms};
        if (request.size() > 1 && request[1] == kLogIn && logged_in > 1) reply = {.bytes = log_in};
        return reply;
    });
    for (int step = 0; step <= 2; ++step)
        for (std::size_t i = 0; i < packets.size(); ++i) {
            if (i > 14 && i % 3 != static_cast<std::size_t>(step)) continue;  // each of the many at one step
            packet = packets[i];
            logged_in = step;
            for (const auto& operation : hostile::kOperations)
                BOOST_TEST_CONTEXT(operation.name << " at step " << step << ", packet " << i) {
                    Memcached memcached({server.address()}, kPatient, {"recto", "hunter2"});
                    const bool is_right = step == 2 && packet.size() == 24 && packet[7] == 0 &&
                                          ((std::string_view(operation.name) == "set" && packet[1] == 1) ||
                                           (std::string_view(operation.name) == "remove" && packet[1] == 4));
                    BOOST_TEST(operation.succeeds(memcached) == is_right);
                }
        }
}

BOOST_AUTO_TEST_CASE(a_log_in_that_drips_costs_one_timeout) {
    const auto mechanisms = binary_answer(0x20, 0, "", "PLAIN" + std::string(900, ' '));
    for (const auto& bytes : {mechanisms, binary_answer(0x20, 0x81, "", std::string(1000, 'e'), 1'000'000'000)}) {
        const FakeMemcached server(free_port(), always({.bytes = bytes, .pause = 20ms}));
        for (const auto& operation : hostile::kOperations) BOOST_TEST_CONTEXT(operation.name) {
                Memcached memcached({server.address()}, 50ms, {"recto", "hunter2"});
                BOOST_TEST((time_of([&] { BOOST_TEST(!operation.succeeds(memcached)); }) < 500ms));
            }
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
