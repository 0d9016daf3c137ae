#include "fcgi/view_exchange.hpp"

#include <algorithm>
#include <cassert>

#include "fcgi/answers.hpp"
#include "fcgi/view_cache.hpp"
#include "util/context.hpp"
#include "util/crypto.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

// RFC 9211 section 2.
constexpr std::string_view kHit = "recto; hit";
constexpr std::string_view kMiss = "recto; fwd=miss";
constexpr std::string_view kStored = "recto; fwd=miss; stored";

RequestContext context_of(const Request& request) {
    return {.txid = request.request_id.empty() ? random_uuid() : request.request_id, .address = request.address, .user_id = {}};
}

// The command line is not throttled: there is no address to count by.
bool is_local(const Request& request) { return request.address == "local"; }

class ViewExchange : public Exchange {
public:
    ViewExchange(Site& site, Throttle& throttle, Request request, const Route* route)
        : site_(site), throttle_(throttle), request_(std::move(request)), route_(route), context_(context_of(request_)) {}

    std::optional<Response> without_waiting() override {
        const ContextScope scope(context_);
        if (auto answer = route_answer()) return finished(std::move(*answer));
        if (!authenticate_from_memory()) return {};
        return finished(throttle_then_memory());
    }

    Response to_the_end() override {
        const ContextScope scope(context_);
        auto answer = authenticated_ ? std::nullopt : authenticate_then_throttle();
        if (!answer) answer = memcached_then_view();
        return *finished(std::move(answer));
    }

    void answered(const Response& response) override {
        if (event_level_ && log_enabled(*event_level_)) {
            const ContextScope scope(context_);
            log_event(route_->view->event, event_data(response), kDefaultLogger, *event_level_);
        }
    }

    [[nodiscard]] const RequestContext* context() const override { return &context_; }

private:
    std::optional<Response> route_answer() {
        if (route_ == nullptr) return not_found();
        if (request_.method == "OPTIONS") return description(*route_->view);
        const std::string_view method = request_.is_head() ? "GET" : std::string_view(request_.method);
        if (std::ranges::find(route_->view->methods, method) == route_->view->methods.end())
            return method_not_allowed(request_.method);
        return {};
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
        const auto token = Auth::token_of(*request_.header("authorization"));
        if (!token) return unauthorized(token.error());
        if (*token) {
            const auto user = site_.auth.user_of(**token);
            if (!user) return unauthorized(user.error());
            context_.user_id = *user;
        }
        authenticated_ = true;
        return throttle_then_memory();
    }

    std::optional<Response> throttle_then_memory() {
        if (auto refused = refusal()) return refused;
        event_level_ = route_->log;
        parameters_.emplace(*route_->view, request_.query);
        if (!is_cached()) return {};
        key_ = parameters_->cache_key();
        return from_cache(site_.cache.find_in_memory(key_, time_now()));
    }

    std::optional<Response> refusal() {
        if (route_->throttle.empty() || is_local(request_)) return {};
        const auto verdict = throttle_.check(route_->throttle, {context_.user_id, request_.address});
        switch (verdict.outcome) {
            case Throttle::Outcome::accepted: return {};
            case Throttle::Outcome::stalled: return unavailable(1s);
            case Throttle::Outcome::refused: return throttled(verdict.retry_after);
        }
        return {};
    }

    Response memcached_then_view() {
        if (!is_cached()) return from_view();
        if (auto answer = from_cache(site_.cache.find_in_memcached(key_, time_now()))) return std::move(*answer);

        const auto clock = site_.store.fresh_reading();
        if (!clock) return from_view();
        const CollectReads collected(clock->epoch(), clock->synced());
        auto response = from_view();
        cache_status_ = kMiss;
        if (!is_storable(response)) return response;
        add_validators(response);
        site_.cache.put(key_, pack(response), collected.reads(), route_->cache, time_now());
        cache_status_ = kStored;
        return response;
    }

    std::optional<Response> from_cache(const CacheHit& entry) {
        if (!entry) return {};
        auto response = unpack(entry);
        if (response) cache_status_ = kHit;
        return response;
    }

    Response from_view() {
        return route_->handler(*parameters_);
    }

    [[nodiscard]] bool is_cached() const { return route_->cache > 0ms; }

    std::optional<Response> finished(std::optional<Response> response) const {
        if (!response) return {};
        if (route_ != nullptr) response->set("Allow", allowed_methods(*route_->view));
        if (!cache_status_.empty()) response->headers.emplace_back("Cache-Status", cache_status_);
        response->headers.emplace_back("X-Request-Id", context_.txid);
        return revalidated(std::move(*response), request_);
    }

    [[nodiscard]] json::value event_data(const Response& response) const {
        json::object data;
        for (const auto name : route_->view->parameters)
            if (const auto value = parameters_->find(name)) data[name] = *value;
        data["status"] = response.status;
        if (!cache_status_.empty()) data["cache"] = cache_status_ == kHit ? "hit" : "miss";
        return data;
    }

    Site& site_;
    Throttle& throttle_;
    Request request_;
    const Route* route_;  // null: no view has the path
    RequestContext context_;
    bool authenticated_ = false;
    std::optional<Parameters> parameters_;
    std::string key_;
    std::string_view cache_status_;
    std::optional<Level> event_level_;  // set once the view is to answer
};

Route make_route(const View& view, const Config& config, const Throttle& throttle, const Handlers& handlers) {
    auto policy = policy_of(view, config);
    Route route{&view, handlers.at(view.name), policy.cache, {}, policy.log};
    for (const auto& scope : policy.throttle) {
        const auto found = throttle.find(scope);
        assert(found);  // load_config refuses a scope that [throttle] doesn't have
        route.throttle.push_back(*found);
    }
    if (view.event.empty()) route.log.reset();
    return route;
}

}  // namespace

Application::Application(Site& site, Throttle& throttle) : site_(site), throttle_(throttle) {
    const auto handlers = make_handlers(site);
    for (const auto& view : all_views()) routes_.emplace(&view, make_route(view, site.config, throttle, handlers));
}

std::unique_ptr<Exchange> Application::begin(Request request) const {
    const auto found = routes_.find(find_view(request.path));
    const Route* const route = found == routes_.end() ? nullptr : &found->second;
    return std::make_unique<ViewExchange>(site_, throttle_, std::move(request), route);
}

}  // namespace recto
