#include "throttle/layout.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

#include "util/file.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLine = 64;
constexpr std::size_t kPage = 4096;
// Enough that stripes fill evenly; few enough that one is moved in some milliseconds.
constexpr std::size_t kWaysPerStripe = 256;
constexpr std::size_t kMostStripes = 4096;

constexpr std::size_t kCrowd = 128;
static_assert(sizeof(Crowd) <= kCrowd);

constexpr std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

// A quarter more than asked for: with two choices of 8 ways, four fifths full means practically nobody without a place.
Population population(std::uint32_t clients, std::size_t first_stripe) {
    const auto ways = std::max<std::size_t>(clients, 1) * 5 / 4;
    const auto stripes = std::clamp<std::size_t>(ways / kWaysPerStripe, 1, kMostStripes);
    return {.first_stripe = first_stripe, .stripes = stripes, .sets_per_stripe = (ways + stripes * kWays - 1) / (stripes * kWays)};
}

std::size_t set_bytes(const Window& window, bool strict) {
    const auto floor = strict ? sizeof(Floor) + 2 * window.record_bytes() : 0;
    return round_up(sizeof(Set) + kWays * window.record_bytes() + floor, kLine);
}

// One of `size`, by 24 random bits.
std::size_t pick(std::uint64_t bits, std::size_t size) { return (bits & 0xFFFFFF) * size >> 24; }

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): bits that seem to have nothing to do with those of the tag itself.
std::uint64_t mixed(std::uint64_t bits) {
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB;
    return bits ^ bits >> 31;
}

// Ticks count from the boot, and from the start of the time namespace: neither may be another's.
Hash128 boot_identity() {
    std::error_code none;
    const auto time_namespace = fs::read_symlink("/proc/self/ns/time", none);
    return hash128(std::string(trim(read_file("/proc/sys/kernel/random/boot_id"))) + time_namespace.string());
}

Description::Policy describe(const ThrottlePolicy& policy) {
    Description::Policy out{};
    if (policy.scope.size() >= out.scope.size()) throw std::runtime_error("throttle: the name of scope " + policy.scope + " is too long");
    const auto most = std::min(Window::most(policy.representation_of(false)), Window::most(policy.representation_of(true)));
    if (policy.rate.limit > most)
        throw std::runtime_error("throttle: scope " + policy.scope + ": expected a limit of at most " + std::to_string(most));
    if (policy.rate.period < std::chrono::seconds(1)) throw std::runtime_error("throttle: scope " + policy.scope + ": expected a period");
    std::ranges::copy(policy.scope, out.scope.begin());
    out.limit = policy.rate.limit;
    out.addresses_only = policy.addresses_only;
    out.representation = static_cast<std::uint8_t>(policy.representation_of(false));
    out.representation_of_users = static_cast<std::uint8_t>(policy.representation_of(true));
    out.period_seconds = policy.rate.period.count();
    out.capacity = std::max(policy.rate.limit, policy.capacity);
    return out;
}

ThrottlePolicy policy_of(const Description::Policy& policy) {
    const auto end = std::ranges::find(policy.scope, '\0');
    return {.scope = std::string(policy.scope.begin(), end),
            .rate = {policy.limit, std::chrono::seconds(policy.period_seconds)},
            .addresses_only = policy.addresses_only != 0,
            .representation = static_cast<Representation>(policy.representation),
            .of_users = static_cast<Representation>(policy.representation_of_users),
            .capacity = static_cast<std::uint32_t>(policy.capacity)};
}

bool is_impossible(const Description::Policy& policy) {
    constexpr auto kLast = static_cast<std::uint8_t>(Representation::windows);
    if (policy.representation > kLast || policy.representation_of_users > kLast) return true;
    const auto most = std::min(Window::most(static_cast<Representation>(policy.representation)),
                               Window::most(static_cast<Representation>(policy.representation_of_users)));
    return policy.capacity > most || policy.limit > policy.capacity || policy.period_seconds < 1;
}

bool is_ours(const Description& description) {
    return description.magic == Description::kMagic && description.layout == Description::kLayout && description.boot == boot_identity() &&
           description.policy_count <= kMaxScopes;
}

}  // namespace

Layout::Layout(const ThrottleOptions& options)
    : addresses(population(options.clients, 0)),
      users(population(options.users, addresses.stripes)),
      network_sets(options.clients < kLeastToGroup ? 0 : kNetworkSets) {
    size = round_up(offset_of_stripes() + stripes() * sizeof(Stripe), kPage);
    const auto region = [&](const Window& window, std::size_t sets) {
        const Region made{.offset = size, .set_bytes = set_bytes(window, options.strict)};
        size += sets * made.set_bytes;
        return made;
    };
    for (const auto& policy : options.policies) {
        const Window window(policy.rate, policy.representation_of(false), policy.capacity);
        const Window window_of_users(policy.rate, policy.representation_of(true), policy.capacity);
        const auto of_addresses = region(window, addresses.sets() + network_sets);
        const auto of_users = policy.addresses_only ? std::optional<Region>() : region(window_of_users, users.sets());
        scopes.push_back({window, window_of_users, of_addresses, of_users, size});
        size += kCrowd + (groups() ? sizeof(RecordsOfNetworks) : 0);
    }
}

Place Layout::place_of_network(std::uint64_t tag) const {
    const Population networks{.first_stripe = network_stripe(), .stripes = 1, .sets_per_stripe = network_sets};
    auto place = place_of(tag, false, networks);
    for (auto& set : place.sets) set += addresses.sets();
    return place;
}

Place place_of(std::uint64_t tag, bool user, const Population& population) {
    const auto bits = mixed(tag);
    const auto part = (bits >> 48) * population.stripes >> 16;
    const auto first = pick(bits >> 24, population.sets_per_stripe);
    const auto second = pick(bits, population.sets_per_stripe);
    const auto other = second != first ? second : (second + 1) % population.sets_per_stripe;
    const auto begin = part * population.sets_per_stripe;
    return {.user = user, .tag = tag, .stripe = population.first_stripe + part, .sets = {begin + first, begin + other}};
}

std::size_t Layout::offset_of_crowd_numbers() { return kCrowd; }
std::size_t Layout::offset_of_stripes() { return round_up(sizeof(Header), kPage); }

Description describe(const ThrottleOptions& options) {
    if (options.policies.size() > kMaxScopes)
        throw std::runtime_error("throttle: expected at most " + std::to_string(kMaxScopes) + " scopes");
    Description out{};
    out.magic = Description::kMagic;
    out.layout = Description::kLayout;
    out.policy_count = static_cast<std::uint32_t>(options.policies.size());
    out.clients = options.clients;
    out.users = options.users;
    out.strict = options.strict;
    out.boot = boot_identity();
    std::ranges::transform(options.policies, out.policies.begin(), [](const ThrottlePolicy& policy) { return describe(policy); });
    return out;
}

std::optional<ThrottleOptions> read_description(std::span<const std::byte> file) {
    if (file.size() < sizeof(Header)) return {};
    Description description;
    std::memcpy(&description, file.data(), sizeof description);
    if (!is_ours(description)) return {};

    ThrottleOptions options;
    options.clients = description.clients;
    options.users = description.users;
    options.strict = description.strict != 0;
    // Nothing is believed that we wouldn't have written ourselves.
    const auto policies = std::span(description.policies).first(description.policy_count);
    if (std::ranges::any_of(policies, is_impossible)) return {};
    for (const auto& policy : policies) options.policies.push_back(policy_of(policy));
    if (describe(options) != description || Layout(options).size != file.size()) return {};
    return options;
}

}  // namespace recto
