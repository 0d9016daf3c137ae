// record.hpp - looks at the bytes of a FastCGI request that have arrived, without taking them.
//
// libfcgi blocks from a request's first byte to its last, and trusts what it reads: a length of 2 GB is allocated, a failure to do so
// ends the process, and a management record can overrun a buffer of 64 bytes. So it gets a connection only when this function has seen
// BEGIN_REQUEST and all parameters, in the order and with the lengths that they must have.
//
// Errors:   `malformed`; its connection is to be closed. So are things that are legal but that libfcgi misreads or that no web server
//           sends: management records, interleaved requests, padding after an empty record.
// Threads:  pure functions.
// Limits:   kWindow bytes of parameters; nginx itself sends at most one record of 65,535 bytes.
// Source:   the FastCGI specification 1.0, sections 3 to 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace recto {

inline constexpr std::size_t kWindow = 96u << 10;       // how much is looked at
inline constexpr std::size_t kAwaitedBody = 16u << 10;  // a body up to this is waited for without a thread

enum class Arrival {
    incomplete,  // wait for more
    complete,    // all of it is there: reading it blocks nobody
    large_body,  // the parameters are there, and a body too large to wait for
    other_role,  // well-formed so far, but not for a responder
    malformed,
};

struct Arrived {
    Arrival state = Arrival::incomplete;
    std::uint16_t id = 0;
    std::optional<std::uint64_t> content_length;  // CONTENT_LENGTH, once the parameters are there
    bool more_follows = false;                    // bytes of another request, which libfcgi would read with this one and forget
};

// `bytes` begin where a request begins, and are at most kWindow.
[[nodiscard]] Arrived look_at_request(std::string_view bytes);

// END_REQUEST for a role that we don't play.
[[nodiscard]] std::string unknown_role_record(std::uint16_t id);

}  // namespace recto
