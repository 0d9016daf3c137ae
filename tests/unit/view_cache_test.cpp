#define BOOST_TEST_MODULE view_cache
#include "fcgi/view_cache.hpp"

#include <boost/test/unit_test.hpp>

#include "fcgi/answers.hpp"

using namespace recto;

namespace {

CacheHit entry_of(std::string bytes) {
    auto entry = std::make_shared<CacheEntry>();
    entry->bytes = std::move(bytes);
    return entry;
}

Request asking_with(std::string if_none_match) {
    Request request;
    request.headers.emplace_back("if-none-match", std::move(if_none_match));
    return request;
}

Response stored_answer() {
    auto response = json_answer(200, R"({"blogs":[]})");
    add_validators(response);
    return response;
}

}  // namespace

BOOST_AUTO_TEST_CASE(only_a_plain_200_is_storable) {
    BOOST_TEST(is_storable(json_answer(200, "{}")));
    for (const int status : {201, 204, 301, 304, 400, 404, 429, 500})
        BOOST_TEST_CONTEXT(status) BOOST_TEST(!is_storable(json_answer(status, "{}")));
    auto with_cookie = json_answer(200, "{}");
    with_cookie.set("Set-Cookie", "a=b");
    BOOST_TEST(!is_storable(with_cookie));
}

BOOST_AUTO_TEST_CASE(cache_control_is_read_as_directives_in_any_case) {
    const auto storable_with = [](const char* cache_control) {
        auto response = json_answer(200, "{}");
        response.set("Cache-Control", cache_control);
        return is_storable(response);
    };
    for (const auto* text : {"no-store", "No-Store", "max-age=5, private", " PRIVATE ", "no-cache=\"set-cookie\""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!storable_with(text));
    for (const auto* text : {"max-age=5", "public", "x-no-store", "no-storey"}) BOOST_TEST_CONTEXT(text) BOOST_TEST(storable_with(text));
}

BOOST_AUTO_TEST_CASE(what_is_packed_comes_out_the_same) {
    auto response = stored_answer();
    response.set("Allow", "GET, HEAD, OPTIONS");
    const auto unpacked = unpack(entry_of(pack(response)));
    BOOST_REQUIRE(unpacked.has_value());
    BOOST_TEST(unpacked->status == 200);
    BOOST_TEST((unpacked->headers == response.headers));
    BOOST_TEST(unpacked->body() == R"({"blogs":[]})");
}

BOOST_AUTO_TEST_CASE(a_body_from_the_cache_is_shared_and_outlives_the_entry) {
    auto entry = entry_of(pack(stored_answer()));
    const auto* const begin = entry->bytes.data();
    const auto* const end = begin + entry->bytes.size();
    const auto unpacked = unpack(entry);
    BOOST_TEST((unpacked->body().data() >= begin && unpacked->body().data() < end));
    entry.reset();
    BOOST_TEST(unpacked->body() == R"({"blogs":[]})");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_packed_answer_are_refused) {
    const auto whole = pack(stored_answer());
    const auto head = whole.find("\n\n");
    for (std::size_t length = 0; length < head + 2; ++length)
        BOOST_TEST_CONTEXT(length) BOOST_TEST(!unpack(entry_of(whole.substr(0, length))).has_value());
    BOOST_TEST(!unpack(entry_of("recto view 2\n200\n\n{}")).has_value());
    BOOST_TEST(!unpack(entry_of("recto view 1\nabc\n\n{}")).has_value());
}

BOOST_AUTO_TEST_CASE(if_none_match_is_a_list_compared_weakly) {
    const char* const etag = "\"abc\"";
    for (const auto* text : {"\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*", " * ", "\"x\",W/\"abc\" "})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(etag_matches(text, etag));
    for (const auto* text : {"", "\"x\"", "abc", "\"abcd\"", "\"ab\", \"c\""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!etag_matches(text, etag));
}

BOOST_AUTO_TEST_CASE(a_client_that_has_the_answer_gets_304_with_its_headers_and_no_body) {
    const auto response = revalidated(stored_answer(), asking_with(*stored_answer().header("ETag")));
    BOOST_TEST(response.status == 304);
    BOOST_TEST(response.body().empty());
    BOOST_REQUIRE(response.header("ETag") != nullptr);
    BOOST_TEST(*response.header("ETag") == *stored_answer().header("ETag"));
    BOOST_TEST(*response.header("Cache-Control") == "no-cache");
    BOOST_TEST(response.header("Content-Type") == nullptr);
    BOOST_TEST(revalidated(stored_answer(), asking_with("\"other\"")).status == 200);
    BOOST_TEST(revalidated(stored_answer(), Request{}).status == 200);
}
