// memcached_fuzz.cpp - any replies of a memcached server, in pieces and with delays: no crash, no stall, and no value that wasn't sent.
//
// The first byte is the operation and the protocol, the second how the replies are cut and delayed. Then come pieces of replies: a byte
// below 0xf0 is itself; one above is a piece of the grammar, whose number is the next byte. \xff ends a reply: what follows answers the
// next request on any connection.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cache/memcached.hpp"
#include "cache/memcached_reply.hpp"
#include "tests/support/fake_memcached.hpp"
#include "tests/support/fuzzing.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/temporary_folder.hpp"

namespace recto::memcached_fuzz {

inline std::string packet(char opcode, char status, std::string_view key, std::string_view extras, std::string_view value) {
    std::string text{'\x81', opcode, '\0', static_cast<char>(key.size()), static_cast<char>(extras.size()), '\0', '\0', status};
    const auto size = key.size() + extras.size() + value.size();
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(size >> shift);
    return text.append(12, '\0').append(extras).append(key).append(value);
}

inline const std::vector<std::string>& grammar() {
    static const std::vector<std::string> pieces{"VALUE ",
                                                 "key",
                                                 " 0 ",
                                                 "3",
                                                 "abc",
                                                 "\r\n",
                                                 "END\r\n",
                                                 "STORED\r\n",
                                                 "DELETED\r\n",
                                                 "NOT_FOUND\r\n",
                                                 "VERSION 1.6.18\r\n",
                                                 "VERSION",
                                                 "STAT ",
                                                 "pid 1\r\n",
                                                 "SERVER_ERROR ",
                                                 "CLIENT_ERROR ",
                                                 "ERROR\r\n",
                                                 "OK\r\n",
                                                 "-1",
                                                 "18446744073709551615",
                                                 "4294967296",
                                                 "100000",
                                                 std::string(252, 'k'),
                                                 std::string(341, 'v'),
                                                 std::string(9000, 'w'),
                                                 "VALUE key 0 3\r\nabc\r\nEND\r\n",
                                                 packet(0x20, 0, "", "", "PLAIN"),
                                                 packet(0x21, 0, "", "", "Authenticated"),
                                                 packet(0x21, 0x21, "", "", "go on"),
                                                 packet(0x0d, 0, "key", std::string(4, '\0'), "abc"),
                                                 packet(0x0a, 0, "", "", ""),
                                                 packet(0x01, 0, "", "", ""),
                                                 packet(0x04, 0, "", "", ""),
                                                 packet(0x04, 1, "", "", "Not found"),
                                                 packet(0x0b, 0, "", "", "1.6.18"),
                                                 packet(0x0b, 0, "", "", std::string(100, '9')),
                                                 packet(0x10, 0, "pid", "", "1"),
                                                 packet(0x10, 0, "", "", ""),
                                                 std::string("\x81\x0d\x40\x00\x04\x00\x00\x00\x00\x00\x50\x00", 12),
                                                 std::string("\x81\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x08", 12),
                                                 std::string(12, '\0')};
    return pieces;
}

inline std::vector<std::string> replies_of(std::string_view script) {
    std::vector<std::string> replies(1);
    for (std::size_t i = 0; i < script.size(); ++i) {
        const auto byte = static_cast<unsigned char>(script[i]);
        if (byte == 0xff)
            replies.emplace_back();
        else if (byte < 0xf0)
            replies.back() += script[i];
        else if (++i < script.size())
            replies.back() += grammar()[static_cast<unsigned char>(script[i]) % grammar().size()];
    }
    return replies;
}

// Says one reply to each request; the last one again and again.
class Script {
public:
    void restart(std::vector<std::string> replies, std::size_t piece, std::chrono::milliseconds pause) {
        const std::scoped_lock lock(mutex_);
        replies_ = std::move(replies);
        next_ = 0;
        form_ = {.bytes = {}, .pause = pause, .piece = piece};
    }
    FakeMemcached::Reply next() {
        const std::scoped_lock lock(mutex_);
        auto reply = form_;
        reply.bytes = replies_[std::min(next_++, replies_.size() - 1)];
        reply.close = next_ > replies_.size() + 4;
        return reply;
    }
    [[nodiscard]] bool has_sent(std::string_view value) const {
        return std::ranges::any_of(replies_, [&](const auto& reply) { return reply.find(value) != std::string::npos; });
    }

private:
    std::mutex mutex_;
    std::vector<std::string> replies_{""};
    std::size_t next_ = 0;
    FakeMemcached::Reply form_;
};

struct Servers {
    Script script;
    TemporaryFolder folder;
    FakeMemcached text{folder / "m", [this](std::string_view) { return script.next(); }};
    FakeMemcached binary{free_port(), [this](std::string_view) { return script.next(); }};
};

inline void operate(Memcached& memcached, int operation, const Script& script) {
    if (operation == 0) {
        const auto value = memcached.get("key");
        require(!value || script.has_sent(value->view()), "a value that was not sent");
    }
    if (operation == 1) (void)memcached.set("key", "value", std::chrono::seconds(60));
    if (operation == 2) (void)memcached.remove("key");
    if (operation == 3) (void)memcached.stats();
}

// A reply that is whole is not whole before its end, and not right with a byte more.
inline void check_ends(std::string_view reply) {
    using State = MemcachedReply::State;
    constexpr std::string_view kRequests[] = {"get key \r\n", "set key 0 0 1\r\n", "delete key\r\n", "stats \r\n", "version\r\n"};
    for (const auto text : kRequests) {
        const auto request = MemcachedRequest::parse(text);
        if (check_reply(request, reply).state != State::whole) continue;
        require(check_reply(request, std::string(reply) + 'x').state == State::wrong, "whole with a byte too many");
        for (std::size_t size = 0; size < reply.size(); ++size)
            require(check_reply(request, reply.substr(0, size)).state == State::partial, "whole before its end");
    }
}

inline Servers& servers() {
    static Servers servers;
    return servers;
}

inline void run(std::uint8_t form, std::uint8_t cut, const std::vector<std::string>& replies) {
    const bool is_binary = (form & 4) != 0, is_delayed = cut % 16 == 15;
    auto& [script, folder, text, binary] = servers();
    script.restart(replies, cut / 16U + 1U, std::chrono::milliseconds(is_delayed ? 1 : 0));
    Memcached memcached({is_binary ? binary.address() : text.address()}, std::chrono::milliseconds(10),
                        is_binary ? Memcached::Login{"recto", "hunter2"} : Memcached::Login{}, std::chrono::milliseconds(0));
    for (const int step : {0, 1}) operate(memcached, (form + step) & 3, script);
}

}  // namespace recto::memcached_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace recto;
    if (size < 2) return 0;
    const auto replies = memcached_fuzz::replies_of({reinterpret_cast<const char*>(data + 2), size - 2});
    for (const auto& reply : replies) memcached_fuzz::check_ends(reply);
    const auto begin = std::chrono::steady_clock::now();
    memcached_fuzz::run(data[0], data[1], replies);
    require(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5), "an operation beyond its deadline");
    return 0;
}
