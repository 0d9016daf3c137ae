#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <system_error>

#include "fcgi/guarded_exchange.hpp"

namespace recto {
namespace {

// A CGI program may read no more than CONTENT_LENGTH bytes: nobody promises an end of file (RFC 3875 section 4.2).
std::optional<Response> read_body(Request& request, Size max_body) {
    const char* announced = std::getenv("CONTENT_LENGTH");
    if (announced == nullptr || *announced == '\0') return std::nullopt;
    const auto length = parse_integer(announced);
    if (!length || *length < 0) return body_of_another_length(request);
    const auto size = static_cast<std::uint64_t>(*length);
    if (size > max_body.bytes) return body_too_large(request);
    request.body.resize(size);
    if (std::fread(request.body.data(), 1, size, stdin) != size) return body_of_another_length(request);
    return std::nullopt;
}

void print(const Response& response, bool with_body) {
    auto output = header_block(response);
    if (with_body) output += response.body();
    if (std::fwrite(output.data(), 1, output.size(), stdout) != output.size() || std::fflush(stdout) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot write the response");
}

// There is one thread, and it has time.
Response wait_for_answer(GuardedExchange& exchange) {
    for (;;) {
        std::promise<void> woken;
        if (auto response = exchange.to_the_end([&woken] { woken.set_value(); })) return std::move(*response);
        woken.get_future().wait();
    }
}

}  // namespace

void answer_one_cgi_request(const ServerOptions& options, const BeginExchange& begin) {
    auto request = request_from_environment(::environ);
    const bool is_head = request.is_head();
    GuardedExchange exchange;
    auto response = read_body(request, options.max_body);
    if (!response) response = exchange.start(begin, std::move(request));
    if (!response) response = wait_for_answer(exchange);
    print(*response, !is_head && may_have_body(response->status));
    exchange.answered(*response);
}

}  // namespace recto
