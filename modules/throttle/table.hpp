// table.hpp - the table in shared memory behind Throttle; throttle.hpp says what it promises.
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

class Throttle::Table {
public:
    // `memory` must stay mapped as long as the process lives.
    Table(std::span<std::byte> memory, const ThrottleOptions& options, const TickSource& ticks, std::string note);

    // Makes a table of zeroed memory, with the counts of the scopes that `previous` has too, and names them.
    static std::vector<std::string> fill(std::span<std::byte> memory, const ThrottleOptions& options, const Table* previous);

    [[nodiscard]] const std::string& note() const { return note_; }
    [[nodiscard]] std::optional<Scope> find(std::string_view scope) const;
    [[nodiscard]] Verdict check(std::span<const Scope> scopes, const Client& client);
    [[nodiscard]] std::vector<Usage> usage(const Client& client) const;
    [[nodiscard]] std::vector<Record> fullest(std::size_t count) const;
    void reset(const Client& client);
    void reset(Scope scope);
    [[nodiscard]] Counters counters() const;

private:
    class Guard;
    struct Place;
    struct Way;
    struct Spot;

    [[nodiscard]] Header& header() const { return *reinterpret_cast<Header*>(memory_.data()); }
    [[nodiscard]] Stripe& stripe(std::size_t index) const;
    [[nodiscard]] const Population& population(bool user) const { return user ? layout_.users : layout_.addresses; }
    [[nodiscard]] const Region& region(Scope scope, bool user) const;
    [[nodiscard]] bool counts(Scope scope, bool user) const { return !user || layout_.scopes[scope].users; }
    [[nodiscard]] std::uint64_t counting(std::span<const Scope> scopes, bool user) const;

    [[nodiscard]] Place place_of(const Client& client) const;
    [[nodiscard]] Way way(Scope scope, bool user, std::size_t set, std::size_t index) const;
    [[nodiscard]] std::optional<Spot> find(Scope scope, const Place& place) const;
    [[nodiscard]] Spot assess(Scope scope, const Place& place, std::uint64_t now) const;
    [[nodiscard]] Spot make_room(Scope scope, const Place& place, std::uint64_t now) const;
    void charge(Scope scope, const Spot& spot, const Place& place, std::uint64_t now);

    template <class Visit>
    void visit(Scope scope, bool user, const Visit& visit_record) const;
    void copy_to(const Table& target, Scope from, Scope to, bool user) const;

    std::span<std::byte> memory_;
    ThrottleOptions options_;
    Layout layout_;
    const TickSource& ticks_;
    std::string note_;
};

}  // namespace recto
