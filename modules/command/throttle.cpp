#include "throttle/throttle.hpp"

#include <cstdio>

#include <arpa/inet.h>

#include "command/commands.hpp"
#include "command/table.hpp"
#include "site/owner.hpp"

namespace recto {
namespace {

constexpr std::size_t kDefaultTop = 20;

Throttle table_in_use(Operator& op) {
    become_owner_of(op.config().data);
    auto throttle = Throttle::attach(op.config().runtime_dir);
    if (!throttle) fail("no worker has counted a request since the machine was started");
    return *std::move(throttle);
}

const CLI::Validator kAddress(
    [](std::string& text) {
        in6_addr address;
        const bool good = ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
        return good ? std::string() : "expected an address such as 192.0.2.1 or 2001:db8::1, found " + text;
    },
    "ADDRESS");

struct Target {
    std::string address;
    std::string user;
    std::string scope;
};

std::int64_t user_id(Operator& op, const std::string& name) {
    for (const auto& user : op.site().auth.users())
        if (user.name == name) return user.id;
    fail("there is no user " + name + "; see `recto user list`");
}

Client client_of(Operator& op, const Target& target) {
    if (!target.user.empty()) return {user_id(op, target.user), {}};
    return {{}, target.address};
}

void show_client(Operator& op, const Target& target) {
    std::vector<TableRow> rows{{"SCOPE", "RATE", "USED", "WAIT"}};
    for (const auto& usage : table_in_use(op).usage(client_of(op, target)))
        rows.push_back({usage.scope, to_text(usage.rate), std::to_string(usage.used), std::to_string(usage.retry_after.count()) + " s"});
    print_table(rows);
}

void show_fullest(Operator& op, std::size_t count) {
    std::vector<TableRow> rows{{"SCOPE", "KIND", "USED", "LIMIT"}};
    const auto throttle = table_in_use(op);
    for (const auto& record : throttle.fullest(count))
        rows.push_back({record.scope, record.is_user ? "user" : "address", std::to_string(record.used), std::to_string(record.limit)});
    print_table(rows);
    const auto counters = throttle.counters();
    std::printf("accepted %llu, refused %llu, live requests forgotten %llu, locks recovered %llu, stalls %llu\n",
                static_cast<unsigned long long>(counters.accepted), static_cast<unsigned long long>(counters.refused),
                static_cast<unsigned long long>(counters.evicted_live_requests), static_cast<unsigned long long>(counters.recovered_locks),
                static_cast<unsigned long long>(counters.stalls));
}

void reset(Operator& op, const Target& target) {
    auto throttle = table_in_use(op);
    if (target.scope.empty()) return throttle.reset(client_of(op, target));
    const auto scope = throttle.find(target.scope);
    if (!scope) fail("there is no scope " + target.scope + " in [throttle]");
    throttle.reset(*scope);
}

}  // namespace

void add_throttle(CLI::App& program, Operator& op) {
    auto* const throttle = program.add_subcommand("throttle", "How much of the limits is used; giving it back");
    throttle->require_subcommand(1);

    auto* const show = throttle->add_subcommand("show", "Prints the fullest records and the counters, or one client's use");
    const auto target = std::make_shared<Target>();
    auto* const by_address = show->add_option("--address", target->address, "An address")->check(kAddress);
    show->add_option("--user", target->user, "A user's name")->excludes(by_address);
    auto* const top = show->add_option("--top", "How many records")
                          ->default_str(std::to_string(kDefaultTop))
                          ->force_callback()
                          ->check(CLI::Range(1, 1000));
    show->final_callback([&op, target, top] {
        const bool one_client = !target->address.empty() || !target->user.empty();
        one_client ? show_client(op, *target) : show_fullest(op, top->as<std::size_t>());
    });

    auto* const reset_command = throttle->add_subcommand("reset", "Gives a client, or all clients of a scope, their whole limit back");
    auto* const which = reset_command->add_option_group("which");
    const auto reset_target = std::make_shared<Target>();
    which->add_option("--address", reset_target->address, "An address")->check(kAddress);
    which->add_option("--user", reset_target->user, "A user's name");
    which->add_option("--scope", reset_target->scope, "A scope of [throttle]");
    which->require_option(1);
    reset_command->final_callback([&op, reset_target] { reset(op, *reset_target); });
}

}  // namespace recto
