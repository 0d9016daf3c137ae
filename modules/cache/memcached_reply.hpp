// memcached_reply.hpp - whether what a memcached server sent is a whole reply to what it was asked, in a form that libmemcached can parse.
//
// libmemcached's parsers trust the server, in both protocols: they take the reply to any command for the reply to the one that was sent,
// copy a key of any length into 251 bytes and a version of any length into 32, write before a value of a negative length, and assert that
// a `set` is answered like one. So it is given nothing but what this check lets pass: the reply to the very request, whole, with the very
// key, each length within bounds, and nothing after it.
//
// Errors:   none; bytes that can't become such a reply are `wrong`.
// Threads:  pure functions.
// Limits:   a value of 1 GiB; 300 bytes a line, 64 KiB for all statistics; one key a request.
// Source:   memcached's doc/protocol.txt and doc/protocol-binary; libmemcached 1.1.4, src/libmemcached/response.cc, stats.cc and sasl.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace recto {

// The command and the key, from the first bytes that libmemcached sends: all it needs of a request is in them.
struct MemcachedRequest {
    enum class Command { unknown, get, set, remove, stats, version, list_mechanisms, log_in };
    Command command = Command::unknown;
    bool binary = false;
    unsigned char opcode = 0;  // of the binary protocol
    std::string key;           // of a get

    [[nodiscard]] static MemcachedRequest parse(std::string_view sent);
};

struct MemcachedReply {
    enum class State { partial, whole, refused, wrong };  // refused: a log-in; libmemcached asserts on some ways to say so
    State state = State::wrong;
    std::size_t expected = 0;  // bytes in all, if partial and known
};
[[nodiscard]] MemcachedReply check_reply(const MemcachedRequest& request, std::string_view received);

}  // namespace recto
