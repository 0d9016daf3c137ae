// The numbers are those of the rules in etc/doc/caching.md.
#define BOOST_TEST_MODULE view_cache
#include "fcgi/view_cache.hpp"

#include <libdeflate.h>

#include <boost/test/unit_test.hpp>

#include "fcgi/answers.hpp"
#include "tests/fuzz/view_answer_fuzz.cpp"
#include "util/crypto.hpp"
#include "util/gzip.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

const View kView{.name = "page", .methods = {"GET"}, .path = "/page", .headers = {{.name = "x-theme"}}, .cookies = {"theme"}, .event = ""};
const View kPlainView{.name = "plain", .methods = {"GET"}, .path = "/plain", .event = "", .audience = Audience::everyone};
constexpr StoragePolicy kPolicy{.ttl = 10min, .ttl_is_set = false, .short_ttl = 1min};

CacheHit entry_of(std::string bytes) {
    auto entry = std::make_shared<CacheEntry>();
    entry->bytes = std::move(bytes);
    return entry;
}

Response with(std::string_view name, std::string value, int status = 200) {
    auto response = json_answer(status, R"({"blogs":[]})");
    response.set(name, std::move(value));
    return response;
}

std::optional<std::chrono::milliseconds> ttl_of(const Response& response, const StoragePolicy& policy = kPolicy) {
    const auto storage = storage_of(response, kView, policy);
    return storage ? std::optional(storage->ttl) : std::nullopt;
}

Request asking(std::vector<std::pair<std::string, std::string>> headers = {}) {
    Request request;
    request.method = "GET";
    request.headers = std::move(headers);
    return request;
}

// The value of a header as it goes out.
std::string header_of(const Response& response, const std::string& name) {
    const auto block = header_block(response);
    const auto at = block.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "(absent)";
    const auto begin = at + name.size() + 4;
    return block.substr(begin, block.find("\r\n", begin) - begin);
}

std::string gunzipped(std::string_view body) {
    std::string out(100'000, '\0');
    auto* const decompressor = libdeflate_alloc_decompressor();
    std::size_t size = 0;
    const auto result = libdeflate_gzip_decompress(decompressor, body.data(), body.size(), out.data(), out.size(), &size);
    libdeflate_free_decompressor(decompressor);
    BOOST_TEST(result == LIBDEFLATE_SUCCESS);
    out.resize(size);
    return out;
}

std::string long_json() {
    std::string text = R"({"text":")";
    for (int i = 0; i < 300; ++i) text += "word " + std::to_string(i * 7919 % 100);
    return text + "\"}";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(storing)

BOOST_AUTO_TEST_CASE(rule_2_only_200_and_for_a_short_time_301_308_404_and_410_are_stored) {
    for (const int status : {201, 202, 204, 206, 302, 303, 304, 307, 400, 401, 403, 405, 414, 429, 500, 503})
        BOOST_TEST_CONTEXT(status) BOOST_TEST(!ttl_of(json_answer(status, "{}")).has_value());
    BOOST_TEST((ttl_of(json_answer(200, "{}")) == 10min));
    for (const int status : {301, 308, 404, 410}) BOOST_TEST_CONTEXT(status) BOOST_TEST((ttl_of(json_answer(status, "{}")) == 1min));
    for (const int status : {404, 410}) BOOST_TEST((storage_of(json_answer(status, "{}"), kView, kPolicy)->reach == Cache::Reach::process));
    BOOST_TEST((storage_of(json_answer(301, "{}"), kView, kPolicy)->reach == Cache::Reach::host));
    BOOST_TEST(!ttl_of(json_answer(404, "{}"), {.ttl = 10min, .short_ttl = 0ms}).has_value());
}

BOOST_AUTO_TEST_CASE(rule_3_no_store_private_and_no_cache_are_read_as_directives_in_any_case) {
    for (const auto* text : {"no-store", "No-Store", "max-age=5, private", " PRIVATE ", "no-cache=\"set-cookie\"",
                             "private=\"a, b\", max-age=5", "public,no-store", ",,no-store"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!ttl_of(with("Cache-Control", text)).has_value());
    for (const auto* text : {"public", "x-no-store", "no-storey", "ext=\"no-store\"", "ext=\"a\\\"b, private\""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(ttl_of(with("Cache-Control", text)).has_value());
    auto twice = with("Cache-Control", "public");
    twice.headers.emplace_back("cache-control", "no-store");
    BOOST_TEST(!ttl_of(twice).has_value());
}

BOOST_AUTO_TEST_CASE(rule_4_the_operator_s_time_goes_before_s_maxage_before_max_age_before_the_view_s) {
    constexpr StoragePolicy kSet{.ttl = 3min, .ttl_is_set = true, .short_ttl = 1min};
    for (const auto* text : {"max-age=5, s-maxage=7", "max-age=3600"}) BOOST_TEST((ttl_of(with("Cache-Control", text), kSet) == 3min));
    BOOST_TEST((ttl_of(with("Cache-Control", "max-age=5, s-maxage=7")) == 7s));
    BOOST_TEST((ttl_of(with("Cache-Control", "Max-Age=\"5\"")) == 5s));
    BOOST_TEST((ttl_of(with("Cache-Control", "public")) == 10min));
    BOOST_TEST((ttl_of(with("Cache-Control", "max-age=5", 404), kSet) == 5s));
    BOOST_TEST((ttl_of(with("Cache-Control", "max-age=5, max-age=3")) == 3s));
    for (const auto* large : {"max-age=2147483648", "max-age=2147483649", "max-age=99999999999999999999"})
        BOOST_TEST_CONTEXT(large) BOOST_TEST((ttl_of(with("Cache-Control", large)) == 2147483648s));
}

BOOST_AUTO_TEST_CASE(rule_4_zero_and_malformed_times_are_not_stored) {
    for (const auto* text : {"max-age=0", "s-maxage=0, max-age=60", "max-age=-1", "max-age=", "max-age", "max-age=1.5", "max-age=abc", "=5",
                             "max-age=\"5", "public private", "no-transform;", "\"public\""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!ttl_of(with("Cache-Control", text)).has_value());
}

BOOST_AUTO_TEST_CASE(rule_6_an_answer_that_sets_a_cookie_is_not_stored) {
    BOOST_TEST(!ttl_of(with("Set-Cookie", "a=b")).has_value());
    BOOST_TEST(!ttl_of(with("set-cookie", "")).has_value());
}

BOOST_AUTO_TEST_CASE(rule_8_an_answer_that_varies_on_what_the_key_does_not_hold_is_not_stored) {
    for (const auto* text : {"*", " * ", "X-Theme, *", "Accept-Language", "x-theme, user-agent"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!ttl_of(with("Vary", text)).has_value());
    for (const auto* text : {"X-Theme", "x-theme , ACCEPT-ENCODING", "Cookie", ""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(ttl_of(with("Vary", text)).has_value());
    auto twice = with("Vary", "X-Theme");
    twice.headers.emplace_back("VARY", "*");
    BOOST_TEST(!ttl_of(twice).has_value());
    BOOST_TEST(!storage_of(with("Vary", "Cookie"), kPlainView, kPolicy).has_value());
    BOOST_TEST(storage_of(with("Vary", "Authorization"), kView, kPolicy).has_value());  // bypassed, or each user's own
    BOOST_TEST(!storage_of(with("Vary", "Authorization"), kPlainView, kPolicy).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(giving)

BOOST_AUTO_TEST_CASE(what_is_packed_comes_out_the_same) {
    for (const int status : {200, 301, 404}) {
        auto response = json_answer(status, R"({"blogs":[]})");
        response.set("Location", "/x");
        const auto unpacked = unpack(entry_of(pack(response, kPlainView)), asking());
        BOOST_REQUIRE(unpacked.has_value());
        BOOST_TEST(unpacked->status == status);
        BOOST_TEST(header_of(*unpacked, "Content-Type") == "application/json");
        BOOST_TEST(header_of(*unpacked, "Location") == "/x");
        BOOST_TEST(header_of(*unpacked, "Content-Length") == "12");
        BOOST_TEST(header_of(*unpacked, "Vary") == "accept-encoding");
        BOOST_TEST(unpacked->body() == R"({"blogs":[]})");
    }
}

BOOST_AUTO_TEST_CASE(an_answer_is_shared_with_the_entry_and_outlives_its_place_in_the_cache) {
    auto entry = entry_of(pack(json_answer(200, "text"), kPlainView));
    const auto* const bytes = entry->bytes.data();
    const auto size = entry->bytes.size();
    const auto unpacked = unpack(entry, asking());
    entry.reset();
    BOOST_TEST(unpacked->body() == "text");
    BOOST_TEST((unpacked->body().data() >= bytes && unpacked->body().data() < bytes + size));
    BOOST_TEST((unpacked->lines().data() >= bytes && unpacked->lines().data() < bytes + size));
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_packed_answer_are_refused) {
    const auto bytes = pack(json_answer(200, long_json()), kPlainView);
    BOOST_TEST(unpack(entry_of(bytes), asking()).has_value());
    for (std::size_t size = 0; size < bytes.size(); ++size)
        if (unpack(entry_of(bytes.substr(0, size)), asking())) BOOST_TEST_CONTEXT(size) BOOST_ERROR("was taken");
    BOOST_TEST(!unpack(entry_of(bytes + "x"), asking()).has_value());
    BOOST_TEST(!unpack(entry_of("recto view 1\n" + bytes.substr(13)), asking()).has_value());
}

BOOST_AUTO_TEST_CASE(any_bytes_are_an_answer_that_can_be_sent_or_none) {
    BOOST_TEST(replay(LLVMFuzzerTestOneInput, "tests/fuzz/seeds/view_answer", 20'000) > 20'000u);
}

BOOST_AUTO_TEST_CASE(rule_8_and_13_what_a_view_looks_at_is_in_vary_sorted_and_once) {
    auto response = json_answer(200, long_json());
    response.set("Vary", "X-Theme");
    response.headers.emplace_back("Vary", "x-theme");
    const auto unpacked = unpack(entry_of(pack(response, kView)), asking());
    BOOST_TEST(header_of(*unpacked, "Vary") == "accept-encoding, authorization, cookie, x-theme");
    BOOST_TEST(header_of(*unpack(entry_of(pack(json_answer(200, "{}"), kView)), asking()), "Vary") ==
               "accept-encoding, authorization, cookie, x-theme");
}

BOOST_AUTO_TEST_CASE(rule_10_gzip_is_made_once_and_sent_to_those_who_accept_it) {
    const auto entry = entry_of(pack(json_answer(200, long_json()), kPlainView));
    const auto plain = unpack(entry, asking());
    const auto gzip = unpack(entry, asking({{"accept-encoding", "br, gzip"}}));
    const auto refused = unpack(entry, asking({{"accept-encoding", "gzip;q=0"}}));
    BOOST_TEST(plain->body() == long_json());
    BOOST_TEST(refused->body() == long_json());
    BOOST_TEST(header_of(*plain, "Content-Encoding") == "(absent)");
    BOOST_TEST(header_of(*gzip, "Content-Encoding") == "gzip");
    BOOST_TEST(gzip->body().size() < plain->body().size() / 2);
    BOOST_TEST(header_of(*gzip, "Content-Length") == std::to_string(gzip->body().size()));
    BOOST_TEST(gunzipped(gzip->body()) == long_json());
    for (const auto* answer : {&*plain, &*gzip}) BOOST_TEST(header_of(*answer, "Vary") == "accept-encoding");
    BOOST_TEST(header_of(*gzip, "ETag") != header_of(*plain, "ETag"));
}

BOOST_AUTO_TEST_CASE(what_gets_hardly_smaller_is_not_compressed) {
    BOOST_TEST(gzip_if_worth_it("short").empty());
    BOOST_TEST(gzip_if_worth_it("").empty());
    std::string noise;
    for (int i = 0; i < 500; ++i) noise += hex(hash128(std::to_string(i)));  // half of each byte is information
    BOOST_TEST(!gzip_if_worth_it(noise).empty());
    std::string random;
    for (int i = 0; i < 500; ++i)
        for (const auto byte : hash128(std::to_string(i))) random += static_cast<char>(byte);
    BOOST_TEST(gzip_if_worth_it(random).empty());
    auto coded = json_answer(200, long_json());
    coded.set("Content-Encoding", "br");
    const auto as_it_was = unpack(entry_of(pack(coded, kPlainView)), asking({{"accept-encoding", "gzip"}}));
    BOOST_TEST(header_of(*as_it_was, "Content-Encoding") == "br");
    BOOST_TEST(as_it_was->body() == long_json());
    auto image = json_answer(200, long_json());
    image.set("Content-Type", "image/png");
    BOOST_TEST(header_of(*unpack(entry_of(pack(image, kPlainView)), asking({{"accept-encoding", "gzip"}})), "Content-Encoding") ==
               "(absent)");
}

BOOST_AUTO_TEST_CASE(rule_14_each_form_has_a_strong_etag_that_changes_with_the_body_alone) {
    const auto etag = [](const std::string& body) {
        return header_of(*unpack(entry_of(pack(json_answer(200, body), kPlainView)), asking()), "ETag");
    };
    BOOST_TEST(etag("one") == etag("one"));
    BOOST_TEST(etag("one") != etag("two"));
    BOOST_TEST(etag(long_json() + "1") != etag(long_json() + "2"));
    BOOST_TEST(etag("one").starts_with("\""));
    BOOST_TEST(etag("one").ends_with("\""));
}

BOOST_AUTO_TEST_CASE(rule_15_if_none_match_is_a_list_compared_weakly) {
    for (const auto* text : {"\"a\"", "*", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\" ", " * "})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(etag_matches(text, "\"a\""));
    for (const auto* text : {"", "\"b\"", "a", "\"A\"", "\"ab\"", "w/\"a\""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!etag_matches(text, "\"a\""));
}

BOOST_AUTO_TEST_CASE(rule_15_who_has_the_answer_gets_304_with_the_headers_that_belong_to_it) {
    auto response = json_answer(200, long_json());
    response.set("Content-Location", "/page");
    response.set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
    response.set("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT");
    response.set("Allow", "GET, HEAD, OPTIONS");
    const auto entry = entry_of(pack(response, kView));
    const auto whole = unpack(entry, asking({{"accept-encoding", "gzip"}}));
    const auto known = unpack(entry, asking({{"accept-encoding", "gzip"}, {"if-none-match", "\"x\", " + header_of(*whole, "ETag")}}));
    BOOST_TEST(known->status == 304);
    BOOST_TEST(known->body().empty());
    for (const auto* name : {"Allow", "Cache-Control", "Content-Location", "ETag", "Expires", "Vary"}) {
        BOOST_TEST_CONTEXT(name) BOOST_TEST(header_of(*known, name) == header_of(*whole, name));
        BOOST_TEST_CONTEXT(name) BOOST_TEST(header_of(*known, name) != "(absent)");
    }
    for (const auto* name : {"Content-Type", "Content-Length", "Content-Encoding", "Last-Modified"})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(header_of(*known, name) == "(absent)");

    const auto etag_of_gzip = header_of(*whole, "ETag");
    BOOST_TEST(unpack(entry, asking({{"if-none-match", etag_of_gzip}}))->status == 200);  // the plain form is another one
    BOOST_TEST(unpack(entry_of(pack(json_answer(404, "{}"), kView)), asking({{"if-none-match", "*"}}))->status == 404);
}

BOOST_AUTO_TEST_CASE(rule_15_a_date_proves_something_only_if_it_is_the_one_we_sent_and_no_etag_is_given) {
    constexpr auto* kDate = "Sun, 22 Nov 2026 10:00:00 GMT";
    const auto entry = entry_of(pack(with("Last-Modified", kDate), kPlainView));
    BOOST_TEST(unpack(entry, asking({{"if-modified-since", kDate}}))->status == 304);
    BOOST_TEST(unpack(entry, asking({{"if-modified-since", "Sun, 22 Nov 2026 10:00:01 GMT"}}))->status == 200);
    BOOST_TEST(unpack(entry, asking({{"if-modified-since", kDate}, {"if-none-match", "\"other\""}}))->status == 200);
    BOOST_TEST(unpack(entry_of(pack(json_answer(200, "{}"), kPlainView)), asking({{"if-modified-since", ""}}))->status == 200);
}

BOOST_AUTO_TEST_CASE(rule_15_if_match_is_a_list_compared_strongly) {
    for (const auto* text : {"\"a\"", "*", "\"b\", \"a\"", "W/\"a\",\"a\" ", " * "})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(etag_matches_strongly(text, "\"a\""));
    for (const auto* text : {"", "\"b\"", "a", "\"A\"", "\"ab\"", "W/\"a\"", "\"b\", W/\"a\""})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!etag_matches_strongly(text, "\"a\""));
    BOOST_TEST(!etag_matches_strongly("W/\"a\"", "W/\"a\""));
}

BOOST_AUTO_TEST_CASE(rule_15_who_expects_another_answer_gets_412) {
    const auto entry = entry_of(pack(json_answer(200, long_json()), kPlainView));
    const auto etag = header_of(*unpack(entry, asking()), "ETag");
    const auto status = [&](std::vector<std::pair<std::string, std::string>> headers) {
        return unpack(entry, asking(std::move(headers)))->status;
    };
    for (const auto& tags : {etag, "\"x\", " + etag, std::string("*")})
        BOOST_TEST_CONTEXT(tags) BOOST_TEST(status({{"if-match", tags}}) == 200);
    for (const auto& tags : {std::string("\"x\""), "W/" + etag, std::string()}) BOOST_TEST_CONTEXT(tags) {
            const auto refused = unpack(entry, asking({{"if-match", tags}, {"if-none-match", etag}}));
            BOOST_TEST(refused->status == 412);
            BOOST_TEST(refused->body() == R"({"detail":"Precondition failed."})");
        }
    BOOST_TEST(status({{"if-match", etag}, {"if-none-match", etag}}) == 304);
    BOOST_TEST(status({{"if-match", etag}, {"accept-encoding", "gzip"}}) == 412);  // the form that is chosen has another
    BOOST_TEST(unpack(entry_of(pack(json_answer(404, "{}"), kPlainView)), asking({{"if-match", "\"x\""}}))->status == 404);
}

BOOST_AUTO_TEST_CASE(rule_15_who_expects_no_change_since_a_date_gets_412_after_a_later_one) {
    const auto status = [](const CacheHit& entry, std::vector<std::pair<std::string, std::string>> headers) {
        return unpack(entry, asking(std::move(headers)))->status;
    };
    const auto dated = entry_of(pack(with("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT"), kPlainView));
    for (const auto* date : {"Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:01 GMT", "Sunday, 22-Nov-26 10:00:00 GMT",
                             "Sun Nov 22 10:00:00 2026", "yesterday", "", "Sun, 22 Nov 2026 09:59:59 GMT, Sun, 22 Nov 2026 09:59:59 GMT"})
        BOOST_TEST_CONTEXT(date) BOOST_TEST(status(dated, {{"if-unmodified-since", date}}) == 200);
    for (const auto* date : {"Sun, 22 Nov 2026 09:59:59 GMT", "Sat, 21 Nov 2026 23:00:00 GMT", "Sun Nov  1 10:00:00 2026"})
        BOOST_TEST_CONTEXT(date) BOOST_TEST(status(dated, {{"if-unmodified-since", date}}) == 412);
    BOOST_TEST(status(dated, {{"if-match", "*"}, {"if-unmodified-since", "Sat, 21 Nov 2026 23:00:00 GMT"}}) == 200);
    const auto undated = entry_of(pack(json_answer(200, "{}"), kPlainView));
    BOOST_TEST(status(undated, {{"if-unmodified-since", "Sat, 21 Nov 2026 23:00:00 GMT"}}) == 200);
}

BOOST_AUTO_TEST_CASE(a_date_has_three_forms) {
    const auto expected = std::chrono::sys_seconds(784111777s);  // RFC 9110 section 5.6.7
    for (const auto* date :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", " Sun, 06 Nov 1994 08:49:37 GMT "})
        BOOST_TEST_CONTEXT(date) BOOST_TEST((parse_http_date(date) == expected));
    using namespace std::string_literals;
    for (const auto& date : {""s, "Sun"s, "Sun, 06 Nov 1994 08:49:37"s, "Sun, 06 Nov 1994 08:49:37 GMT+1"s,
                             "Sun, 06 Nov 1994 08:49:37 GMT\0x"s, "784111777"s, "1994-11-06T08:49:37Z"s, "Sun, 36 Nov 1994 08:49:37 GMT"s})
        BOOST_TEST_CONTEXT(date) BOOST_TEST(!parse_http_date(date).has_value());
}

BOOST_AUTO_TEST_CASE(rule_15_an_answer_that_is_not_from_the_cache_has_conditions_too) {
    const auto given = [](Response response, const char* name, const char* value, std::string method = "GET") {
        auto request = asking({{name, value}});
        request.method = std::move(method);
        return under_conditions(std::move(response), request);
    };
    const auto plain = json_answer(200, "{}"), tagged = with("ETag", "\"a\"");
    BOOST_TEST(given(plain, "if-match", "\"a\"").status == 412);
    BOOST_TEST(given(plain, "if-match", "\"a\"", "HEAD").status == 412);
    BOOST_TEST(given(plain, "if-match", "*").status == 200);
    BOOST_TEST(given(plain, "if-none-match", "\"a\", W/").status == 200);
    BOOST_TEST(given(tagged, "if-match", "\"a\"").status == 200);
    BOOST_TEST(given(json_answer(404, "{}"), "if-match", "\"a\"").status == 404);
    BOOST_TEST(given(plain, "if-match", "\"a\"", "POST").status == 200);  // it has done its work by then
    const auto known = given(tagged, "if-none-match", "W/\"a\"");
    BOOST_TEST(known.status == 304);
    BOOST_TEST(known.body().empty());
    BOOST_TEST(header_of(known, "Content-Type") == "(absent)");
    BOOST_TEST(header_block(known).find("ETag: \"a\"") != std::string::npos);
    BOOST_TEST(given(with("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT"), "if-modified-since", "Sun, 22 Nov 2026 10:00:00 GMT").status ==
               304);
}

BOOST_AUTO_TEST_CASE(rule_16_age_is_never_negative) {
    CacheEntry entry;
    entry.created = TimePoint(1000s);
    BOOST_TEST(age_of(entry, TimePoint(1000s)) == "0");
    BOOST_TEST(age_of(entry, TimePoint(1061s) + 999ms) == "61");
    BOOST_TEST(age_of(entry, TimePoint(900s)) == "0");
}

BOOST_AUTO_TEST_CASE(rule_17_clients_ask_each_time_unless_the_view_says_otherwise) {
    BOOST_TEST(header_of(*unpack(entry_of(pack(json_answer(200, "{}"), kPlainView)), asking()), "Cache-Control") == "no-cache");
    BOOST_TEST(header_of(*unpack(entry_of(pack(with("Cache-Control", "max-age=60"), kPlainView)), asking()), "Cache-Control") ==
               "max-age=60");
}

BOOST_AUTO_TEST_CASE(rule_17_caches_on_the_way_know_of_every_answer_for_how_long_and_for_whom_it_is) {
    const auto told = [](Response response, const View* view) {
        tell_caches(response, view);
        return header_of(response, "Cache-Control") + " | " + header_of(response, "Vary");
    };
    auto mine = kPlainView;
    mine.audience = Audience::each_user;
    BOOST_TEST(told(not_found(), nullptr) == "no-cache | (absent)");
    BOOST_TEST(told(json_answer(200, "{}"), &kPlainView) == "no-cache | accept-encoding");
    BOOST_TEST(told(json_answer(200, "{}"), &mine) == "no-cache | accept-encoding, authorization");
    BOOST_TEST(told(with("Cache-Control", "max-age=60"), &kView) == "max-age=60 | accept-encoding, authorization, cookie, x-theme");
    BOOST_TEST(told(with("Vary", "Origin"), &kPlainView) == "no-cache | accept-encoding, origin");
    BOOST_TEST(told(throttled(1s), &kPlainView) == "no-store | accept-encoding");
}

BOOST_AUTO_TEST_CASE(rule_19_cache_status_tells_how_long_and_why) {
    auto entry = std::make_shared<CacheEntry>();
    entry->expires = TimePoint(1000s);
    const auto status = [&](CacheLookup::State state, TimePoint now) { return cache_status_of({.state = state, .entry = entry}, now); };
    BOOST_TEST(status(CacheLookup::State::fresh, TimePoint(900s)) == "recto; hit; ttl=100");
    BOOST_TEST(status(CacheLookup::State::fresh, TimePoint(900s) + 1us) == "recto; hit; ttl=100");  // it is good for a part of that second
    BOOST_TEST(status(CacheLookup::State::aging, TimePoint(999s)) == "recto; hit; ttl=1");
    BOOST_TEST(status(CacheLookup::State::expired, TimePoint(1005s)) == "recto; hit; ttl=-5; detail=stale-while-revalidate");
    BOOST_TEST(status(CacheLookup::State::unverified, TimePoint(1005s)) == "recto; hit; ttl=-5; detail=stale-if-error");
}

BOOST_AUTO_TEST_SUITE_END()
