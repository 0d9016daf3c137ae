#include "fcgi/degraded_server.hpp"

#include <system_error>

#include <fcntl.h>

#include "fcgi/answers.hpp"
#include "fcgi/listen.hpp"
#include "log/log.hpp"
#include "util/context.hpp"
#include "util/crypto.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetryAfter = 5s;
constexpr std::size_t kDigitsOfAName = 10;

class Refusal : public Exchange {
public:
    explicit Refusal(std::string txid) : txid_(std::move(txid)) {}

    std::optional<Response> without_waiting() override {
        auto response = unavailable(kRetryAfter);
        response.set("X-Request-Id", txid_);
        return response;
    }
    std::optional<Response> to_the_end(const Wake&) override { return without_waiting(); }
    void answered(const Response&) override {}

private:
    const std::string txid_;
};

// A request to the caches. What they don't answer, and a view computes after all, is no answer of a worker that can't work.
class CachedOnly : public Exchange {
public:
    CachedOnly(std::shared_ptr<OpenedSite> caches, Request&& request)
        : caches_(std::move(caches)), exchange_(caches_->application.begin(std::move(request))) {}

    std::optional<Response> without_waiting() override { return cached(exchange_->without_waiting()); }
    std::optional<Response> to_the_end(const Wake& wake) override { return cached(exchange_->to_the_end(wake)); }
    void answered(const Response& response) override { exchange_->answered(response); }
    void abandoned() override { exchange_->abandoned(); }
    [[nodiscard]] RequestContext* context() override { return exchange_->context(); }

private:
    // A refusal of the throttle is counted and true.
    [[nodiscard]] std::optional<Response> cached(std::optional<Response> response) const {
        constexpr int kTooManyRequests = 429;
        if (!response || response->status == kTooManyRequests || response->header_value("Cache-Status").starts_with("recto; hit"))
            return response;
        auto refusal = unavailable(kRetryAfter);
        refusal.set("X-Request-Id", exchange_->context()->txid);
        return refusal;
    }

    const std::shared_ptr<OpenedSite> caches_;
    const std::unique_ptr<Exchange> exchange_;
};

ServerOptions small() {
    ServerOptions options;
    options.threads = 1;
    options.pool = 2;
    options.stop_timeout = 2s;
    return options;
}

std::string without_names(const std::string& text) {
    std::string rest;
    for (std::size_t i = 0; i < text.size();) {
        const auto end = std::min(text.find_first_not_of("0123456789", i), text.size());
        if (end - i < kDigitsOfAName) rest.append(text, i, std::max<std::size_t>(end - i, 1));
        i = std::max(end, i + 1);
    }
    return rest;
}

}  // namespace

std::unique_ptr<Exchange> begin_refusal(Request&& request) {
    return std::make_unique<Refusal>(request.request_id.empty() ? random_uuid() : std::move(request.request_id));
}

bool LastingReason::is_due(const std::string& reason, Clock::time_point now) {
    auto named = without_names(reason);
    if (named == said_ && now - said_at_ < kAgain) return false;
    said_ = std::move(named);
    said_at_ = now;
    return true;
}

void DegradedServer::begin(const std::string& reason, std::shared_ptr<OpenedSite> caches) {
    {
        const std::lock_guard lock(caches_mutex_);
        caches_ = std::move(caches);
    }
    const std::lock_guard lock(mutex_);
    if (!server_) {
        UniqueFd listen(::fcntl(listen_fd_, F_DUPFD_CLOEXEC, 0));
        if (!listen) throw std::system_error(errno, std::generic_category(), "cannot keep the listening socket");
        server_.emplace(listen.release(), small(), [this](Request&& request) { return begin_exchange(std::move(request)); });
        since_ = LastingReason::Clock::now();
        thread_ = std::thread([this] { (void)server_->run(); });
        notify_service_manager("READY=1");
    }
    if (reason_.is_due(reason, LastingReason::Clock::now())) tell(reason);
}

std::unique_ptr<Exchange> DegradedServer::begin_exchange(Request&& request) {
    std::shared_ptr<OpenedSite> caches;
    {
        const std::lock_guard lock(caches_mutex_);
        caches = caches_;
    }
    if (!caches) return begin_refusal(std::move(request));
    return std::make_unique<CachedOnly>(std::move(caches), std::move(request));
}

bool DegradedServer::has_begun() {
    const std::lock_guard lock(mutex_);
    return server_.has_value();
}

void DegradedServer::tell(const std::string& reason) {
    notify_service_manager("STATUS=degraded: " + reason.substr(0, reason.find('\n')));
    log_event("worker.degraded", {{"reason", reason}}, kDefaultLogger, Level::error);
}

void DegradedServer::end() {
    const std::lock_guard lock(mutex_);
    if (!server_) return;
    server_->stop();
    thread_.join();
    server_.reset();
    caches_.reset();
    reason_ = {};
}

}  // namespace recto
