// network.hpp - IP addresses and networks as text: `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
//
// An IPv4 address is the IPv6 address it is mapped to, so that one comparison serves both.
//
// Errors:   a Result with one sentence, or nothing where text from a client may be anything.
// Threads:  pure functions.
// Source:   RFC 4291 section 2.2 (text of addresses), 2.5.5.2 (IPv4-mapped); RFC 4632 section 3.1 (`/n`).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.hpp"

namespace recto {

struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};

    [[nodiscard]] bool is_v4() const;  // ::ffff:0:0/96
    bool operator==(const IpAddress&) const = default;
};

// As a server may be told it: `[::1]:80`, `192.0.2.1:80` and `fe80::1%eth0` are addresses too; port and zone are left out.
[[nodiscard]] std::optional<IpAddress> parse_address(std::string_view text);

class Network {
public:
    // Strict: no port, no zone, and no bit set behind the prefix (`10.0.0.1/8` may be a slip for either).
    [[nodiscard]] static Result<Network> parse(std::string_view text);

    [[nodiscard]] bool contains(const IpAddress& address) const;

private:
    Network(const IpAddress& first, unsigned bits) : first_(first), bits_(bits) {}

    IpAddress first_;
    unsigned bits_ = 0;  // of 128
};

}  // namespace recto
