// fake_memcached.hpp - a memcached server that says what a test wants: wrong, slowly, in pieces, or nothing.
//
// Threads:  one that accepts and one for each connection. `reply` is called by those.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>

#include "util/file.hpp"

namespace recto {

class FakeMemcached {
public:
    struct Reply {
        std::string bytes;
        std::chrono::milliseconds pause{0};  // after each piece
        std::size_t piece = 1;               // bytes at once, if there is a pause
        bool close = false;                  // the connection, then
        int times = 1;                       // that the bytes are sent
    };
    using Answer = std::function<Reply(std::string_view request)>;  // for what one recv() gave

    FakeMemcached(const std::filesystem::path& socket, Answer answer);
    FakeMemcached(std::uint16_t port, Answer answer);  // of 127.0.0.1
    ~FakeMemcached();
    FakeMemcached(const FakeMemcached&) = delete;
    FakeMemcached& operator=(const FakeMemcached&) = delete;

    [[nodiscard]] const std::string& address() const { return address_; }  // as `[cache] servers` has it
    [[nodiscard]] int connections() const { return connections_; }

private:
    struct Talk {
        UniqueFd client;
        std::thread thread;
        std::atomic<bool> has_ended = false;
    };
    void listen(const void* address, unsigned size);
    void serve();
    void end_talks();
    void talk(int client);
    bool say(int client, const Reply& reply);
    bool send(int client, const Reply& reply) const;

    const Answer answer_;
    std::string address_;
    UniqueFd listener_;
    std::atomic<bool> ending_ = false;
    std::atomic<int> connections_ = 0;
    std::list<Talk> talks_;  // of thread_, and of the destructor when that has ended
    std::thread thread_;
};

}  // namespace recto
