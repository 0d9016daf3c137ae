// guarded_exchange.hpp - one Exchange, whose exceptions are logged and become 500s; and the answers for a body that nobody begins with.
//
// Threads:  a GuardedExchange is used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "fcgi/server.hpp"

namespace recto {

[[nodiscard]] Response body_too_large(const Request& request);
[[nodiscard]] Response body_of_another_length(const Request& request);

class GuardedExchange {
public:
    // Begins the exchange and asks for an answer that needs no waiting.
    [[nodiscard]] std::optional<Response> start(const BeginExchange& begin, Request&& request);
    [[nodiscard]] std::optional<Response> to_the_end(const Exchange::Wake& wake);
    void answered(const Response& response);  // once
    void reset();                             // without an answer before it the exchange was abandoned

private:
    template <class Work>
    auto guarded(const Work& work) -> decltype(work());
    Response failed(std::string_view what) const;

    std::unique_ptr<Exchange> exchange_;
    bool is_answered_ = false;
};

}  // namespace recto
