// exempt.hpp - who is never counted: users and networks that the operator trusts.
//
// Threads:  immutable.
#pragma once

#include <cstdint>
#include <vector>

#include "throttle/throttle.hpp"
#include "util/network.hpp"

namespace recto {

class Exempt {
public:
    Exempt() = default;  // nobody
    Exempt(std::vector<Network> networks, std::vector<std::int64_t> users) : networks_(std::move(networks)), users_(std::move(users)) {}

    // A user of the list, or anybody whose address is in one of the networks.
    [[nodiscard]] bool covers(const Client& client) const;

private:
    [[nodiscard]] bool covers_address(std::string_view text) const;

    std::vector<Network> networks_;
    std::vector<std::int64_t> users_;
};

}  // namespace recto
