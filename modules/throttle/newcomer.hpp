// newcomer.hpp - a client that has no record of its own in a scope yet: its networks, and what they have used.
//
// One customer of a provider has 65,536 /64s. So that it can't fill a table with them, networks have a share: a /48 or /24 a thirty-second
// of the records of addresses, a /32 or /16 an eighth. In a table more than three quarters full a newcomer of a network above its share
// counts in the record of that network, as one client with all others of whom that is true.
//
// A client may come to a record of its own later. That begins as a copy of what counts in the records of its networks, among which are all
// requests the client itself made there: no client ever gets more than its limit, and who was refused stays refused.
//
// Where a newcomer would find no room because all that could make some are at their limit, a record of the network with the most records
// gives way, if it is of a larger one than the newcomer's own. The record of that network then takes over its times, so its client stays
// refused too.
//
// Threads:  one per request, under the lock of the client's stripe.
#pragma once

#include <array>
#include <optional>

#include "throttle/client_key.hpp"
#include "throttle/table_parts.hpp"

namespace recto {

constexpr std::array<std::int64_t, 2> kSharesOfNetworks = {32, 8};  // of a smaller and of a larger network: one of so many records

class Throttle::Table::Newcomer {
public:
    Newcomer(const Table& table, const ClientKey& client, const Place& place, RobustMutex::Waiting waiting = RobustMutex::Waiting::briefly)
        : table_(table), client_(client), place_(place), waiting_(waiting) {}

    [[nodiscard]] const Place& place() const { return place_; }
    [[nodiscard]] const Networks& networks();  // {0, 0}: it is in none, or this table knows none
    [[nodiscard]] const Place& place_of_network(std::size_t level);

    // Locks the records of networks, until the end. False: that can't be had now, the request can't be counted.
    [[nodiscard]] bool lock();
    [[nodiscard]] bool is_locked() const { return guard_.has_value() && !is_stalled_; }
    [[nodiscard]] bool is_stalled() const { return is_stalled_; }
    [[nodiscard]] Outcome outcome() const { return *guard_ ? Outcome::late : guard_->outcome(); }  // if it is stalled

private:
    const Table& table_;
    const ClientKey& client_;
    const Place& place_;
    RobustMutex::Waiting waiting_;
    std::optional<Networks> networks_;
    std::array<std::optional<Place>, 2> places_;
    std::optional<Guard> guard_;
    bool is_stalled_ = false;
};

}  // namespace recto
