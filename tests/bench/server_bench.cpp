// server_bench - what slow answers cost the fast ones beside them: the real Server on a unix socket, by its number of event threads.
//
// 32 connections ask for an answer that is at hand, others for one that takes 20 ms. What counts is the ratio to the fast ones alone,
// measured in turns. The last column is the arrangement we don't have: the event threads wait for the slow answers themselves.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fcgi/server.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kFastClients = 32;
constexpr int kRounds = 25;
constexpr auto kRound = 100ms;
constexpr auto kSlow = 20ms;

Response answer() {
    Response response;
    response.set("Content-Type", "application/json");
    response.set_body(std::string(3500, 'x'));
    return response;
}

struct TestExchange : Exchange {
    explicit TestExchange(std::string of) : path(std::move(of)) {}
    std::optional<Response> without_waiting() override {
        if (path == "/slow") return {};
        if (path == "/slow-on-the-spot") std::this_thread::sleep_for(kSlow);
        return answer();
    }
    std::optional<Response> to_the_end(const Wake&) override { return std::this_thread::sleep_for(kSlow), answer(); }
    void answered(const Response&) override {}

    std::string path;
};

class RunningServer {
public:
    explicit RunningServer(int threads)
        : server_(listen_unix(socket()).release(), {.threads = threads},
                  [](Request request) { return std::make_unique<TestExchange>(std::move(request.path)); }),
          runs_([this] { (void)server_.run(); }) {}
    ~RunningServer() {
        server_.stop();
        runs_.join();
    }
    RunningServer(const RunningServer&) = delete;
    RunningServer& operator=(const RunningServer&) = delete;

    [[nodiscard]] std::filesystem::path socket() const { return folder_ / "s"; }

private:
    TemporaryFolder folder_;
    Server server_;
    std::thread runs_;
};

// Connections that ask for one path again and again, each as soon as it has its answer; all of them on one thread.
class Clients {
public:
    Clients(const std::filesystem::path& socket, std::string_view path, int count)
        : request_(fastcgi_request(get_params(path))), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        for (int i = 0; i < count; ++i) clients_.emplace_back(socket);
        received_.resize(clients_.size());
        if (!clients_.empty()) learn_size();
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
            if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, clients_[i].fd(), &event) != 0) throw std::runtime_error("epoll_ctl");
        }
    }

    // Answers until then.
    std::uint64_t ask_until(Clock::time_point end) {
        std::uint64_t answers = 0;
        for (auto& client : clients_) client.send(request_);
        std::array<epoll_event, kFastClients> events;
        for (std::size_t open = clients_.size(); open > 0;) {
            const auto ready = std::max(::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 100), 0);
            for (int i = 0; i < ready; ++i) {
                const auto index = events[static_cast<std::size_t>(i)].data.u64;
                if (!receive(index)) continue;
                const bool goes_on = Clock::now() < end;
                answers += goes_on;
                if (goes_on)
                    clients_[index].send(request_);
                else
                    --open;
            }
        }
        return answers;
    }

private:
    // All answers have the same size.
    void learn_size() {
        clients_.front().send(request_);
        while (::recv(clients_.front().fd(), buffer_.data(), 1, MSG_PEEK) == 1) {
            const auto got = ::recv(clients_.front().fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
            size_ += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
            if (std::string_view(buffer_.data(), static_cast<std::size_t>(got)).ends_with(kEnd)) return;
        }
        throw std::runtime_error("the server doesn't answer");
    }

    bool receive(std::size_t index) {
        const auto got = ::recv(clients_[index].fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got <= 0) throw std::runtime_error("the server has closed a connection");
        received_[index] += static_cast<std::size_t>(got);
        if (received_[index] < size_) return false;
        received_[index] = 0;
        return true;
    }

    static constexpr std::string_view kEnd{"\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0", 16};  // END_REQUEST of request 1

    std::string request_;
    UniqueFd epoll_;
    std::vector<FastcgiClient> clients_;
    std::vector<std::size_t> received_;
    std::size_t size_ = 0;
    std::array<char, 64u << 10> buffer_{};
};

struct Load {
    std::string_view path;
    int clients;
};
constexpr Load kNone{"/slow", 0};
constexpr Load kLoads[] = {{"/slow", 4}, {"/slow", 16}, {"/slow-on-the-spot", 4}};

// Fast answers a second, with these beside them.
double fast_answers(const std::filesystem::path& socket, const Load& load) {
    Clients fast(socket, "/fast", kFastClients), slow(socket, load.path, load.clients);
    const auto begin = Clock::now();
    std::thread beside([&] { slow.ask_until(begin + kRound); });
    const auto answers = fast.ask_until(begin + kRound);
    beside.join();
    return static_cast<double>(answers) / std::chrono::duration<double>(kRound).count();
}

// In turns with the fast ones alone, and short ones: machines have other work too.
void row(int threads) {
    const RunningServer server(threads);
    double alone_of_all = 0;
    std::array<double, std::size(kLoads)> ratios{};
    for (std::size_t i = 0; i < std::size(kLoads); ++i) {
        double alone = 0, beside = 0;
        for (int round = 0; round < kRounds; ++round) {
            alone += fast_answers(server.socket(), kNone);
            beside += fast_answers(server.socket(), kLoads[i]);
        }
        ratios[i] = beside / alone;
        alone_of_all += alone;
    }
    std::printf("%13d  %10.0f", threads, alone_of_all / kRounds / std::size(kLoads));
    for (const auto ratio : ratios) std::printf("  %14.2f", ratio);
    std::printf("\n");
    std::fflush(stdout);
}

}  // namespace

int main() {
    std::printf("fast answers beside slow ones of %d ms, means of %d rounds\n", static_cast<int>(kSlow.count()), kRounds);
    std::printf("%13s  %10s  %14s  %14s  %14s\n", "event threads", "alone, 1/s", "4 slow clients", "16 slow", "4, no pool");
    for (const int threads : {1, 4, 16}) row(threads);
}
