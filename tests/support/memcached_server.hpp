// memcached_server.hpp - a real memcached for one test: on a unix socket, or on TCP and with a password.
#pragma once

#include <cstdint>
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
    [[nodiscard]] std::vector<std::string> keys() const;          // of all its items, sorted
    [[nodiscard]] std::string value(std::string_view key) const;  // empty if it isn't there
    void put(std::string_view key, std::string_view value) const;

private:
    void start();
    std::optional<std::vector<std::string>> dump() const;

    std::filesystem::path socket_;
    std::vector<std::string> options_;
    std::optional<Process> process_;
};

// On a free port of 127.0.0.1; speaks the binary protocol only, so there is no asking it by text.
class SaslMemcachedServer {
public:
    SaslMemcachedServer(std::filesystem::path folder, const std::string& user, const std::string& password);

    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

    void kill();     // -9
    void restart();  // empty, at the same address
    void freeze();
    void thaw();

private:
    void start();

    std::filesystem::path folder_;  // of its configuration and passwords
    std::uint16_t port_;
    std::optional<Process> process_;
};

}  // namespace recto
