// memcached.hpp - a few memcached servers that may be dead, slow or wrong, and never cost more than a little time.
//
// Keys are spread by ketama and never move to another server while theirs is down: what came back with it could not be told from what
// was stored meanwhile. Each operation has a connection of its own for as long as it takes; they are kept for the next ones. After any
// error a connection is closed, because what it says next might be the answer to the question before.
//
// With a user it logs in by SASL (PLAIN, so the network must be trusted) on each new connection, which libmemcached does over TCP and in
// the binary protocol only; else it speaks the ascii one. A wrong password is a server that is down.
//
// Errors:   the constructor throws std::runtime_error for an address it can't read. After that everything that goes wrong is absence;
//           it is logged once when a server goes down (`cache.down`) and once when it is back (`cache.up`). No bytes that a server sends
//           end the process: libmemcached parses only what memcached_reply.hpp has checked.
// Threads:  safe to call from any thread.
// Limits:   `timeout` is the deadline of a whole operation, connecting and logging in included. A server that failed is not asked for
//           `retry`, then by one caller: a dead server costs the process one timeout each time. A host name is looked up by the system's
//           resolver before each new connection, which knows no such limit. A set() that timed out may still be done.
// Source:   memcached's doc/protocol.txt; libmemcached 1.1.4. Found by trying: memcached_pool_fetch doesn't wait for less than a second
//           and a key with a line break runs commands, so the pool is ours and keys are made by ours alone. A server that knows no SASL
//           takes anybody.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.hpp"

namespace recto {

class Memcached {
public:
    struct Login {
        std::string user;  // empty: none
        std::string password;
    };

    Memcached(const std::vector<std::string>& servers, std::chrono::milliseconds timeout, const Login& login = {},
              std::chrono::milliseconds retry = std::chrono::seconds(1));
    ~Memcached();

    struct Value {
        std::unique_ptr<char, void (*)(void*)> bytes;
        std::size_t size = 0;
        [[nodiscard]] std::string_view view() const { return {bytes.get(), size}; }
    };

    // Keys are printable ASCII of 1 to 250 bytes (assert).
    [[nodiscard]] std::optional<Value> get(std::string_view key);
    bool set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl);  // rounded up to seconds, 2 s to 30 days
    bool remove(std::string_view key);                                                      // false: wasn't there, or can't know

    [[nodiscard]] std::vector<Cache::ServerStats> stats();

private:
    class Server;
    struct Ring;
    [[nodiscard]] Server* server_of(std::string_view key);

    std::vector<std::unique_ptr<Server>> servers_;
    std::unique_ptr<Ring> ring_;
};

}  // namespace recto
