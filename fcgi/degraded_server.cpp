#include "fcgi/degraded_server.hpp"

#include <system_error>

#include <fcntl.h>

#include "fcgi/answers.hpp"
#include "fcgi/listen.hpp"
#include "log/log.hpp"
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

// Its answers wait for nothing.
ServerOptions small() {
    ServerOptions options;
    options.threads = 1;
    options.pool = 1;
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

void DegradedServer::begin(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    if (!server_) {
        UniqueFd listen(::fcntl(listen_fd_, F_DUPFD_CLOEXEC, 0));
        if (!listen) throw std::system_error(errno, std::generic_category(), "cannot keep the listening socket");
        server_.emplace(listen.release(), small(), begin_refusal);
        since_ = LastingReason::Clock::now();
        thread_ = std::thread([this] { (void)server_->run(); });
        notify_service_manager("READY=1");
    }
    if (reason_.is_due(reason, LastingReason::Clock::now())) tell(reason);
}

bool DegradedServer::has_begun() {
    const std::lock_guard lock(mutex_);
    return server_.has_value();
}

void DegradedServer::tell(const std::string& reason) {
    log_event("worker.degraded", {{"reason", reason}}, kDefaultLogger, Level::error);
    notify_service_manager("STATUS=degraded, answers 503: " + reason.substr(0, reason.find('\n')));
}

void DegradedServer::end() {
    const std::lock_guard lock(mutex_);
    if (!server_) return;
    server_->stop();
    thread_.join();
    server_.reset();
    reason_ = {};
}

}  // namespace recto
