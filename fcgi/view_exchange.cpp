#include "fcgi/view_exchange.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "fcgi/answers.hpp"
#include "fcgi/slow_request.hpp"
#include "util/context.hpp"
#include "util/crypto.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using State = CacheLookup::State;

constexpr int kWaits = 2;               // for others, before one computes by himself
constexpr std::size_t kOwnHeaders = 4;  // that finished() may add

// The id moves there.
RequestContext context_of(Request& request, const Route* route) {
    return {.txid = request.request_id.empty() ? random_uuid() : std::move(request.request_id),
            .address = request.address,
            .view = route == nullptr ? std::string_view() : route->view->name};
}

class ViewExchange : public Exchange {
public:
    ViewExchange(Site& site, const ViewThrottle& throttle, Gate& gate, Request&& request, const Route* route)
        : site_(site),
          throttle_(throttle),
          gate_(gate),
          request_(std::move(request)),
          route_(route),
          context_(context_of(request_, route)) {}

    std::optional<Response> without_waiting() override {
        const ContextScope scope(context_);
        if (!request_.repeated_header.empty()) return finished(repeated_header(request_.repeated_header));
        if (route_ == nullptr) return finished(not_found());
        auto answer = authenticate_and_throttle_at_once();
        if (!answer) context_.times.enter(Phase::wait);  // for a thread of the pool
        return finished(std::move(answer));
    }

    std::optional<Response> to_the_end(const Wake& wake) override {
        const ContextScope scope(context_);
        context_.times.enter(throttled_ ? Phase::cache : authenticated_ ? Phase::throttle : Phase::auth);
        try {
            auto answer = throttled_ ? std::nullopt : authenticated_ ? throttle_then_memory() : authenticate_then_throttle();
            if (!answer) answer = view_answer(wake);
            return answer ? finished(std::move(answer)) : std::nullopt;
        } catch (const DatabaseError& problem) {
            if (!problem.is_unreachable()) throw;
            log_message(Level::error, std::string("answered 503: ") + problem.what());
            return finished(unavailable(1s));
        }
    }

    void answered(const Response& response) override {
        const ContextScope scope(context_);
        if (event_level_ && log_enabled(*event_level_)) log_answer(response);
        report_if_slow(response.status);
    }

    void abandoned() override {
        constexpr int kClientClosedRequest = 499;  // as nginx's access log has it
        const ContextScope scope(context_);
        report_if_slow(kClientClosedRequest);
    }

    [[nodiscard]] RequestContext* context() override { return &context_; }

private:
    // Behind the throttle, as in DRF: these count too.
    std::optional<Response> method_answer() {
        if (request_.method == "OPTIONS") return description(*route_->view);
        const std::string_view method = request_.is_head() ? "GET" : std::string_view(request_.method);
        if (std::ranges::find(route_->view->methods, method) == route_->view->methods.end()) return method_not_allowed(request_.method);
        return {};
    }

    // nullopt also if that isn't known here, or needs a lock that another thread holds.
    std::optional<Response> authenticate_and_throttle_at_once() {
        if (request_.header("authorization")) {
            auto guesses = throttle_.refusal_of_guesses_at_once(request_.address);
            if (!guesses.is_decided || guesses.refusal) return std::move(guesses.refusal);
        }
        if (!authenticate_from_memory()) return {};
        context_.times.enter(Phase::throttle);
        auto decision = throttle_.refusal_at_once(route_->limits, {context_.user_id, request_.address}, quotas_);
        if (!decision.is_decided || decision.refusal) return std::move(decision.refusal);
        return memory_after_throttle();
    }

    // Without credentials, or with a token whose user is known here. Whatever else there is to say about a token can wait for the pool.
    bool authenticate_from_memory() {
        const auto authorization = request_.header("authorization");
        if (authorization) {
            const auto token = Auth::token_of(*authorization);
            if (!token) return false;
            if (*token) context_.user_id = site_.auth.user_in_memory(**token);
            if (*token && !context_.user_id) return false;
        }
        authenticated_ = true;
        return true;
    }

    std::optional<Response> authenticate_then_throttle() {
        // Again: while it waited for a thread others of the same address may have been wrong.
        if (auto refused = throttle_.refusal_of_guesses(request_.address)) return refused;
        const auto token = Auth::token_of(*request_.header("authorization"));
        if (!token) return wrong_token(token.error());
        if (*token) {
            const auto user = site_.auth.user_of(**token);
            if (!user) return wrong_token(user.error());
            context_.user_id = *user;
        }
        authenticated_ = true;
        return throttle_then_memory();
    }

    std::optional<Response> wrong_token(const std::string& why) {
        auto refused = throttle_.refusal_after_wrong_token(request_.address);
        return refused ? std::move(refused) : unauthorized(why);
    }

    std::optional<Response> throttle_then_memory() {
        context_.times.enter(Phase::throttle);
        if (auto refused = throttle_.refusal(route_->limits, {context_.user_id, request_.address}, quotas_)) return refused;
        return memory_after_throttle();
    }

    std::optional<Response> memory_after_throttle() {
        throttled_ = true;
        context_.times.enter(Phase::cache);
        if (auto answer = method_answer()) return answer;
        event_level_ = route_->log;
        view_request_.emplace(*route_->view, request_.query, request_.headers, context_.user_id);
        key_ = view_request_->cache_key();
        if (key_.size() > ViewRequest::kMaxKey) return uri_too_long();
        is_cached_ = may_be_cached();
        return is_cached_ ? memory_answer() : std::nullopt;
    }

    // A cache that all share must not keep what an Authorization header may have shaped (RFC 9111 section 3.5). A method that changes
    // something is never cached; what it changes ends entries by itself.
    bool may_be_cached() {
        if (route_->storage.ttl == 0ms) return false;
        if (request_.method != "GET" && !request_.is_head()) return bypassed("method");
        const bool is_anonymous = !request_.header("authorization");
        return is_anonymous || route_->view->audience != Audience::anonymous || bypassed("bypass");
    }

    bool bypassed(std::string_view why) {
        cache_status_ = "recto; fwd=" + std::string(why);
        return false;
    }

    // What has only grown old is shown at once while somebody makes another; else the first one who finds it goes and makes it.
    std::optional<Response> memory_answer() {
        const auto now = time_now();
        const auto found = cache().look_in_memory(key_, now, route_->subject);
        if (found.state == State::fresh) return shown(found, now);
        if (found.may_be_shown_meanwhile() && cache().flights().is_flying(key_)) return shown(found);
        to_be_replaced_ = found;
        return {};
    }

    // Nothing: parked, and perhaps no longer ours.
    std::optional<Response> view_answer(const Wake& wake) {
        if (!is_cached_) return under_conditions(own_answer(), request_);
        auto found = waiter_ ? landed() : cache().look_further(key_, time_now(), route_->subject);
        if (is_good(found))
            if (auto answer = shown(found)) return answer;
        if (waits_ == kWaits || is_alone_) return computed_or_old(found, nullptr);
        if (found.may_be_shown_meanwhile()) return led_or_shown(found);

        ++waits_;
        cache_status_ = "recto; fwd=" + std::string(why_forwarded(found));
        waiter_.emplace(wake);
        context_.times.enter(Phase::wait);  // now: if we wait, we may be gone to another thread
        auto joined = cache().flights().join(key_, &*waiter_);
        if (joined.waits) return {};
        context_.times.enter(Phase::cache);
        waiter_.reset();
        return joined.lead ? led(std::move(*joined.lead)) : computed_or_old(found, nullptr);
    }

    // Not the one that is to be made anew early. What nobody can verify now nobody can make anew either.
    [[nodiscard]] bool is_good(const CacheLookup& found) const {
        return found.state == State::unverified || (found.is_fresh() && found.is_newer_than(to_be_replaced_));
    }

    CacheLookup landed() {
        const auto landing = waiter_->landing();
        waiter_.reset();
        is_alone_ = std::holds_alternative<Flights::Alone>(landing);
        const auto* const made = std::get_if<Flights::Made>(&landing);
        auto found =
            made != nullptr ? cache().judge(made->entry, key_, time_now()) : cache().look_further(key_, time_now(), route_->subject);
        is_collapsed_ = !is_alone_ && found.is_fresh();
        return found;
    }

    std::optional<Response> led_or_shown(const CacheLookup& found) {
        auto joined = cache().flights().join(key_, nullptr);
        if (joined.lead) return led(std::move(*joined.lead));
        auto answer = shown(found);
        return answer ? std::move(answer) : computed_or_old({}, nullptr);
    }

    // Somebody may have landed after we looked and before we led.
    std::optional<Response> led(Flights::Lead lead) {
        const auto found = cache().look_further(key_, time_now(), route_->subject);
        if (!is_good(found)) return computed_or_old(found, &lead);
        auto answer = shown(found);
        if (!answer) return computed_or_old({}, &lead);
        lead.land(found.entry);
        return answer;
    }

    std::optional<Response> computed_or_old(const CacheLookup& old, Flights::Lead* lead) {
        try {
            return computed(old, lead);
        } catch (const DatabaseError&) {
            cache().count(CacheEvent::error, route_->subject);
            auto lookup = old;
            if (!lookup.may_be_shown_on_error()) throw;
            lookup.state = State::kept_for_errors;
            auto answer = shown(lookup);
            if (!answer) throw;
            return answer;
        }
    }

    // `begun` before the snapshot: what the view reads is as of then or later. The view's own tags let the operator name it.
    Response computed(const CacheLookup& old, Flights::Lead* lead) {
        cache_status_ = "recto; fwd=" + std::string(why_forwarded(old));
        const auto begun = time_now();
        const auto clock = site_.store.fresh_reading();
        if (!clock) return under_conditions(own_answer(), request_);
        const CollectReads collected(clock->epoch(), clock->synced());
        note_read(clock->epoch(), clock->synced(), {{tag_of_view(*route_->view), tag_of_answer(*route_->view, key_)}});
        auto response = own_answer();
        const auto storage = storage_of(response, *route_->view, route_->storage);
        if (!storage) return under_conditions(std::move(response), request_);

        response.set("Allow", route_->allow);
        const auto made = cache().put({.key = key_,
                                       .bytes = pack(response, *route_->view),
                                       .reads = collected.reads(),
                                       .ttl = storage->ttl,
                                       .begun = begun,
                                       .ended = time_now(),
                                       .reach = storage->reach},
                                      route_->subject);
        if (lead != nullptr) lead->land(made);
        if (!made) return under_conditions(std::move(response), request_);
        cache_status_ += "; stored";
        return *unpack(made, request_);
    }

    [[nodiscard]] std::string_view why_forwarded(const CacheLookup& old) const {
        if (old.state != State::absent) return "stale";
        const auto& view = *route_->view;
        const bool has_variants = !view.headers.empty() || !view.cookies.empty() || view.audience == Audience::each_user;
        return has_variants ? "miss" : "uri-miss";
    }

    Response own_answer() {
        const PhaseScope scope(Phase::render);
        if (route_->at_once == 0) return route_->handler(*view_request_);
        const auto pass = gate_.enter(route_->door, route_->at_once);
        return pass ? route_->handler(*view_request_) : unavailable(1s);
    }

    // Nothing: its bytes are none of ours.
    std::optional<Response> shown(const CacheLookup& found, TimePoint now = time_now()) {
        auto response = unpack(found.entry, request_);
        if (!response) return {};
        if (found.state > State::aging) cache().count(CacheEvent::stale, route_->subject);
        if (is_collapsed_) cache().count(CacheEvent::collapsed, route_->subject);
        cache_status_ = is_collapsed_ ? cache_status_ + "; collapsed" : cache_status_of(found, now);
        is_hit_ = !is_collapsed_;
        response->headers.reserve(1 + kOwnHeaders);
        if (!response->lines().empty()) response->headers.emplace_back("Age", age_of(*found.entry, now));  // a 412 is of now
        return response;
    }

    std::optional<Response> finished(std::optional<Response> response) {
        if (!response) return {};
        context_.times.enter(Phase::write);
        response->headers.reserve(response->headers.size() + kOwnHeaders);
        if (route_ != nullptr && response->lines().empty()) response->set("Allow", route_->allow);
        throttle_.tell(*response, quotas_, context_.user_id.has_value());
        if (response->lines().empty()) tell_caches(*response, route_ == nullptr ? nullptr : route_->view);
        if (!cache_status_.empty()) response->headers.emplace_back("Cache-Status", std::move(cache_status_));
        response->headers.emplace_back("X-Request-Id", context_.txid);
        return response;
    }

    // Slow for its client is also what waited for a worker to read it.
    void report_if_slow(int status) {
        const std::chrono::microseconds slow = site_.config.log_slow;
        context_.times.enter(Phase::write);
        if (slow == 0us) return;
        const auto waited = request_.sent_at.empty() ? std::nullopt : time_waited(request_.sent_at, time_of_arrival());
        if (context_.times.total() + waited.value_or(0us) < slow || !log_enabled(Level::warning, kRequestLogger)) return;
        log_event("request.slow",
                  slow_request_data(context_, {.method = request_.method, .status = status, .parameters = parameters(), .waited = waited}),
                  kRequestLogger, Level::warning);
    }

    [[nodiscard]] TimePoint time_of_arrival() const {
        return time_now() - std::chrono::duration_cast<std::chrono::microseconds>(context_.times.total());
    }

    // Also of a request that didn't get as far as its view.
    [[nodiscard]] json::object parameters() const {
        if (route_ == nullptr) return {};
        return logged_parameters(*route_->view, view_request_ ? *view_request_ : ViewRequest(*route_->view, request_.query));
    }

    // Its data is made on the stack as long as it fits: there is one for each answer.
    void log_answer(const Response& response) const {
        std::array<unsigned char, 1024> memory;
        json::monotonic_resource resource(memory.data(), memory.size());
        json::object data(&resource);
        data.reserve(route_->view->parameters.size() + 2);
        for (const std::string_view name : route_->view->parameters)
            if (const auto value = view_request_->parameter(name)) data[name] = *value;
        data["status"] = response.status;
        if (is_cached_) data["cache"] = is_hit_ ? "hit" : is_collapsed_ ? "collapsed" : "miss";
        log_event(route_->view->event, std::move(data), kDefaultLogger, *event_level_);
    }

    [[nodiscard]] Cache& cache() const { return site_.cache; }

    Site& site_;
    const ViewThrottle& throttle_;
    Gate& gate_;
    Request request_;
    const Route* route_;  // null: no view has the path
    RequestContext context_;
    bool authenticated_ = false;
    bool throttled_ = false;
    std::vector<Throttle::Quota> quotas_;  // for the client to see
    std::optional<ViewRequest> view_request_;
    std::string key_;
    bool is_cached_ = false;
    CacheLookup to_be_replaced_;  // what memory had
    int waits_ = 0;
    bool is_alone_ = false;
    bool is_collapsed_ = false;
    bool is_hit_ = false;
    std::string cache_status_;          // RFC 9211
    std::optional<Level> event_level_;  // set once the view is to answer
    std::optional<Flights::Waiter> waiter_;
};

StoragePolicy storage_policy(const ViewPolicy& policy, const Config& config) {
    return {.ttl = policy.cache, .ttl_is_set = policy.cache_is_set, .short_ttl = config.cache_short_ttl};
}

Route make_route(const View& view, const ViewPolicy& policy, const Config& config, const Handler& handler, Cache::Subject subject) {
    Route route{.view = &view,
                .handler = handler,
                .storage = storage_policy(policy, config),
                .subject = subject,
                .limits = {},
                .at_once = policy.at_once,
                .log = policy.log,
                .allow = allowed_methods(view)};
    if (view.event.empty()) route.log.reset();
    return route;
}

}  // namespace

Application::Application(Site& site, Throttle& throttle, Gate& gate, std::span<const View> views, const Handlers& handlers)
    : site_(site), throttle_(throttle, exempt_of(site), site.config.throttle_headers), gate_(gate) {
    for (const auto& view : views) {
        assert(handlers.contains(view.name));
        const auto subject = static_cast<Cache::Subject>(&view - views.data());
        const auto policy = policy_of(view, site.config);
        auto route = make_route(view, policy, site.config, handlers.at(view.name), subject);
        route.limits = throttle_.limits_of(policy);
        if (policy.at_once != 0) route.door = gate.door(view.name);
        routes_.emplace(view.path, std::move(route));
    }
}

std::unique_ptr<Exchange> Application::begin(Request&& request) const {
    const auto found = routes_.find(without_last_slash(request.path));
    const Route* const route = found == routes_.end() ? nullptr : &found->second;
    return std::make_unique<ViewExchange>(site_, throttle_, gate_, std::move(request), route);
}

}  // namespace recto
