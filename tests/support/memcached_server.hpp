// memcached_server.hpp - a real memcached on a unix socket, for one test.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process.hpp"

namespace recto {

class MemcachedServer {
public:
    // Answers when the constructor returns. `options` are memcached's own, such as {"-m", "1"}.
    explicit MemcachedServer(std::filesystem::path socket, std::vector<std::string> options = {});

    [[nodiscard]] std::string address() const { return "unix:" + socket_.string(); }  // as `[cache] servers` has it

    void kill();     // -9
    void restart();  // empty, at the same address
    void freeze();   // SIGSTOP, as a machine that is out of memory would look
    void thaw();

    // Sends text of the ascii protocol on a connection of its own and gives what comes back up to and with `until`.
    std::string ask(std::string_view text, std::string_view until = "\r\n") const;
    void flush() const;
    [[nodiscard]] std::vector<std::string> keys() const;          // of all its items
    [[nodiscard]] std::string value(std::string_view key) const;  // empty if it isn't there
    void put(std::string_view key, std::string_view value) const;

private:
    void start();

    std::filesystem::path socket_;
    std::vector<std::string> options_;
    std::optional<Process> process_;
};

}  // namespace recto
