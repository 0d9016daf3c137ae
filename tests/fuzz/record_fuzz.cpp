// record_fuzz.cpp - any bytes on a FastCGI connection: no crash, a verdict that more bytes don't take back, and what is said to be
// complete can be read to its end.
//
// The first two bytes say where the rest is cut.
#include <algorithm>
#include <string>
#include <string_view>

#include "fcgi/record.hpp"
#include "tests/support/fuzzing.hpp"

namespace recto::record_fuzz {

inline bool may_follow(Arrival first, Arrival later) {
    if (first == Arrival::incomplete) return true;
    if (first == Arrival::large_body) return later == first || later == Arrival::complete || later == Arrival::malformed;
    return later == first;
}

// The body also when it comes in two pieces.
inline void read_to_the_end(const Arrived& arrived, std::size_t cut) {
    auto params = arrived.params();
    while (!params.empty()) require(take_param(params).has_value(), "a parameter of what is said to be complete is cut off");
    std::string whole, joined;
    BodyReader at_once(arrived.id), in_pieces(arrived.id);
    cut = std::min(cut, arrived.body.size());
    require(at_once.take(arrived.body, whole) && at_once.at_end(), "the body of what is said to be complete has no end");
    require(in_pieces.take(arrived.body.substr(0, cut), joined) && in_pieces.take(arrived.body.substr(cut), joined),
            "a body in pieces is bad");
    require(whole == joined, "a body in pieces is another");
    require(at_once.more_follows() == arrived.more_follows, "a body ends elsewhere than its request");
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
    if (arrived.state == Arrival::complete) record_fuzz::read_to_the_end(arrived, cut);
    return 0;
}
