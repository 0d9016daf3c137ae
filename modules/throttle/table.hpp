// table.hpp - one table in shared memory behind Throttle; throttle.hpp says what it promises.
//
// A scope has two positions: that of this process's options, which callers use, and that in the file, which may be of other options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "throttle/layout.hpp"
#include "throttle/throttle.hpp"

namespace recto {

struct ThrottleSnapshot;

class Throttle::Table {
public:
    // `memory` must stay mapped as long as the process lives. `in_file`: what read_description said; `own`: of this process.
    Table(std::span<std::byte> memory, const ThrottleOptions& in_file, const ThrottleOptions& own, const TickSource& ticks,
          const Heartbeat& heartbeat);

    // Makes a table of zeroed memory: an empty one that is to take the place of `previous`, or one with the counts of a snapshot. Names
    // the scopes whose counts are kept.
    static std::vector<std::string> fill(std::span<std::byte> memory, const ThrottleOptions& options, const TickSource& ticks,
                                         const Heartbeat& heartbeat, Table* previous, const ThrottleSnapshot* snapshot);

    // Moves what is still in `previous`, stripe by stripe, when this table can be found by all. Throws if a stopped process holds a lock
    // of this one; then somebody else may go on.
    void take_over(Table& previous);
    void end();  // this one is wholly moved, and the one that follows has its name

    void bring_in_stripes() const;  // before the first use in this process

    [[nodiscard]] std::uint64_t id() const { return header().id; }
    [[nodiscard]] bool follows(const Table& previous) const { return header().follows == previous.id(); }
    [[nodiscard]] bool is_being_replaced() const { return retired() != Header::kInUse; }
    [[nodiscard]] bool is_moving() const { return retired() >= Header::kMoving; }  // clients of moved stripes count in the next one
    [[nodiscard]] bool is_replaced() const { return retired() == Header::kReplaced; }

    // For the policies of a table that is to take this one's place: room for what has been counted above a lower limit.
    void keep_capacity(std::vector<ThrottlePolicy>& policies) const;

    struct Ask {
        std::span<const Scope> scopes;
        const Client& client;
        RequestWeight weight;
        bool counts;
        bool may_wait;
    };
    // Empty: such a client counts in the table that is in the place of this one.
    [[nodiscard]] std::optional<Verdict> check(const Ask& ask);

    [[nodiscard]] std::vector<Refusals> take_refusals();
    [[nodiscard]] std::vector<Usage> usage(const Client& client) const;
    [[nodiscard]] std::vector<Record> fullest(std::size_t count) const;
    [[nodiscard]] std::vector<Refusals> refusals() const;
    // False: the table was replaced.
    [[nodiscard]] bool reset(const Client& client);
    [[nodiscard]] bool reset(std::string_view scope);
    [[nodiscard]] Counters counters() const;
    [[nodiscard]] Fill fill(bool users) const;
    [[nodiscard]] ThrottleSnapshot snapshot() const;
    [[nodiscard]] std::vector<Room> recount();

private:
    class Guard;
    struct Way;
    struct Spot;
    class FloorTimes;
    class Newcomer;
    using Bits = std::uint64_t;    // scopes of the file
    using Position = std::size_t;  // in the file

    [[nodiscard]] Header& header() const { return *reinterpret_cast<Header*>(memory_.data()); }
    [[nodiscard]] std::uint32_t retired() const { return header().retired.load(std::memory_order_acquire); }
    [[nodiscard]] std::optional<Verdict> refuse_at_sight(const Ask& ask, Bits wanted, const Place& place);
    [[nodiscard]] std::optional<Verdict> answer_of_retired(const Stripe& stripe) const;
    [[nodiscard]] Stripe& stripe(std::size_t index) const;
    [[nodiscard]] const Population& population(bool user) const { return user ? layout_.users : layout_.addresses; }
    [[nodiscard]] const Region& region(Position scope, bool user) const;
    [[nodiscard]] const Window& window(Position scope, bool user) const {
        return user ? layout_.scopes[scope].of_users : layout_.scopes[scope].window;
    }
    [[nodiscard]] bool counts(Position scope, bool user) const { return !user || layout_.scopes[scope].users; }
    [[nodiscard]] Bits counting(std::span<const Scope> scopes, bool user) const;
    [[nodiscard]] std::optional<Position> position(std::string_view scope) const;

    [[nodiscard]] Place place_of(const ClientKey& client) const;
    [[nodiscard]] std::byte* set(Position scope, bool user, std::size_t set) const;
    [[nodiscard]] Way way(Position scope, bool user, std::size_t set, std::size_t index) const;
    [[nodiscard]] FloorTimes floor(Position scope, bool user, std::size_t set) const;

    void bring_in(Position scope, const Place& place) const;
    void bring_in_records(Position scope, bool user, std::size_t part) const;
    [[nodiscard]] static bool is_touched(Position scope, const Stripe& stripe);
    static void touch(Position scope, Stripe& stripe);

    [[nodiscard]] std::optional<Spot> find(Position scope, const Place& place) const;
    [[nodiscard]] Spot assess(Position scope, Newcomer& client, std::uint64_t now, std::uint32_t cost) const;
    [[nodiscard]] Spot as_known(Position scope, const Place& place, std::uint64_t now) const;
    [[nodiscard]] Spot make_room(Position scope, const Place& place, std::uint64_t now) const;
    [[nodiscard]] std::vector<std::uint64_t> floor_times(Position scope, const Place& place) const;
    void charge(Position scope, const Spot& spot, Newcomer& client, std::uint64_t now, std::uint32_t cost);
    void evict(Position scope, const Spot& spot, const Place& place) const;

    [[nodiscard]] bool reset_networks(Position scope, Newcomer& client) const;

    // newcomer.cpp
    [[nodiscard]] std::uint16_t hash_of_network(std::string_view name) const;
    [[nodiscard]] Place place_of_network(std::size_t level, const Networks& networks) const;
    [[nodiscard]] Crowd& crowd(Position scope) const;
    [[nodiscard]] RecordsOfNetworks& records_of_networks(Position scope) const;
    [[nodiscard]] std::int64_t records_of(Position scope, std::uint16_t network) const;
    [[nodiscard]] std::int64_t share_of_network(std::size_t level) const;
    [[nodiscard]] std::int64_t weight_of(Position scope, std::size_t level, std::uint16_t network) const;
    void note_taken(Position scope, bool user, std::size_t set_index, const Networks& networks, int change) const;
    void forget(Position scope, bool user, const Way& record) const;
    void occupy(Position scope, const Way& record, const Place& place, const Networks& networks) const;
    [[nodiscard]] std::optional<std::size_t> network_above_its_share(Position scope, Newcomer& newcomer) const;
    [[nodiscard]] Spot assess_newcomer(Position scope, Newcomer& newcomer, std::uint64_t now, std::uint32_t cost) const;
    [[nodiscard]] std::optional<Spot> place_in(Position scope, const Place& network, std::uint64_t now) const;
    [[nodiscard]] std::optional<Spot> give_way(Position scope, Newcomer& newcomer, std::uint64_t now) const;
    [[nodiscard]] bool has_free_record(Position scope, const Place& place, std::uint64_t now) const;
    void join_network(Position scope, const Way& record, std::size_t level, std::uint64_t now) const;
    void raise_network(Position scope, const Place& network, std::vector<std::uint64_t> times, std::uint64_t now) const;
    [[nodiscard]] std::vector<Way> all_of(Position scope, const Place& network) const;
    [[nodiscard]] std::vector<std::uint64_t> times_of_network(Position scope, const Place& network) const;
    [[nodiscard]] std::vector<std::uint64_t> inherited(Position scope, Newcomer& newcomer) const;
    [[nodiscard]] std::uint32_t live(Position scope, bool user, const std::vector<std::uint64_t>& times, std::uint64_t now) const;
    [[nodiscard]] std::uint64_t opens_at(Position scope, bool user, const std::vector<std::uint64_t>& times, std::uint64_t now,
                                         std::uint32_t cost) const;
    void recount(Position scope, std::uint64_t now);
    void forget_expired(Position scope, bool user, std::uint64_t now);
    void recount_part(Position scope, bool user, Crowd::Part& part);
    void recount_networks(Position scope, std::uint64_t now);
    [[nodiscard]] bool has_expired(const Way& record, std::uint64_t now) const;
    [[nodiscard]] std::vector<Room> changes_of_room();

    void forget_floors(Position scope, bool user);
    void end_refusals(Position scope);

    [[nodiscard]] std::chrono::seconds seconds_until(std::uint64_t tick, std::uint64_t now) const;
    [[nodiscard]] std::chrono::seconds wait_in(Position scope, bool user, std::uint64_t tick, std::uint64_t now) const;
    [[nodiscard]] Quota quota_of(Position scope, const Spot& spot, Newcomer& client, std::uint64_t now, std::uint32_t cost) const;
    void note_refusals(Bits scopes, std::span<const Spot> spots, const ClientKey& client, std::uint64_t tag, Stripe& home,
                       std::uint64_t now) const;
    [[nodiscard]] Refusals named(const NotedRefusals& refusals, std::uint64_t now) const;

    enum class Stalled { throws, is_read_anyway };
    template <class Visit>
    void visit(Position scope, bool user, const Visit& visit_record, Stalled stalled = Stalled::throws) const;
    template <class Visit>
    void visit_part(Position scope, bool user, std::size_t part, const Visit& visit_record) const;
    template <class Visit>
    void visit_networks(Position scope, const Visit& visit_record, Stalled stalled = Stalled::throws) const;
    template <class Visit>
    void visit_networks_unlocked(Position scope, const Visit& visit_record) const;
    void begin_after(Table& previous);
    void stop();
    void for_each_common_scope(const Table& previous, const auto& visit_scope) const;
    void take_over_stripe(Table& previous, std::size_t index);
    void take_over_networks(const Table& previous, std::uint64_t now);
    void raise_networks(const Table& previous, Position from, Position to, std::uint64_t now);
    void take_over(const ThrottleSnapshot& snapshot);
    void bring_in_for(const Table& previous, std::size_t index) const;
    [[nodiscard]] std::optional<std::size_t> part_of(std::size_t stripe_index, bool user) const;
    [[nodiscard]] bool has_sets_of(const Table& previous) const;
    void raise_floors(const Table& previous, Position from, Position to, bool user, std::size_t part);
    void raise_all_floors(const Table& previous, Position from, Position to, bool user);
    void take_over_refusals(const Table& previous, Stripe& stripe);
    [[nodiscard]] bool put_with_network(Position scope, const Networks& networks, const std::vector<std::uint64_t>& times,
                                        std::uint64_t now);
    void put(Position scope, const Place& place, const Networks& networks, const std::vector<std::uint64_t>& times, std::uint64_t now);

    std::span<std::byte> memory_;
    ThrottleOptions in_file_;
    Layout layout_;
    const TickSource& ticks_;
    const Heartbeat& heartbeat_;

    Charge charge_;
    std::vector<std::optional<Position>> positions_;  // of this process's scopes
    std::array<Scope, kMaxScopes> own_scopes_{};      // and back
    Bits dry_runs_ = 0;

    // The sets whose pages this process has, by scope and population.
    std::vector<std::array<std::size_t, 2>> first_sets_;
    mutable std::vector<std::atomic<std::uint64_t>> brought_in_;
};

}  // namespace recto
