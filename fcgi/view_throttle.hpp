// view_throttle.hpp - whether a client may have an answer now: who is exempt, the scopes of the view, wrong tokens; and what it is told.
//
// Errors:   none; if the count can't be had (Throttle::Outcome) the response is 503, and the log says why.
// Threads:  safe to call from any thread.
// Source:   DRF's 429 (answers.hpp); the fields RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fcgi/request.hpp"
#include "fcgi/response.hpp"
#include "site/views.hpp"
#include "throttle/exempt.hpp"
#include "throttle/throttle.hpp"

namespace recto {

class ViewThrottle {
public:
    struct Limits {
        std::vector<Throttle::Scope> scopes;
        std::uint32_t cost = 1;
    };

    // `told`: [throttle] headers. The throttle must outlive it.
    ViewThrottle(Throttle& throttle, Exempt exempt, std::string_view told);

    [[nodiscard]] Limits limits_of(const ViewPolicy& policy) const;

    // Counts the request: a refusal, or nothing. `quotas` is filled in if the client is to be told.
    [[nodiscard]] std::optional<Response> refusal(const Limits& limits, const Client& client, std::vector<Throttle::Quota>& quotas) const;

    // The same where nothing may wait, on an event thread: nothing was counted unless it is decided.
    struct AtOnce {
        bool is_decided = true;
        std::optional<Response> refusal;
    };
    [[nodiscard]] AtOnce refusal_at_once(const Limits& limits, const Client& client, std::vector<Throttle::Quota>& quotas) const;
    [[nodiscard]] AtOnce refusal_of_guesses_at_once(std::string_view address) const;

    // Before a token is looked up; and once it turned out to be wrong, which counts. They know the client by its address.
    [[nodiscard]] std::optional<Response> refusal_of_guesses(std::string_view address) const;
    [[nodiscard]] std::optional<Response> refusal_after_wrong_token(std::string_view address) const;

    // What is left, on an answer that nobody else will be given.
    void tell(Response& response, const std::vector<Throttle::Quota>& quotas, bool is_authenticated) const;

private:
    enum class Told { users, all, none };

    [[nodiscard]] AtOnce decision(const Limits& limits, const Client& client, std::vector<Throttle::Quota>& quotas, bool may_wait) const;
    [[nodiscard]] AtOnce decision_on_guesses(std::string_view address, bool may_wait) const;
    [[nodiscard]] std::optional<Response> answer_to(const Throttle::Verdict& verdict) const;
    [[nodiscard]] Response not_to_be_had(Throttle::Outcome outcome) const;
    void warn_of_shared_address(const Client& client) const;  // once
    void set_fields(Response& response, const std::vector<Throttle::Quota>& quotas) const;

    mutable std::atomic_flag is_warned_;
    mutable std::atomic<std::chrono::steady_clock::time_point> told_of_locks_{};
    Throttle& throttle_;
    Exempt exempt_;
    Told told_;
    std::vector<Throttle::Scope> wrong_tokens_;  // one
};

}  // namespace recto
