// record_fuzz.cpp - any bytes on a FastCGI connection: no crash, a verdict that more bytes don't take back, and what is said to be
// complete is read by libfcgi to its end without waiting.
//
// The first two bytes say where the rest is cut.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "fcgi/connection.hpp"
#include "fcgi/record.hpp"
#include "tests/support/fuzzing.hpp"

namespace recto::record_fuzz {

inline bool may_follow(Arrival first, Arrival later) {
    if (first == Arrival::incomplete) return true;
    if (first == Arrival::large_body) return later == first || later == Arrival::complete || later == Arrival::malformed;
    return later == first;
}

// Who waits for bytes that don't come fails after the timeout.
inline void read_with_libfcgi(std::string_view bytes) {
    prepare_libfcgi();
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
    const UniqueFd client(ends[1]);
    Connection connection;
    connection.open(UniqueFd(ends[0]), std::chrono::milliseconds(500));
    if (::send(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) return;
    const auto request = connection.take_request();
    require(request.has_value(), "libfcgi doesn't take what is said to be complete");
    std::string body;
    require(connection.read_body(body, kWindow), "libfcgi doesn't find the body's end");
    require(connection.write("Status: 200 OK\r\n\r\n", "body"), "libfcgi doesn't answer");
}

}  // namespace recto::record_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace recto;
    if (size < 2) return 0;
    const auto bytes = std::string_view(reinterpret_cast<const char*>(data) + 2, size - 2).substr(0, kWindow);
    const auto cut = (std::size_t{data[0]} << 8 | data[1]) % (bytes.size() + 1);
    const auto arrived = look_at_request(bytes);
    const auto before = look_at_request(bytes.substr(0, cut));
    require(record_fuzz::may_follow(before.state, arrived.state), "more bytes take a verdict back");
    require(arrived.state != Arrival::complete || before.state != Arrival::complete || arrived.more_follows == (cut < bytes.size()) ||
                before.more_follows,
            "a request's end moves");
    if (arrived.state == Arrival::complete) record_fuzz::read_with_libfcgi(bytes);
    return 0;
}
