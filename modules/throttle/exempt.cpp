#include "throttle/exempt.hpp"

#include <algorithm>

namespace recto {

bool Exempt::covers(const Client& client) const {
    if (client.user_id && std::ranges::find(users_, *client.user_id) != users_.end()) return true;
    return !networks_.empty() && covers_address(client.address);
}

bool Exempt::covers_address(std::string_view text) const {
    const auto address = parse_address(text);
    return address && std::ranges::any_of(networks_, [&](const auto& network) { return network.contains(*address); });
}

}  // namespace recto
