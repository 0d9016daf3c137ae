#include "throttle/client_key.hpp"

#include <cassert>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "util/crypto.hpp"
#include "util/network.hpp"

namespace recto {
namespace {

constexpr std::size_t kNetworkBytes = 8;  // a /64: what one customer has at the least

}  // namespace

ClientKey::ClientKey(const Client& client) { client.user_id ? put_user(*client.user_id) : put_address(client.address); }

void ClientKey::put_user(std::int64_t id) { put('u', &id, sizeof id); }

void ClientKey::put_address(std::string_view text) {
    const auto address = parse_address(text);
    if (!address) {
        const auto digest = hash128(text);
        return put('o', digest.data(), digest.size());
    }
    const auto* const bytes = address->bytes.data();
    address->is_v4() ? put('4', bytes + 12, sizeof(in_addr)) : put('6', bytes, kNetworkBytes);
}

void ClientKey::put(char kind, const void* data, std::size_t size) {
    assert(size < bytes_.size());
    bytes_[0] = kind;
    std::memcpy(bytes_.data() + 1, data, size);
    size_ = static_cast<std::uint8_t>(1 + size);
}

// The kind and the first bytes of the address: two networks of different size or kind never have the same.
std::array<std::string_view, 2> ClientKey::networks() const {
    switch (bytes_[0]) {
        case '4':
            return {bytes().substr(0, 1 + 3), bytes().substr(0, 1 + 2)};
        case '6':
            return {bytes().substr(0, 1 + 6), bytes().substr(0, 1 + 4)};
        default:
            return {};
    }
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
