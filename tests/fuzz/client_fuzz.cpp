// client_fuzz.cpp - any query and headers of two clients: no crash, and they share a cache key exactly if a view sees the same of both.
//
// Lines are the fields of a client; the first one's end at an empty line.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fcgi/view_cache.hpp"
#include "site/negotiation.hpp"
#include "site/view_request.hpp"
#include "tests/support/fuzzing.hpp"

namespace recto::client_fuzz {

inline const View& view() {
    static const View view{.name = "page",
                           .methods = {"GET"},
                           .path = "/page",
                           .parameters = {"a", "b"},
                           .headers = {{.name = "x-a"}, {.name = "accept-language", .choices = {"en", "de"}}},
                           .cookies = {"a", "b"},
                           .event = ""};
    return view;
}

inline std::string_view take_line(std::string_view& rest) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

struct Client {
    std::string query;
    std::vector<std::pair<std::string, std::string>> headers;
};

inline Client take_client(std::string_view& rest) {
    Client client{.query = std::string(take_line(rest)), .headers = {}};
    for (const auto* name : {"x-a", "accept-language", "cookie", "accept-encoding", "if-none-match", "cache-control"}) {
        const auto line = take_line(rest);
        if (line.empty()) break;
        if (line != "-") client.headers.emplace_back(name, line);
    }
    return client;
}

using Seen = std::vector<std::optional<std::string>>;

inline Seen seen_of(const ViewRequest& request) {
    Seen seen;
    const auto add = [&](std::optional<std::string_view> value) {
        seen.emplace_back(value ? std::optional<std::string>(*value) : std::nullopt);
    };
    for (const auto name : view().parameters) add(request.parameter(name));
    for (const auto& header : view().headers) add(request.header(header.name));
    for (const auto name : view().cookies) add(request.cookie(name));
    return seen;
}

inline void read_lists(const Client& client) {
    for (const auto& [name, value] : client.headers) {
        (void)accepts_gzip(value);
        (void)parse_cache_control(value);
        require(etag_matches(value + ", \"tag\"", "\"tag\""), "a tag of a list is not found");
    }
}

}  // namespace recto::client_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace recto;
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto first = client_fuzz::take_client(rest), second = client_fuzz::take_client(rest);
    const ViewRequest one(client_fuzz::view(), first.query, first.headers), other(client_fuzz::view(), second.query, second.headers);
    const bool same_key = one.cache_key() == other.cache_key();
    require(same_key == (client_fuzz::seen_of(one) == client_fuzz::seen_of(other)), "a key doesn't say what the view sees");
    client_fuzz::read_lists(first);
    return 0;
}
