#define BOOST_TEST_MODULE server
#include "fcgi/server.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <random>
#include <thread>

#include "fcgi/connection.hpp"
#include "fcgi/record.hpp"
#include "log/log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"

using namespace recto;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

Response text(std::string body) {
    Response response;
    response.set("Content-Type", "text/plain");
    response.set_body(std::move(body));
    return response;
}

// A gate that requests can be held at.
class Gate {
public:
    void wait() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        opened_.wait(lock, [this] { return open_; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
    int waiting() {
        const std::lock_guard lock(mutex_);
        return waiting_;
    }

private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;
    int waiting_ = 0;
};

// Where requests are parked until somebody wakes them.
class Parking {
public:
    void park(Exchange::Wake wake) {
        const std::lock_guard lock(mutex_);
        wakes_.push_back(std::move(wake));
    }
    std::size_t parked() {
        const std::lock_guard lock(mutex_);
        return wakes_.size();
    }
    void wake_all() {
        const std::lock_guard lock(mutex_);
        for (const auto& wake : std::exchange(wakes_, {})) wake();
    }

private:
    std::mutex mutex_;
    std::vector<Exchange::Wake> wakes_;
};

struct Seen {
    Gate gate;
    Parking parking;
    std::atomic<int> begun = 0, answered = 0, abandoned = 0, in_pool = 0;
    std::mutex mutex;
    Request last;       // guarded by mutex
    std::string order;  // guarded by mutex: of the pool's work

    void note_order(const std::string& query) {
        const std::lock_guard lock(mutex);
        order += query;
    }
    std::string order_so_far() {
        const std::lock_guard lock(mutex);
        return order;
    }
};

// What a request does is said by its path.
class TestExchange : public Exchange {
public:
    TestExchange(Seen& seen, Request request) : seen_(seen), request_(std::move(request)) {
        ++seen.begun;
        const std::lock_guard lock(seen.mutex);
        seen.last = request_;
        if (request_.path == "/throw/begin") throw std::runtime_error("begin");
    }
    std::optional<Response> without_waiting() override {
        const auto& path = request_.path;
        if (path == "/throw/fast") throw std::runtime_error("fast");
        if (path == "/fast") return text("fast " + request_.query);
        if (path == "/echo") return text(request_.body);
        if (path == "/large") return text(large_body(std::stoul(request_.query)));
        if (path == "/204") return status(204);
        return {};
    }
    std::optional<Response> to_the_end(const Wake& wake) override {
        ++seen_.in_pool;
        const auto& path = request_.path;
        if (path == "/park" && ++steps_ == 1) return seen_.parking.park(wake), std::nullopt;
        if (path == "/park/awake" && ++steps_ < 3) return wake(), std::nullopt;  // before we have even returned
        if (path == "/throw/slow") throw 7;
        if (path == "/gate") seen_.gate.wait();
        if (path == "/order") seen_.note_order(request_.query);
        if (path == "/sleep") std::this_thread::sleep_for(std::chrono::milliseconds(std::stoi(request_.query)));
        if (path == "/slow/large") return text(large_body(std::stoul(request_.query)));
        return text("slow " + request_.query);
    }
    void answered(const Response&) override {
        ++seen_.answered;
        if (request_.query.starts_with("logged")) log_event(request_.query);
        if (request_.path == "/throw/answered") throw std::runtime_error("answered");
    }
    void abandoned() override { ++seen_.abandoned; }

    static std::string large_body(std::size_t size) {
        std::string body(size, '\0');
        for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i * i % 23);
        return body;
    }

private:
    static Response status(int status) {
        auto response = text("not to be sent");
        response.status = status;
        return response;
    }

    Seen& seen_;
    Request request_;
    int steps_ = 0;
};

class RunningServer {
public:
    explicit RunningServer(const ServerOptions& options = {})
        : socket_(folder_ / "s"),
          server_(listen_unix(socket_).release(), options,
                  [this](Request request) { return std::make_unique<TestExchange>(seen, std::move(request)); }),
          thread_([this] {
              finished_ = server_.run();
              ended_ = true;
          }) {}
    ~RunningServer() {
        seen.gate.open();
        (void)stop();
    }

    // What run() returned.
    bool stop() {
        server_.stop();
        if (thread_.joinable()) thread_.join();
        return finished_;
    }
    void begin_stop() { server_.stop(); }
    [[nodiscard]] bool has_ended() const { return ended_; }
    [[nodiscard]] ServerCounts counts() const { return server_.counts(); }
    [[nodiscard]] FastcgiClient client(std::chrono::milliseconds timeout = 10s) const { return FastcgiClient(socket_, timeout); }
    [[nodiscard]] bool answers() const {
        const auto answer = client(2s).get("/fast", "ok");  // far less than io_timeout, for which a blocked thread would be blocked
        return answer && answer->body == "fast ok";
    }

    Seen seen;

private:
    TemporaryFolder folder_;
    std::filesystem::path socket_;
    Server server_;
    std::atomic<bool> finished_ = false;
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

ServerOptions with(auto change) {
    ServerOptions options;
    change(options);
    return options;
}

ServerOptions impatient() {
    return with([](auto& o) { o.io_timeout = 200ms; });
}

std::vector<FastcgiClient> idle_clients(const RunningServer& server, int count) {
    std::vector<FastcgiClient> clients;
    for (int i = 0; i < count; ++i) {
        clients.push_back(server.client());
        BOOST_REQUIRE(clients.back().get("/fast"));
    }
    return clients;
}

void check_answer(const std::optional<FastcgiAnswer>& answer, int status, std::string_view body) {
    BOOST_REQUIRE(answer.has_value());
    BOOST_TEST(answer->status == status);
    BOOST_TEST((answer->body == body), "a body of " << answer->body.size() << " bytes: " << answer->body.substr(0, 100));
    BOOST_TEST(answer->protocol_status == 0);
    BOOST_TEST(answer->errors == "");
}

std::chrono::milliseconds median_of_quick_requests(const RunningServer& server) {
    std::vector<std::chrono::milliseconds> times;
    for (int i = 0; i < 9; ++i) {
        const auto start = Clock::now();
        BOOST_REQUIRE(server.answers());
        times.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start));
    }
    std::ranges::nth_element(times, times.begin() + 4);
    return times[4];
}

}  // namespace

// Answers

BOOST_AUTO_TEST_CASE(a_kept_connection_answers_many_requests_from_both_kinds_of_thread) {
    RunningServer server;
    auto client = server.client();
    for (int i = 0; i < 1000; ++i) {
        const auto query = std::to_string(i);
        if (i % 7 == 0)
            check_answer(client.get("/slow", query), 200, "slow " + query);
        else
            check_answer(client.get("/fast", query), 200, "fast " + query);
    }
    BOOST_TEST(server.counts().accepted == 1u);
    BOOST_TEST(eventually([&] { return server.seen.answered == 1000; }));
    BOOST_TEST(eventually([&] { return server.counts().answered == 1000u; }));
}

BOOST_AUTO_TEST_CASE(what_is_logged_of_a_quick_answer_is_in_the_file_before_the_answer_is_seen) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    RunningServer server;
    auto client = server.client();
    for (int i = 0; i < 200; ++i) {
        check_answer(client.get("/fast", "logged" + std::to_string(i)), 200, "fast logged" + std::to_string(i));
        BOOST_TEST(read_file(folder / "recto.log").find("logged" + std::to_string(i)) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_connection_that_is_not_kept_is_closed_after_its_answer) {
    RunningServer server;
    for (const auto* path : {"/fast", "/slow"}) BOOST_TEST_CONTEXT(path) {
            auto client = server.client();
            BOOST_TEST(client.get(path, {}, false)->status == 200);
            BOOST_TEST(client.is_closed_within(1s));
        }
}

BOOST_AUTO_TEST_CASE(a_request_arrives_as_it_was_sent) {
    RunningServer server;
    auto client = server.client();
    auto params = post_params("/echo", 11);
    params.emplace_back("HTTP_X_LONG", std::string(20'000, 'l'));
    check_answer(client.ask(params, "hello world"), 200, "hello world");
    const std::lock_guard lock(server.seen.mutex);
    BOOST_TEST(server.seen.last.method == "POST");
    BOOST_TEST(server.seen.last.address == "192.0.2.1");
    BOOST_TEST(server.seen.last.header("content-type").value() == "application/json");
    BOOST_TEST(server.seen.last.header("x-long").value().size() == 20'000u);
}

BOOST_AUTO_TEST_CASE(over_a_socket_nobody_is_local) {
    RunningServer server;
    auto client = server.client();
    for (const auto* address : {"local", "", "unix:"}) {
        BOOST_TEST(client.ask({{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/fast"}, {"REMOTE_ADDR", address}})->status == 200);
        const std::lock_guard lock(server.seen.mutex);
        BOOST_TEST(server.seen.last.address == "unknown");
    }
    BOOST_TEST(client.ask({{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/fast"}})->status == 200);
    const std::lock_guard lock(server.seen.mutex);
    BOOST_TEST(server.seen.last.address == "unknown");
}

BOOST_AUTO_TEST_CASE(an_answer_of_any_size_arrives_whole) {
    RunningServer server;
    auto client = server.client();
    for (const std::size_t size : {0u, 1u, 7'000u, 8'183u, 8'184u, 8'185u, 60'000u, 65'536u, 300'000u, 1'048'576u})
        for (const auto* path : {"/large", "/slow/large"}) BOOST_TEST_CONTEXT(path << ' ' << size) {
                const auto answer = client.get(path, std::to_string(size));
                check_answer(answer, 200, TestExchange::large_body(size));
                BOOST_TEST(answer->header("Content-Length") == std::to_string(size));
            }
}

BOOST_AUTO_TEST_CASE(head_has_the_headers_of_get_and_no_body) {
    RunningServer server;
    auto client = server.client();
    auto params = get_params("/fast", "x");
    params[0].second = "HEAD";
    const auto answer = client.ask(params);
    check_answer(answer, 200, "");
    BOOST_TEST(answer->header("Content-Length") == "6");
    BOOST_TEST(answer->header("Content-Type") == "text/plain");
    const auto no_content = client.get("/204");
    check_answer(no_content, 204, "");
    BOOST_TEST(no_content->header("Content-Length") == "");
}

BOOST_AUTO_TEST_CASE(an_exception_is_a_500_and_the_next_request_is_fine) {
    RunningServer server;
    auto client = server.client();
    for (const auto* path : {"/throw/begin", "/throw/fast", "/throw/slow"}) BOOST_TEST_CONTEXT(path) {
            const auto answer = client.get(path);
            check_answer(answer, 500, "{\"detail\":\"A server error occurred.\"}");
            BOOST_TEST(answer->header("content-type") == "application/json");
            check_answer(client.get("/fast", "1"), 200, "fast 1");
        }
    check_answer(client.get("/throw/answered"), 200, "slow ");
    check_answer(client.get("/fast", "2"), 200, "fast 2");
    BOOST_TEST(server.counts().accepted == 1u);
}

BOOST_AUTO_TEST_CASE(another_role_is_declined) {
    RunningServer server;
    auto client = server.client();
    BOOST_TEST(client.send(fastcgi_begin(true, 2) + fastcgi_params(get_params("/fast"))));
    const auto answer = client.receive();
    BOOST_REQUIRE(answer.has_value());
    BOOST_TEST(answer->protocol_status == 3);
    BOOST_TEST(client.is_closed_within(1s));
    BOOST_TEST(server.answers());
}

// Bodies (G24)

BOOST_AUTO_TEST_CASE(bodies_of_any_size_are_read_to_their_end_and_the_connection_kept) {
    RunningServer server;
    auto client = server.client();
    for (const std::size_t size : {0u, 1u, 300u, 8'192u, 16'384u, 16'385u, 65'535u, 65'536u, 500'000u, 1'048'576u})
        BOOST_TEST_CONTEXT(size) {
            const auto body = TestExchange::large_body(size);
            check_answer(client.ask(post_params("/echo", size), body), 200, body);
            check_answer(client.ask(post_params("/fast", size), body), 200, "fast ");
            check_answer(client.get("/fast", "n"), 200, "fast n");
        }
    BOOST_TEST(server.counts().accepted == 1u);
}

BOOST_AUTO_TEST_CASE(a_body_over_the_limit_is_answered_413_and_the_connection_closed) {
    RunningServer server(with([](auto& o) { o.max_body = Size{1000}; }));
    for (const std::size_t size : {1001u, 20'000u, 3'000'000u}) BOOST_TEST_CONTEXT(size) {
            auto client = server.client();
            const auto answer = client.ask(post_params("/echo", size), std::string(size, 'x'));
            BOOST_REQUIRE(answer.has_value());
            BOOST_TEST(answer->status == 413);
            BOOST_TEST(answer->body == "{\"detail\":\"The request's body is too large.\"}");
            BOOST_TEST(client.is_closed_within(3s));
        }
    // As nginx sends a chunked body that it doesn't collect: nobody says the length.
    auto client = server.client();
    auto params = post_params("/echo", 0);
    params[4].second.clear();
    BOOST_TEST(client.ask(params, std::string(100'000, 'x'))->status == 413);
    auto small = server.client();
    check_answer(small.ask(params, std::string(1000, 'x')), 200, std::string(1000, 'x'));
    BOOST_TEST(server.seen.begun == 1);
}

BOOST_AUTO_TEST_CASE(a_body_of_another_length_than_announced_is_refused) {
    RunningServer server;
    for (const std::size_t size : {10u, 30'000u})
        for (const std::size_t announced : {size - 1, size + 1}) BOOST_TEST_CONTEXT(size << " announced as " << announced) {
                auto client = server.client();
                const auto answer = client.ask(post_params("/echo", announced), std::string(size, 'x'));
                BOOST_REQUIRE(answer.has_value());
                BOOST_TEST(answer->status == 400);
            }
    BOOST_TEST(server.seen.begun == 0);
}

BOOST_AUTO_TEST_CASE(the_end_of_an_empty_body_may_come_late) {
    RunningServer server;
    auto client = server.client();
    for (int i = 0; i < 3; ++i) {
        const auto request = fastcgi_request(get_params("/fast", "late"));
        BOOST_TEST(client.send(request.substr(0, request.size() - 8)));
        std::this_thread::sleep_for(5ms);  // likely to be seen in two parts; right either way
        BOOST_TEST(client.send(request.substr(request.size() - 8)));
        check_answer(client.receive(), 200, "fast late");
    }
    BOOST_TEST(server.counts().accepted == 1u);
}

BOOST_AUTO_TEST_CASE(a_request_in_single_bytes_is_answered) {
    RunningServer server;
    auto client = server.client();
    for (const char byte : fastcgi_request(post_params("/echo", 3), "abc")) BOOST_REQUIRE(client.send({&byte, 1}));
    check_answer(client.receive(), 200, "abc");
}

BOOST_AUTO_TEST_CASE(two_requests_sent_at_once_are_not_mixed_up) {
    RunningServer server;
    auto client = server.client();
    BOOST_TEST(client.send(fastcgi_request(get_params("/fast", "1")) + fastcgi_request(get_params("/fast", "2"))));
    check_answer(client.receive(), 200, "fast 1");
    BOOST_TEST(client.is_closed_within(3s));  // no web server does that
}

// Nobody holds a thread (G20, G23)

BOOST_AUTO_TEST_CASE(a_parked_request_holds_no_thread_and_is_answered_when_it_is_woken) {
    RunningServer server(with([](auto& o) { o.pool = 1; }));
    std::vector<FastcgiClient> parked;
    for (int i = 0; i < 20; ++i) {
        parked.push_back(server.client());
        BOOST_TEST(parked.back().send(fastcgi_request(get_params("/park", std::to_string(i)))));
    }
    BOOST_TEST(eventually([&] { return server.seen.parking.parked() == 20; }));
    BOOST_TEST(server.client().get("/slow", "ok").value().body == "slow ok");  // by the only thread of the pool
    server.seen.parking.wake_all();
    for (int i = 0; i < 20; ++i) BOOST_TEST(parked[static_cast<std::size_t>(i)].receive().value().body == "slow " + std::to_string(i));
    BOOST_TEST(server.client().get("/park/awake", "x").value().body == "slow x");
}

BOOST_AUTO_TEST_CASE(a_parked_request_whose_client_has_gone_is_dropped_when_it_is_woken) {
    RunningServer server;
    auto client = server.client();
    BOOST_TEST(client.send(fastcgi_request(get_params("/park"))));
    BOOST_TEST(eventually([&] { return server.seen.parking.parked() == 1; }));
    client.close();
    server.seen.parking.wake_all();
    BOOST_TEST(eventually([&] { return server.counts().aborted == 1; }));
    BOOST_TEST(eventually([&] { return server.seen.abandoned == 1; }));
    BOOST_TEST(server.answers());
    BOOST_TEST(server.seen.abandoned == 1);
}

BOOST_AUTO_TEST_CASE(beside_idle_connections_and_slow_work_a_quick_request_is_quick) {
    RunningServer server(with([](auto& o) { o.threads = 2, o.pool = 2; }));
    const auto idle = idle_clients(server, 200);
    std::vector<FastcgiClient> slow;
    for (int i = 0; i < 10; ++i) {
        slow.push_back(server.client());
        BOOST_TEST(slow.back().send(fastcgi_request(get_params("/gate"))));
    }
    BOOST_TEST(eventually([&] { return server.seen.gate.waiting() == 2; }));
    BOOST_TEST(median_of_quick_requests(server).count() < 50);
    BOOST_TEST(server.seen.in_pool == 2);  // they were all held while the quick ones passed
    server.seen.gate.open();
    for (auto& client : slow) check_answer(client.receive(), 200, "slow ");
}

BOOST_AUTO_TEST_CASE(the_pool_serves_first_who_came_first) {
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1; }));
    auto first = server.client();
    BOOST_REQUIRE(first.send(fastcgi_request(get_params("/gate"))));
    BOOST_REQUIRE(eventually([&] { return server.seen.gate.waiting() == 1; }));
    std::vector<FastcgiClient> waiting;
    for (int i = 0; i < 6; ++i) {
        waiting.push_back(server.client());
        BOOST_REQUIRE(waiting.back().send(fastcgi_request(get_params("/order", std::to_string(i)))));
        BOOST_REQUIRE(eventually([&] { return server.seen.begun == 2 + i; }));
    }
    server.seen.gate.open();
    for (auto& client : waiting) BOOST_TEST(client.receive().has_value());
    BOOST_TEST(server.seen.order_so_far() == "012345");
}

BOOST_AUTO_TEST_CASE(silent_and_dribbling_clients_hold_no_thread_and_are_closed_in_time) {
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1, o.io_timeout = 500ms; }));
    const auto head = fastcgi_request(get_params("/slow"));
    const auto small_post = fastcgi_request(post_params("/echo", 5000), std::string(5000, 'x'));
    std::vector<FastcgiClient> silent, halves, dribblers;
    for (int i = 0; i < 30; ++i) {
        silent.push_back(server.client());
        halves.push_back(server.client());
        BOOST_TEST(halves.back().send(head.substr(0, 20)));
        dribblers.push_back(server.client());
        BOOST_TEST(dribblers.back().send(small_post.substr(0, small_post.size() - 100)));
    }
    std::atomic<bool> enough = false;
    std::thread dribble([&] {
        for (; !enough; std::this_thread::sleep_for(20ms))
            for (auto& client : dribblers) (void)client.send("x");
    });
    check_answer(server.client().get("/slow", "a"), 200, "slow a");  // the only pool thread is free
    BOOST_TEST(median_of_quick_requests(server).count() < 50);
    for (auto* clients : {&halves, &dribblers})
        for (auto& client : *clients) BOOST_TEST(client.is_closed_within(5s));
    enough = true;
    dribble.join();
    BOOST_TEST(server.counts().timed_out == 60u);
    for (auto& client : silent) check_answer(client.get("/fast", "b"), 200, "fast b");
    BOOST_TEST(server.seen.begun == 1 + 9 + 30);
}

BOOST_AUTO_TEST_CASE(a_large_body_that_dribbles_ends_after_io_timeout_in_all) {
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1, o.io_timeout = 2s; }));
    auto client = server.client();
    const auto head = fastcgi_begin() + fastcgi_params(post_params("/echo", 500'000));
    BOOST_TEST(client.send(head));
    const auto start = Clock::now();
    BOOST_TEST(server.answers());  // the only event thread is free
    BOOST_TEST((Clock::now() - start < 2s));
    while (Clock::now() < start + 8s && client.send(fastcgi_record(5, "x"))) std::this_thread::sleep_for(50ms);
    BOOST_TEST((Clock::now() - start < 6s));
    BOOST_TEST(eventually([&] { return server.counts().timed_out == 1u; }));
    BOOST_TEST(server.seen.begun == 1);
    check_answer(server.client().get("/slow"), 200, "slow ");
}

// As a debugger does that is attached to a worker.
BOOST_AUTO_TEST_CASE(a_program_that_is_stopped_and_goes_on_still_reads_a_body) {
    RunningServer server;
    auto client = server.client();
    const std::string body(500'000, 'b');
    const auto request = fastcgi_request(post_params("/echo", body.size()), body);
    BOOST_TEST(client.send(request.substr(0, request.size() / 2)));
    std::this_thread::sleep_for(100ms);  // it waits for the rest; too short only makes the test weaker
    auto debugger = Process::forked([self = ::getpid()] {
        ::kill(self, SIGSTOP);
        std::this_thread::sleep_for(20ms);
        ::kill(self, SIGCONT);
    });
    BOOST_TEST((debugger.wait(10s) == 0));
    BOOST_TEST(client.send(request.substr(request.size() / 2)));
    check_answer(client.receive(), 200, body);
}

BOOST_AUTO_TEST_CASE(a_client_that_does_not_read_blocks_no_event_thread) {
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1; }));
    std::vector<FastcgiClient> deaf;
    for (int i = 0; i < 3; ++i) {
        deaf.push_back(server.client());
        BOOST_TEST(deaf.back().send(fastcgi_request(get_params("/large", "2000000"))));
    }
    BOOST_TEST(median_of_quick_requests(server).count() < 50);
    deaf.clear();
    BOOST_TEST(eventually([&] { return server.counts().aborted == 3u; }));
}

BOOST_AUTO_TEST_CASE(a_large_transfer_may_take_longer_by_its_size) {
    BOOST_TEST((transfer_time(10s, 0) == 10s));
    BOOST_TEST((transfer_time(10s, 1u << 20) == 11s));
    BOOST_TEST((transfer_time(200ms, 26u << 20) == 26'200ms));
    BOOST_TEST((transfer_time(0ms, 1u << 19) == 500ms));
}

namespace {

// Reads a little now and then, in all about `rate` bytes a second, until the connection ends. The number of bytes read.
std::size_t read_steadily(const FastcgiClient& client, std::size_t rate) {
    constexpr std::size_t kSteps = 20;
    std::vector<char> buffer(rate / kSteps);
    std::size_t sum = 0;
    for (;;) {
        const auto got = ::read(client.fd(), buffer.data(), buffer.size());
        if (got <= 0) return sum;
        sum += static_cast<std::size_t>(got);
        std::this_thread::sleep_for(1000ms / kSteps);
    }
}

}  // namespace

// It reads something in each io_timeout, so no single wait is ever too long. It would take 8 s for what may take 1.5 s.
BOOST_AUTO_TEST_CASE(a_client_that_reads_slowly_all_the_time_holds_no_thread_for_longer_than_its_answer_may_take) {
    constexpr std::size_t kSize = 1u << 20;
    for (const auto* path : {"/large", "/slow/large"}) BOOST_TEST_CONTEXT(path) {
            RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1, o.io_timeout = 500ms; }));
            auto slow = server.client();
            BOOST_TEST(slow.send(fastcgi_request(get_params(path, std::to_string(kSize)))));
            BOOST_TEST(read_steadily(slow, 128u << 10) < kSize);
            BOOST_TEST(eventually([&] { return server.counts().aborted == 1u; }));
            check_answer(server.client().get("/slow"), 200, "slow ");
        }
}

// The same client, but its answer may take as long as it needs.
BOOST_AUTO_TEST_CASE(a_client_that_reads_slowly_gets_all_of_an_answer_that_it_reads_in_time) {
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1, o.io_timeout = 1min; }));
    auto slow = server.client();
    BOOST_TEST(slow.send(fastcgi_request(get_params("/large", "600000"), {}, false)));
    BOOST_TEST(read_steadily(slow, 400'000) > 600'000u);
    BOOST_TEST(server.counts().aborted == 0u);
}

// The signal that asks a thread for its stack ends its wait for a socket that has a timeout (signal(7)).
BOOST_AUTO_TEST_CASE(a_request_that_is_logged_as_hung_goes_on_also_in_the_middle_of_its_bytes,
                     *boost::unit_test::enable_if<kSignalsComeAtOnce>()) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    const auto hung = [&, seen = std::size_t{0}]() mutable {
        const auto log = read_file(folder / "recto.log");
        const auto found = log.find("request.hung", seen);
        if (found == std::string::npos) return false;
        seen = found + 1;
        return log.find("\"stack\":[\"", seen) != std::string::npos;
    };
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1, o.hang = 100ms; }));
    auto client = server.client();

    const auto body = TestExchange::large_body(500'000);
    const auto request = fastcgi_request(post_params("/echo", body.size()), body);
    BOOST_TEST(client.send(request.substr(0, request.size() / 2)));
    BOOST_TEST(eventually(hung));
    BOOST_TEST(client.send(request.substr(request.size() / 2)));
    check_answer(client.receive(), 200, body);

    BOOST_TEST(client.send(fastcgi_request(get_params("/large", "2000000"))));
    BOOST_TEST(eventually(hung));
    check_answer(client.receive(), 200, TestExchange::large_body(2'000'000));
}

BOOST_AUTO_TEST_CASE(small_answers_that_nobody_reads_block_no_event_thread_either) {
    RunningServer server(with([](auto& o) { o.threads = 1, o.pool = 1; }));
    auto deaf = server.client();
    for (int i = 0; i < 500; ++i) {
        const auto before = server.seen.begun.load();
        if (!deaf.send(fastcgi_request(get_params("/large", "4000")))) break;
        if (!eventually([&] { return server.seen.begun > before; }, 200ms)) break;  // a pool thread waits for it now
    }
    BOOST_TEST(median_of_quick_requests(server).count() < 50);
}

BOOST_AUTO_TEST_CASE(an_idle_connection_is_closed_after_idle_timeout) {
    RunningServer server(with([](auto& o) { o.idle_timeout = 100ms; }));
    auto kept = server.client();
    BOOST_TEST(kept.get("/fast")->status == 200);
    auto silent = server.client();
    BOOST_TEST(kept.is_closed_within(5s));
    BOOST_TEST(silent.is_closed_within(5s));
    BOOST_TEST(server.counts().timed_out == 0u);
}

BOOST_AUTO_TEST_CASE(beyond_max_connections_the_longest_idle_one_is_closed) {
    RunningServer server(with([](auto& o) { o.max_connections = 4, o.threads = 1; }));  // one: done with a request before the next
    auto clients = idle_clients(server, 4);
    check_answer(clients[0].get("/fast", "1"), 200, "fast 1");
    auto fifth = server.client();
    check_answer(fifth.get("/fast", "5"), 200, "fast 5");
    BOOST_TEST(clients[1].is_closed_within(5s));
    for (const int i : {0, 2, 3}) check_answer(clients[static_cast<std::size_t>(i)].get("/fast", "x"), 200, "fast x");
    BOOST_TEST(server.counts().crowded_out == 1u);
}

BOOST_AUTO_TEST_CASE(beyond_max_connections_all_at_work_the_new_one_is_closed) {
    RunningServer server(with([](auto& o) { o.max_connections = 2, o.pool = 2; }));
    auto first = server.client(), second = server.client();
    for (auto* client : {&first, &second}) BOOST_TEST(client->send(fastcgi_request(get_params("/gate"))));
    BOOST_TEST(eventually([&] { return server.seen.gate.waiting() == 2; }));
    auto third = server.client();
    BOOST_TEST(third.is_closed_within(5s));
    server.seen.gate.open();
    for (auto* client : {&first, &second}) check_answer(client->receive(), 200, "slow ");
    BOOST_TEST(server.answers());
}

// The client's abort (G25)

BOOST_AUTO_TEST_CASE(a_request_whose_client_has_gone_is_dropped_before_its_work) {
    RunningServer server(with([](auto& o) { o.pool = 1; }));
    auto holder = server.client();
    BOOST_TEST(holder.send(fastcgi_request(get_params("/gate"))));
    BOOST_TEST(eventually([&] { return server.seen.gate.waiting() == 1; }));
    std::vector<FastcgiClient> impatient;
    for (int i = 0; i < 5; ++i) {
        impatient.push_back(server.client());
        BOOST_TEST(impatient.back().send(fastcgi_request(get_params("/slow"))));
    }
    BOOST_TEST(eventually([&] { return server.seen.begun == 6; }));  // they wait for the pool
    impatient.clear();
    auto patient = server.client();
    BOOST_TEST(patient.send(fastcgi_request(get_params("/slow", "stays"))));
    server.seen.gate.open();
    check_answer(patient.receive(), 200, "slow stays");
    check_answer(holder.receive(), 200, "slow ");
    BOOST_TEST(eventually([&] { return server.counts().aborted == 5u; }));
    BOOST_TEST(server.seen.in_pool == 2);
    BOOST_TEST(eventually([&] { return server.seen.answered == 2; }));
    BOOST_TEST(eventually([&] { return server.seen.abandoned == 5; }));
}

// Malformed input (G30)

BOOST_AUTO_TEST_CASE(the_server_survives_what_is_not_fastcgi) {
    RunningServer server(impatient());
    std::mt19937 random(20);
    const auto get = fastcgi_request(get_params("/fast", "q"));
    const auto post = fastcgi_request(post_params("/echo", 20'000), std::string(20'000, 'b'));
    const auto noise = [&](std::size_t size) {
        std::string bytes(size, '\0');
        for (auto& byte : bytes) byte = static_cast<char>(random());
        return bytes;
    };
    std::vector<FastcgiClient> clients;
    for (int round = 0; round < 5000; ++round) {
        auto bytes = round % 5 == 0 ? noise(random() % 200) : round % 11 == 0 ? post : get;
        for (auto flips = random() % 6; flips > 0 && !bytes.empty(); --flips)
            bytes[random() % std::min<std::size_t>(bytes.size(), 400)] = static_cast<char>(random());
        if (random() % 3 == 0) bytes.resize(random() % (bytes.size() + 1));
        clients.push_back(server.client(100ms));
        (void)clients.back().send(bytes);
        if (clients.size() < 50) continue;
        BOOST_TEST(server.answers(), "round " << round);  // who came before was looked at before
        clients.clear();
    }
    BOOST_TEST(server.answers());
    BOOST_TEST(server.counts().malformed > 500u);
    BOOST_TEST(server.stop());
}

// The end (G26)

BOOST_AUTO_TEST_CASE(an_idle_server_stops_at_once) {
    const auto stops_at_once = [] {
        RunningServer server;
        auto idle = idle_clients(server, 20);
        const auto start = Clock::now();
        BOOST_TEST(server.stop());
        const bool at_once = Clock::now() - start < 200ms;
        for (auto& client : idle) BOOST_TEST(client.is_closed_within(5s));
        return at_once;
    };
    BOOST_TEST(eventually(stops_at_once));
}

BOOST_AUTO_TEST_CASE(a_stop_waits_for_the_requests_in_flight) {
    RunningServer server(with([](auto& o) { o.pool = 1; }));
    std::vector<FastcgiClient> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(server.client());
        BOOST_TEST(clients.back().send(fastcgi_request(get_params("/gate", std::to_string(i)))));
    }
    BOOST_TEST(eventually([&] { return server.seen.begun == 5; }));
    auto idle = idle_clients(server, 1);
    server.begin_stop();
    BOOST_TEST(idle[0].is_closed_within(5s));  // it is stopping
    BOOST_TEST(!server.has_ended());
    server.seen.gate.open();
    for (std::size_t i = 0; i < 5; ++i) {
        check_answer(clients[i].receive(), 200, "slow " + std::to_string(i));
        BOOST_TEST(clients[i].is_closed_within(5s));
    }
    BOOST_TEST(server.stop());
    BOOST_TEST(server.seen.answered == 6);
}

BOOST_AUTO_TEST_CASE(a_request_that_is_arriving_at_the_stop_is_answered) {
    RunningServer server;
    const auto request = fastcgi_request(get_params("/slow", "late"));
    auto client = server.client();
    BOOST_TEST(client.get("/fast")->status == 200);
    BOOST_TEST(client.send(request.substr(0, 30)));
    std::this_thread::sleep_for(20ms);
    server.begin_stop();
    BOOST_TEST(client.send(request.substr(30)));
    check_answer(client.receive(), 200, "slow late");
    BOOST_TEST(server.stop());
}

BOOST_AUTO_TEST_CASE(after_stop_timeout_run_says_that_something_still_runs) {
    RunningServer server(with([](auto& o) { o.stop_timeout = 100ms; }));
    auto client = server.client();
    BOOST_TEST(client.send(fastcgi_request(get_params("/gate"))));
    BOOST_TEST(eventually([&] { return server.seen.gate.waiting() == 1; }));
    const auto start = Clock::now();
    BOOST_TEST(!server.stop());
    BOOST_TEST((Clock::now() - start < 5s));
}

BOOST_AUTO_TEST_CASE(a_server_stopped_before_it_ran_ends) {
    TemporaryFolder folder;
    Server server(listen_unix(folder / "s").release(), {}, [](Request) { return std::unique_ptr<Exchange>(); });
    server.stop();
    BOOST_TEST(server.run());
}

BOOST_AUTO_TEST_CASE(under_load_a_stop_loses_no_accepted_request) {
    RunningServer server;
    std::atomic<std::uint64_t> answered = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; !server.has_ended(); ++i) {
                auto client = server.client(500ms);  // a new connection each, as for POST
                const auto* path = (i + t) % 3 == 0 ? "/slow" : "/fast";
                if (client.send(fastcgi_request(get_params(path), {}, false)) && client.receive()) ++answered;
            }
        });
    BOOST_TEST(eventually([&] { return answered > 500u; }));
    BOOST_TEST(server.stop());
    for (auto& thread : threads) thread.join();
    BOOST_TEST(server.counts().accepted == server.counts().answered);
    BOOST_TEST(server.counts().answered == answered);
}

BOOST_AUTO_TEST_CASE(a_signal_handler_may_stop_the_server_and_keeps_its_signal) {
    static Server* target = nullptr;
    const auto child = ::fork();
    if (child == 0) {
        std::signal(SIGTERM, [](int) { target->stop(); });
        TemporaryFolder folder;
        Server server(listen_unix(folder / "s").release(), {}, [](Request) { return std::unique_ptr<Exchange>(); });
        target = &server;
        std::thread([pid = ::getpid()] { ::kill(pid, SIGTERM); }).detach();
        const bool finished = server.run();
        struct sigaction pipe {};
        ::sigaction(SIGPIPE, nullptr, &pipe);
        ::_exit(finished && pipe.sa_handler == SIG_IGN ? 0 : 1);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
}

// Plain CGI

namespace {

struct CgiRun {
    std::string output;
    int status = -1;
};

CgiRun run_cgi(const std::vector<std::pair<const char*, const char*>>& environment, std::string_view input) {
    TemporaryFolder folder;
    const auto in = folder / "in", out = folder / "out";
    replace_file(in, input);
    replace_file(out, "");
    const auto child = ::fork();
    if (child == 0) {
        ::clearenv();
        for (const auto& [name, value] : environment) ::setenv(name, value, 1);
        if (std::freopen(in.c_str(), "r", stdin) == nullptr || std::freopen(out.c_str(), "w", stdout) == nullptr) ::_exit(2);
        Seen seen;
        answer_one_cgi_request(with([](auto& o) { o.max_body = Size{10}; }),
                               [&](Request request) { return std::make_unique<TestExchange>(seen, std::move(request)); });
        ::_exit(seen.answered <= 1 ? 0 : 1);
    }
    CgiRun run;
    ::waitpid(child, &run.status, 0);
    run.output = read_file(out);
    return run;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_cgi_environment_is_answered_on_stdout) {
    const std::string plain = "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ";
    constexpr auto* kId = "0123456789abcdef0123456789abcdef";
    const std::string id = "X-Request-Id: " + std::string(kId) + "\r\n";
    const auto detail = [](std::string_view status, std::string_view words, const std::string& more) {
        const auto body = "{\"detail\":\"" + std::string(words) + "\"}";
        return "Status: " + std::string(status) + "\r\nContent-Type: application/json\r\n" + more +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    };
    const struct {
        std::vector<std::pair<const char*, const char*>> environment;
        const char* input;
        std::string output;
    } table[] = {
        {{{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/fast"}, {"QUERY_STRING", "q"}}, "", plain + "6\r\n\r\nfast q"},
        {{{"REQUEST_METHOD", "HEAD"}, {"PATH_INFO", "/slow"}}, "", plain + "5\r\n\r\n"},
        {{{"REQUEST_METHOD", "POST"}, {"PATH_INFO", "/echo"}, {"CONTENT_LENGTH", "5"}}, "abcdefg", plain + "5\r\n\r\nabcde"},
        {{{"REQUEST_METHOD", "POST"}, {"PATH_INFO", "/echo"}, {"CONTENT_LENGTH", "11"}, {"REQUEST_ID", kId}},
         "abcdefghijk",
         detail("413 Content Too Large", "The request's body is too large.", id)},
        {{{"REQUEST_METHOD", "POST"}, {"PATH_INFO", "/echo"}, {"CONTENT_LENGTH", "5"}, {"REQUEST_ID", kId}},
         "abc",
         detail("400 Bad Request", "The request's body doesn't have the length that Content-Length says.", id)},
        {{{"REQUEST_METHOD", "GET"}, {"PATH_INFO", "/throw/slow"}},
         "",
         detail("500 Internal Server Error", "A server error occurred.", "")},
    };
    for (const auto& [environment, input, output] : table) BOOST_TEST_CONTEXT(output) {
            const auto run = run_cgi(environment, input);
            BOOST_TEST(run.status == 0);
            BOOST_TEST(run.output == output);
        }
}
