// client_key.hpp - the bytes that stand for a client: a kind, then what tells it from others of that kind.
//
// Errors:   none; what isn't an address is a client of kind `other`, known by a hash of its whole text.
// Threads:  plain values, which may lie in shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "throttle/throttle.hpp"

namespace recto {

class ClientKey {
public:
    ClientKey() = default;  // of nobody
    explicit ClientKey(const Client& client);

    [[nodiscard]] std::string_view bytes() const { return {bytes_.data(), size_}; }
    [[nodiscard]] bool is_user() const { return bytes_[0] == 'u'; }

    // The bytes that stand for the two networks of an address, the smaller first: its /48 and /32, or /24 and /16. Empty for any other
    // client.
    [[nodiscard]] std::array<std::string_view, 2> networks() const;

    // `192.0.2.1`, `2001:db8::/64`, `user 12`, `other 0f3c…`; `others` for nobody.
    [[nodiscard]] std::string name() const;

private:
    void put_user(std::int64_t id);
    void put_address(std::string_view address);
    void put(char kind, const void* data, std::size_t size);

    std::array<char, 17> bytes_{};
    std::uint8_t size_ = 0;
};

}  // namespace recto
