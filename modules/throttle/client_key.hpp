// client_key.hpp - the bytes that stand for a client: a kind, then what tells it from others of that kind.
//
// Errors:   none; what isn't an address is a client of kind `other`, known by its whole text.
// Threads:  plain values.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "throttle/throttle.hpp"

namespace recto {

class ClientKey {
public:
    explicit ClientKey(const Client& client);

    [[nodiscard]] std::string_view bytes() const { return {bytes_.data(), size_}; }

private:
    void put_user(std::int64_t id);
    void put_address(std::string_view address);
    void put(char kind, const void* data, std::size_t size);

    std::array<char, 17> bytes_{};
    std::size_t size_ = 0;
};

}  // namespace recto
