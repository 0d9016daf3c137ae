#include "util/network.hpp"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>

#include "util/units.hpp"

namespace recto {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr unsigned kMappedBits = 8 * kMapped.size();

std::string_view without_port_and_zone(std::string_view text) {
    if (const auto end = text.find(']'); text.starts_with('[') && end != std::string_view::npos) {
        text = text.substr(1, end - 1);
    } else if (std::ranges::count(text, ':') == 1) {
        text = text.substr(0, text.find(':'));
    }
    return text.substr(0, text.find('%'));
}

bool parse(int family, std::string_view text, void* out) {
    char terminated[INET6_ADDRSTRLEN] = {};
    if (text.size() >= sizeof terminated || text.find(char{0}) != std::string_view::npos) return false;
    std::memcpy(terminated, text.data(), text.size());
    return ::inet_pton(family, terminated, out) == 1;
}

std::optional<IpAddress> parse_bare(std::string_view text) {
    IpAddress address;
    if (text.find(':') != std::string_view::npos)
        return parse(AF_INET6, text, address.bytes.data()) ? std::optional(address) : std::nullopt;
    std::ranges::copy(kMapped, address.bytes.begin());
    if (parse(AF_INET, text, address.bytes.data() + kMapped.size())) return address;
    return {};
}

// What is left of an address when only the first `bits` count.
IpAddress masked(IpAddress address, unsigned bits) {
    for (unsigned i = 0; i < address.bytes.size(); ++i) {
        const auto kept = std::clamp(static_cast<int>(bits) - static_cast<int>(8 * i), 0, 8);
        address.bytes[i] &= static_cast<std::uint8_t>(0xFF00 >> kept);
    }
    return address;
}

}  // namespace

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

std::optional<IpAddress> parse_address(std::string_view text) { return parse_bare(without_port_and_zone(text)); }

Result<Network> Network::parse(std::string_view text) {
    const Error expected{"expected an address or a network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32"};
    const auto slash = text.find('/');
    const auto first = parse_bare(text.substr(0, slash));
    if (!first) return expected;
    if (slash == std::string_view::npos) return Network(*first, 128);

    const bool is_v4 = text.substr(0, slash).find(':') == std::string_view::npos;
    const auto length = parse_integer(text.substr(slash + 1));
    if (!length || *length < 0 || *length > (is_v4 ? 32 : 128)) return expected;
    const auto bits = static_cast<unsigned>(*length) + (is_v4 ? kMappedBits : 0);
    if (masked(*first, bits) != *first) return Error{"has bits set behind its prefix"};
    return Network(*first, bits);
}

bool Network::contains(const IpAddress& address) const { return masked(address, bits_) == first_; }

}  // namespace recto
