// view_answer_fuzz.cpp - any bytes as a view's stored answer: no crash, and what is taken for one can be sent.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "fcgi/view_cache.hpp"
#include "tests/support/fuzzing.hpp"

namespace recto::view_answer_fuzz {

inline bool is_within(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

inline void look_at(const CacheHit& entry, const Request& request) {
    const auto response = unpack(entry, request);
    if (!response) return;
    constexpr std::array kStatuses{200, 301, 304, 308, 404, 410};
    require(std::ranges::find(kStatuses, response->status) != kStatuses.end(), "no such answer is ever stored");
    require(is_within(response->lines(), entry->bytes) && is_within(response->body(), entry->bytes), "it points beyond its entry");
    require(response->status != 304 || response->body().empty(), "304 has a body");
    require(response->lines().empty() || response->lines().ends_with("\r\n"), "its last header runs into what is added");
    require(header_block(*response).ends_with("\r\n\r\n"), "its headers don't end");
}

}  // namespace recto::view_answer_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using Headers = decltype(recto::Request::headers);
    static const std::array<Headers, 5> kClients{{{},
                                                  {{"accept-encoding", "gzip"}},
                                                  {{"if-none-match", "*"}},
                                                  {{"if-none-match", "W/\"a\", \"b-gzip\""}, {"accept-encoding", "gzip"}},
                                                  {{"if-modified-since", "Sun, 22 Nov 2026 10:00:00 GMT"}}}};
    auto entry = std::make_shared<recto::CacheEntry>();
    entry->bytes.assign(reinterpret_cast<const char*>(data), size);
    for (const auto& headers : kClients) {
        recto::Request request;
        request.headers = headers;
        recto::view_answer_fuzz::look_at(entry, request);
    }
    return 0;
}
