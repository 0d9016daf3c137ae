#include "fcgi/view_throttle.hpp"

#include "fcgi/answers.hpp"
#include "log/log.hpp"
#include "util/network.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

// The command line is not throttled: there is no address to count by.
bool is_local(std::string_view address) { return address == "local"; }

// An answer that a cache between us and the client may keep must not carry one client's numbers to another; `no-cache` lets it.
bool is_for_this_client_alone(const Response& response, bool is_authenticated) {
    const auto control = response.header_value("Cache-Control");
    if (control.empty()) return is_authenticated;  // RFC 9111 section 3.5
    return control.find("no-store") != std::string_view::npos || control.find("private") != std::string_view::npos;
}

// "anon";q=100;w=86400
std::string policy_item(const ThrottlePolicy& policy) {
    return '"' + policy.scope + "\";q=" + std::to_string(policy.rate.limit) + ";w=" + std::to_string(policy.rate.period.count());
}

// "anon";r=57;t=1234
std::string quota_item(const ThrottlePolicy& policy, const Throttle::Quota& quota) {
    auto item = '"' + policy.scope + "\";r=" + std::to_string(quota.remaining);
    if (quota.more_in > 0s) item += ";t=" + std::to_string(quota.more_in.count());
    return item;
}

}  // namespace

ViewThrottle::ViewThrottle(Throttle& throttle, Exempt exempt, std::string_view told)
    : throttle_(throttle),
      exempt_(std::move(exempt)),
      told_(told == "users" ? Told::users
            : told == "all" ? Told::all
                            : Told::none) {
    if (const auto scope = throttle.find("wrong_tokens")) wrong_tokens_.push_back(*scope);
}

ViewThrottle::Limits ViewThrottle::limits_of(const ViewPolicy& policy) const {
    Limits limits{.scopes = {}, .cost = policy.cost};
    for (const auto& scope : policy.throttle)
        if (const auto found = throttle_.find(scope)) limits.scopes.push_back(*found);  // else it is `off`
    return limits;
}

std::optional<Response> ViewThrottle::refusal(const Limits& limits, const Client& client, std::vector<Throttle::Quota>& quotas) const {
    return decision(limits, client, quotas, true).refusal;
}

ViewThrottle::AtOnce ViewThrottle::refusal_at_once(const Limits& limits, const Client& client, std::vector<Throttle::Quota>& quotas) const {
    return decision(limits, client, quotas, false);
}

ViewThrottle::AtOnce ViewThrottle::decision(const Limits& limits, const Client& client, std::vector<Throttle::Quota>& quotas,
                                            bool may_wait) const {
    if (limits.scopes.empty() || is_local(client.address) || exempt_.covers(client)) return {};
    const bool is_told = told_ == Told::all || (told_ == Told::users && client.user_id);
    auto verdict = throttle_.check(limits.scopes, client, {.cost = limits.cost, .tell_quotas = is_told, .may_wait = may_wait});
    if (verdict.outcome == Throttle::Outcome::busy) return {.is_decided = false, .refusal = {}};
    if (verdict.outcome == Throttle::Outcome::refused) warn_of_shared_address(client);
    if (verdict.outcome != Throttle::Outcome::accepted) return {.refusal = answer_to(verdict)};
    quotas = std::move(verdict.quotas);
    return {};
}

// `unix:` or nothing is what everybody behind a proxy on a socket seems to have: they all share a limit.
void ViewThrottle::warn_of_shared_address(const Client& client) const {
    if (client.user_id || parse_address(client.address) || is_warned_.test_and_set()) return;
    log_message(Level::error,
                "refused a client whose address is `" + std::string(client.address) +
                    "`, which all may share; tell nginx the real one, see real_ip_header in its site.conf",
                "recto.throttle");
}

std::optional<Response> ViewThrottle::refusal_of_guesses(std::string_view address) const {
    return decision_on_guesses(address, true).refusal;
}

ViewThrottle::AtOnce ViewThrottle::refusal_of_guesses_at_once(std::string_view address) const {
    return decision_on_guesses(address, false);
}

ViewThrottle::AtOnce ViewThrottle::decision_on_guesses(std::string_view address, bool may_wait) const {
    const Client client{.user_id = {}, .address = address};
    if (is_local(address) || exempt_.covers(client)) return {};
    const auto verdict = throttle_.look(wrong_tokens_, client, may_wait);
    if (verdict.outcome == Throttle::Outcome::busy) return {.is_decided = false, .refusal = {}};
    return {.refusal = answer_to(verdict)};
}

std::optional<Response> ViewThrottle::refusal_after_wrong_token(std::string_view address) const {
    const Client client{.user_id = {}, .address = address};
    if (is_local(address) || exempt_.covers(client)) return {};
    const auto verdict = throttle_.check(wrong_tokens_, client);
    if (verdict.no_room) return {};  // it can't be counted; that isn't too often
    return answer_to(verdict);
}

std::optional<Response> ViewThrottle::answer_to(const Throttle::Verdict& verdict) const {
    if (verdict.outcome == Throttle::Outcome::accepted) return {};
    if (verdict.outcome != Throttle::Outcome::refused) return not_to_be_had(verdict.outcome);
    auto response = throttled(verdict.retry_after);
    set_fields(response, verdict.quotas);
    return response;
}

// One line each ten seconds while it lasts; `recto throttle show` counts them all.
Response ViewThrottle::not_to_be_had(Throttle::Outcome outcome) const {
    const auto now = std::chrono::steady_clock::now();
    auto last = told_of_locks_.load();
    if ((last == decltype(last)() || now - last >= 10s) && told_of_locks_.compare_exchange_strong(last, now))
        log_message(Level::error,
                    outcome == Throttle::Outcome::stalled
                        ? "answered 503: a stopped process holds a lock of the throttle's table"
                        : "answered 503: for 200 ms processes that run held a lock of the throttle's table, or it was being replaced",
                    "recto.throttle");
    return unavailable(1s);
}

void ViewThrottle::tell(Response& response, const std::vector<Throttle::Quota>& quotas, bool is_authenticated) const {
    if (!quotas.empty() && is_for_this_client_alone(response, is_authenticated)) set_fields(response, quotas);
}

void ViewThrottle::set_fields(Response& response, const std::vector<Throttle::Quota>& quotas) const {
    std::string policies;
    std::string remaining;
    for (const auto& quota : quotas) {
        const auto& policy = throttle_.policies()[quota.scope];
        if (policy.rate.limit == 0) continue;  // the draft wants a quota above zero
        if (!policies.empty()) policies += ", ";
        if (!remaining.empty()) remaining += ", ";
        policies += policy_item(policy);
        remaining += quota_item(policy, quota);
    }
    if (policies.empty()) return;
    response.headers.emplace_back("RateLimit-Policy", std::move(policies));
    response.headers.emplace_back("RateLimit", std::move(remaining));
}

}  // namespace recto
