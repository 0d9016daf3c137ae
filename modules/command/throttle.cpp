#include "throttle/throttle.hpp"

#include <optional>

#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/table.hpp"
#include "site/owner.hpp"
#include "util/network.hpp"
#include "util/units.hpp"

namespace recto {
namespace {

constexpr std::size_t kDefaultTop = 20;

Throttle table_in_use(Operator& op) {
    become_owner_of(op.config().data);
    auto throttle = Throttle::attach(op.config().runtime_dir);
    if (!throttle) fail("no worker has counted a request since the machine was started");
    return *std::move(throttle);
}

std::optional<std::int64_t> user_named(Operator& op, const std::string& name) {
    for (const auto& user : op.site().auth.users())
        if (user.name == name) return user.id;
    return {};
}

// As name_of() tells it, in the log and by `show`: `2001:db8::/64`, `user 12`.
std::optional<Client> client_as_shown(std::string_view who) {
    constexpr std::string_view kUser = "user ", kNetwork = "/64";
    if (who.starts_with(kUser))
        if (const auto id = parse_integer(who.substr(kUser.size()))) return Client{.user_id = *id, .address = {}};
    if (who.ends_with(kNetwork)) who.remove_suffix(kNetwork.size());
    if (parse_address(who)) return Client{.user_id = {}, .address = who};
    return {};
}

// `192.0.2.1`, `2001:db8::1`, a user's name, or what `show` prints. It refers to `who`.
std::optional<Client> find_client(Operator& op, const std::string& who) {
    if (parse_address(who)) return Client{.user_id = {}, .address = who};
    if (const auto id = user_named(op, who)) return Client{.user_id = id, .address = {}};
    return client_as_shown(who);
}

Client client_of(Operator& op, const std::string& who) {
    if (const auto client = find_client(op, who)) return *client;
    fail("there is no user " + who + ", and it isn't an address; see `recto user list`");
}

std::string in_seconds(std::chrono::seconds time) { return std::to_string(time.count()) + " s"; }

void explain(Operator& op, const std::string& who) {
    const auto client = client_of(op, who);
    print_line("counted as " + name_of(client));
    if (exempt_of(op.site()).covers(client))
        print_line("exempt     its requests are not counted: [throttle] exempt_users, exempt_networks");

    const auto throttle = table_in_use(op);
    std::vector<TableRow> rows{{"SCOPE", "RATE", "USED", "LEFT", "MORE IN", "NEXT ONE"}};
    for (const auto& usage : throttle.usage(client)) {
        const auto left = usage.used < usage.rate.limit ? usage.rate.limit - usage.used : 0;
        rows.push_back({usage.scope, to_text(usage.rate), std::to_string(usage.used), std::to_string(left), in_seconds(usage.more_in),
                        usage.retry_after.count() == 0 ? "accepted" : "in " + in_seconds(usage.retry_after)});
    }
    print_table(rows);
}

void print_fullest(const Throttle& throttle, std::size_t count) {
    std::vector<TableRow> rows{{"SCOPE", "KIND", "USED", "LIMIT"}};
    for (const auto& record : throttle.fullest(count))
        rows.push_back({record.scope,
                        record.is_network ? "network"
                        : record.is_user  ? "user"
                                          : "address",
                        std::to_string(record.used), std::to_string(record.limit)});
    print_table(rows);
}

void print_refusals(const Throttle& throttle) {
    const auto refusals = throttle.refusals();
    if (refusals.empty()) return;
    std::vector<TableRow> rows{{"REFUSED", "SCOPE", "TIMES", "FOR", "ACCEPTED IN"}};
    for (const auto& one : refusals)
        rows.push_back({one.client, one.scope, std::to_string(one.count), in_seconds(one.lasted),
                        one.dry_run ? "dry run" : in_seconds(one.retry_after)});
    print_line("");
    print_table(rows);
}

void print_counter(std::string what, const std::string& count) {
    constexpr std::size_t kWidth = 27;
    what.resize(std::max(what.size() + 1, kWidth), ' ');
    print_line(what + count);
}

void print_counters(const Throttle& throttle) {
    const auto counters = throttle.counters();
    const std::pair<const char*, std::uint64_t> all[] = {{"accepted", counters.accepted},
                                                         {"refused", counters.refused},
                                                         {"refused for want of room", counters.no_room},
                                                         {"would be refused (dry run)", counters.would_refuse},
                                                         {"live requests forgotten", counters.evicted_live_requests},
                                                         {"locks recovered", counters.recovered_locks},
                                                         {"stalls", counters.stalls},
                                                         {"late locks", counters.late_locks}};
    print_line("");
    for (const auto& [what, count] : all) print_counter(what, std::to_string(count));
    for (const bool users : {false, true}) {
        const auto fill = throttle.fill(users);
        print_counter(users ? "users counted" : "addresses counted", std::to_string(fill.used) + " of " + std::to_string(fill.records));
    }
}

void show(Operator& op, std::size_t count) {
    const auto throttle = table_in_use(op);
    print_fullest(throttle, count);
    print_refusals(throttle);
    print_counters(throttle);
}

void reset_scope(Operator& op, const std::string& name) {
    auto throttle = table_in_use(op);
    const auto scope = throttle.find(name);
    if (!scope) fail("there is no scope " + name + " in [throttle]");
    throttle.reset(*scope);
}

void reset(Operator& op, const std::string& what) {
    const auto client = find_client(op, what);
    auto throttle = table_in_use(op);
    const auto scope = throttle.find(what);
    if (client && scope) fail(what + " is a scope and a user; say --scope " + what + " or `" + name_of(*client) + "`");
    if (!client && !scope) fail("there is no user and no scope " + what + ", and it isn't an address");
    client ? throttle.reset(*client) : throttle.reset(*scope);
}

}  // namespace

void add_throttle(CLI::App& program, Operator& op) {
    auto* const throttle = program.add_subcommand("throttle", "How much of the limits is used; giving it back");
    throttle->require_subcommand(1);

    auto* const show_command = throttle->add_subcommand("show", "Prints the fullest records, who is refused, and the counters");
    auto* const top = show_command->add_option("--top", "How many records")
                          ->default_str(std::to_string(kDefaultTop))
                          ->force_callback()
                          ->check(CLI::Range(1, 1000));
    show_command->final_callback([&op, top] { show(op, top->as<std::size_t>()); });

    auto* const explain_command = throttle->add_subcommand("explain", "Prints what one client has used in each scope, and what is left");
    const auto who = std::make_shared<std::string>();
    explain_command->add_option("WHO", *who, "An address, a user's name, or a client as `show` and the log name it")->required();
    explain_command->final_callback([&op, who] { explain(op, *who); });

    auto* const reset_command = throttle->add_subcommand("reset", "Gives a client, or all clients of a scope, their whole limit back");
    auto* const which = reset_command->add_option_group("which");
    const auto scope = std::make_shared<std::string>();
    which->add_option("WHAT", *who, "As for explain; or a scope");
    which->add_option("--scope", *scope, "A scope of [throttle], also if a user has its name");
    which->require_option(1);
    reset_command->final_callback([&op, who, scope] { scope->empty() ? reset(op, *who) : reset_scope(op, *scope); });
}

}  // namespace recto
