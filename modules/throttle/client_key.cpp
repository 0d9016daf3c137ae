#include "throttle/client_key.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "util/crypto.hpp"

namespace recto {
namespace {

constexpr std::size_t kNetworkBytes = 8;  // a /64: what one customer has at the least

// `[::1]:80` and `[::1]` are `::1`, `192.0.2.1:80` is `192.0.2.1`, `fe80::1%eth0` is `fe80::1`.
std::string_view without_port_and_zone(std::string_view text) {
    if (const auto end = text.find(']'); text.starts_with('[') && end != text.npos) {
        text = text.substr(1, end - 1);
    } else if (std::ranges::count(text, ':') == 1) {
        text = text.substr(0, text.find(':'));
    }
    return text.substr(0, text.find('%'));
}

bool parse(int family, std::string_view text, void* out) {
    char terminated[INET6_ADDRSTRLEN] = {};
    if (text.size() >= sizeof terminated || text.find(char{0}) != text.npos) return false;
    std::memcpy(terminated, text.data(), text.size());
    return ::inet_pton(family, terminated, out) == 1;
}

}  // namespace

ClientKey::ClientKey(const Client& client) { client.user_id ? put_user(*client.user_id) : put_address(client.address); }

void ClientKey::put_user(std::int64_t id) { put('u', &id, sizeof id); }

void ClientKey::put_address(std::string_view address) {
    const auto host = without_port_and_zone(address);
    in_addr four{};
    in6_addr six{};
    if (parse(AF_INET, host, &four)) return put('4', &four, sizeof four);
    if (!parse(AF_INET6, host, &six)) {
        const auto digest = hash128(address);
        return put('o', digest.data(), digest.size());
    }
    if (IN6_IS_ADDR_V4MAPPED(&six)) return put('4', six.s6_addr + 12, sizeof four);
    put('6', &six, kNetworkBytes);
}

void ClientKey::put(char kind, const void* data, std::size_t size) {
    assert(size < bytes_.size());
    bytes_[0] = kind;
    std::memcpy(bytes_.data() + 1, data, size);
    size_ = static_cast<std::uint8_t>(1 + size);
}

std::string ClientKey::name() const {
    const char* const data = bytes_.data() + 1;
    char text[INET6_ADDRSTRLEN] = {};
    switch (bytes_[0]) {
        case 'u': {
            std::int64_t id = 0;
            std::memcpy(&id, data, sizeof id);
            return "user " + std::to_string(id);
        }
        case '4':
            return ::inet_ntop(AF_INET, data, text, sizeof text);
        case '6': {
            in6_addr six{};
            std::memcpy(&six, data, kNetworkBytes);
            return ::inet_ntop(AF_INET6, &six, text, sizeof text) + std::string("/64");
        }
        case 'o':
            return "other " + hex({reinterpret_cast<const std::uint8_t*>(data), sizeof(Hash128)});
        default:
            return "others";
    }
}

std::string name_of(const Client& client) { return ClientKey(client).name(); }

}  // namespace recto
