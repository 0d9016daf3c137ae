#include "fcgi/guarded_exchange.hpp"

#include <exception>
#include <string>
#include <utility>

#include "fcgi/answers.hpp"
#include "log/log.hpp"
#include "util/context.hpp"
#include "util/crypto.hpp"

namespace recto {

namespace {

Response identified(Response response, const std::string& txid) {
    response.set("X-Request-Id", txid);
    return response;
}

// An answer to a request that no exchange begins with: there is no context to take the id from.
Response refused(int status, std::string_view text, const Request& request) {
    return identified(detail(status, text), request.request_id.empty() ? random_uuid() : request.request_id);
}

}  // namespace

Response body_too_large(const Request& request) { return refused(413, "The request's body is too large.", request); }

Response body_of_another_length(const Request& request) {
    return refused(400, "The request's body doesn't have the length that Content-Length says.", request);
}

std::optional<Response> GuardedExchange::start(const BeginExchange& begin, Request&& request) {
    is_answered_ = false;
    return guarded([&]() -> std::optional<Response> {
        exchange_ = begin(std::move(request));
        return exchange_->without_waiting();
    });
}

std::optional<Response> GuardedExchange::to_the_end(const Exchange::Wake& wake) {
    return guarded([&] { return exchange_->to_the_end(wake); });
}

void GuardedExchange::answered(const Response& response) {
    if (std::exchange(is_answered_, true)) return;
    if (exchange_) (void)guarded([&] { return exchange_->answered(response), Response{}; });
}

void GuardedExchange::reset() {
    if (exchange_ && !is_answered_) (void)guarded([&] { return exchange_->abandoned(), Response{}; });
    exchange_.reset();
}

template <class Work>
auto GuardedExchange::guarded(const Work& work) -> decltype(work()) {
    try {
        return work();
    } catch (const std::exception& error) {
        return failed(error.what());
    } catch (...) {
        return failed("an exception of no known type");
    }
}

Response GuardedExchange::failed(std::string_view what) const {
    auto* const context = exchange_ ? exchange_->context() : nullptr;
    std::optional<ContextScope> scope;
    if (context != nullptr) scope.emplace(*context);
    log_message(Level::error, "request failed: " + std::string(what));
    return context == nullptr ? server_error() : identified(server_error(), context->txid);
}

}  // namespace recto
