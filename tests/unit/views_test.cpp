// The numbers are those of the rules in etc/doc/caching.md.
#define BOOST_TEST_MODULE views
#include "site/views.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "site/negotiation.hpp"
#include "site/view_request.hpp"
#include "tests/fuzz/client_fuzz.cpp"

using namespace recto;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(a_path_leads_to_its_view_with_or_without_a_slash_at_the_end) {
    const std::pair<const char*, const char*> table[] = {
        {"/api/blogs", "blogs.by_author"}, {"/api/blogs/", "blogs.by_author"}, {"/api/blog", "blog"}, {"/api/blog/detail/", "blog.detail"},
        {"/api/blog2", "blog2"},           {"/healthz", "status.healthz"}};
    for (const auto& [path, name] : table) BOOST_TEST_CONTEXT(path) {
            const auto* const view = find_view(path);
            BOOST_REQUIRE(view != nullptr);
            BOOST_TEST(view->name == name);
        }
    BOOST_TEST(without_last_slash("/") == "/");
    BOOST_TEST(without_last_slash("/a/") == "/a");
    BOOST_TEST(without_last_slash("") == "");
    for (const auto* path : {"", "/", "/api/blogs//", "/api/blogsx", "/api", "api/blogs", "/API/BLOGS"})
        BOOST_TEST_CONTEXT(path) BOOST_TEST(find_view(path) == nullptr);
}

BOOST_AUTO_TEST_CASE(head_comes_with_get_and_options_with_everything) {
    BOOST_TEST(allowed_methods(*find_view("/api/blogs")) == "GET, HEAD, OPTIONS");
}

BOOST_AUTO_TEST_CASE(what_the_operator_says_of_a_view_replaces_its_defaults) {
    const auto& view = *find_view("/api/blogs");
    Config config;
    BOOST_TEST((policy_of(view, config).cache == 10min));
    BOOST_TEST(!policy_of(view, config).cache_is_set);
    BOOST_TEST(policy_of(view, config).cost == 1u);
    BOOST_TEST(policy_of(view, config).at_once == 0u);
    config.views["blogs.by_author"] = {.cache = 0ms, .throttle = std::vector<std::string>{}, .cost = 5, .at_once = 2, .log = "off"};
    const auto policy = policy_of(view, config);
    BOOST_TEST((policy.cache == 0ms));
    BOOST_TEST(policy.cache_is_set);
    BOOST_TEST(policy.throttle.empty());
    BOOST_TEST(policy.cost == 5u);
    BOOST_TEST(policy.at_once == 2u);
    BOOST_TEST(!policy.log.has_value());
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_not_for_all_is_never_cached) {
    Config config;
    config.views["status.healthz"] = {.cache = 10min};
    BOOST_TEST((policy_of(*find_view("/healthz"), config).cache == 0ms));
}

BOOST_AUTO_TEST_CASE(rule_13_a_view_gets_only_the_parameters_it_declares) {
    const auto& view = *find_view("/api/blogs");
    const ViewRequest request(view, "utm_source=x&author_id=12&fbclid=y");
    BOOST_TEST(*request.parameter("author_id") == "12");
    BOOST_TEST(!request.parameter("utm_source").has_value());
}

BOOST_AUTO_TEST_CASE(rule_12_queries_that_mean_the_same_have_one_cache_key) {
    const auto& view = *find_view("/api/blogs");
    const auto key = [&](std::string_view query) { return ViewRequest(view, query).cache_key(); };
    const auto expected = key("author_id=12");
    for (const auto* query :
         {"author_id=12&x=1", "x&author_id=12", "author_id=%31%32", "%61uthor_id=12", "author_id=3&author_id=12", "&&author_id=12&"})
        BOOST_TEST_CONTEXT(query) BOOST_TEST(key(query) == expected);
    for (const auto* query : {"", "author_id", "author_id=", "author_id=1", "author_id=12%20", "author_id=12+", "Author_id=12"})
        BOOST_TEST_CONTEXT(query) BOOST_TEST(key(query) != expected);
    BOOST_TEST(key("author_id=") != key(""));
}

BOOST_AUTO_TEST_CASE(rule_12_an_integer_has_one_spelling_in_the_key_and_for_the_view) {
    const View view{
        .name = "page", .methods = {"GET"}, .path = "/page", .parameters = {{"n", ParameterType::integer}, "text"}, .event = ""};
    const auto key = [&](std::string_view query) { return ViewRequest(view, query).cache_key(); };
    const std::pair<const char*, std::vector<std::string>> table[] = {
        {"n=7", {"n=07", "n=007", "n=%30%37", "n=1&n=07", "n=0000000000000000000000000007"}},
        {"n=0", {"n=-0", "n=00", "n=-000", "n=%2D0"}},
        {"n=-7", {"n=-07"}},
        {"n=9223372036854775807", {"n=09223372036854775807"}},
        {"n=-9223372036854775808", {"n=-0009223372036854775808"}}};
    for (const auto& [query, others] : table)
        for (const auto& other : others) BOOST_TEST_CONTEXT(other) {
                BOOST_TEST(key(other) == key(query));
                BOOST_TEST(*ViewRequest(view, other).parameter("n") == std::string(query).substr(2));
            }
    for (const auto* other :
         {"n=", "n=+7", "n=%2B7", "n=7+", "n=7.0", "n=7e0", "n=0x7", "n=--7", "n=-", "n=7a", "n=9223372036854775808", "n=70"})
        BOOST_TEST_CONTEXT(other) BOOST_TEST(key(other) != key("n=7"));
    BOOST_TEST(*ViewRequest(view, "n=+7").parameter("n") == " 7");  // for the view to refuse
    BOOST_TEST(key("text=07") != key("text=7"));
    BOOST_TEST(*ViewRequest(view, "text=07").parameter("text") == "07");
}

BOOST_AUTO_TEST_CASE(percent_signs_are_decoded_and_a_lone_one_stands_for_itself) {
    const auto& view = *find_view("/api/blogs");
    const std::pair<const char*, std::string> table[] = {{"author_id=a%20b+c", "a b c"},
                                                         {"author_id=100%", "100%"},
                                                         {"author_id=%zz", "%zz"},
                                                         {"author_id=%4", "%4"},
                                                         {"author_id=%00", std::string(1, '\0')}};
    for (const auto& [query, value] : table)
        BOOST_TEST_CONTEXT(query) BOOST_TEST(*ViewRequest(view, query).parameter("author_id") == value);
}

BOOST_AUTO_TEST_CASE(rule_13_a_view_gets_only_the_headers_and_cookies_it_declares) {
    const View view{.name = "page",
                    .methods = {"GET"},
                    .path = "/page",
                    .headers = {{.name = "x-theme"}, {.name = "accept-language", .choices = {"en", "de"}}},
                    .cookies = {"theme", "lang"},
                    .event = ""};
    const std::vector<std::pair<std::string, std::string>> headers{
        {"accept-language", "de-AT, en;q=0.5"}, {"cookie", "session=1; theme=dark ; lang=; other"}, {"x-other", "1"}};
    const ViewRequest request(view, "", headers, 7);
    BOOST_TEST(!request.header("x-theme").has_value());
    BOOST_TEST(request.header("accept-language").value_or("") == "de");
    BOOST_TEST(!request.header("x-other").has_value());
    BOOST_TEST(request.cookie("theme").value_or("") == "dark");
    BOOST_TEST(request.cookie("lang").value_or("absent") == "");
    BOOST_TEST(!request.cookie("session").has_value());
    BOOST_TEST(!request.user().has_value());
}

BOOST_AUTO_TEST_CASE(rule_11_what_differs_in_a_declared_header_cookie_or_user_has_another_key) {
    const View view{.name = "page",
                    .methods = {"GET"},
                    .path = "/page",
                    .parameters = {"a"},
                    .headers = {{.name = "x-a"}, {.name = "x-b"}},
                    .cookies = {"a"},
                    .event = "",
                    .audience = Audience::each_user};
    using Headers = std::vector<std::pair<std::string, std::string>>;
    const std::pair<Headers, std::optional<std::int64_t>> requests[] = {{{}, {}},
                                                                        {{}, 1},
                                                                        {{}, 12},
                                                                        {{{"x-a", ""}}, {}},
                                                                        {{{"x-a", "1"}}, {}},
                                                                        {{{"x-b", "1"}}, {}},
                                                                        {{{"x-a", "1\nx-b=1:1"}}, {}},
                                                                        {{{"x-a", "1\nx-b=:1"}}, {}},
                                                                        {{{"cookie", "a=1"}}, {}},
                                                                        {{{"cookie", "a="}}, {}},
                                                                        {{{"x-a", "1"}, {"x-b", "1"}}, {}}};
    std::vector<std::string> keys;
    for (const auto& [headers, user] : requests) keys.push_back(ViewRequest(view, "", headers, user).cache_key());
    keys.push_back(ViewRequest(view, "a=1").cache_key());
    std::ranges::sort(keys);
    BOOST_TEST((std::ranges::unique(keys).empty()));
}

BOOST_AUTO_TEST_CASE(rule_10_gzip_is_sent_to_those_who_accept_it) {
    for (const auto* header : {"gzip", "GZIP", "deflate, gzip;q=0.1", "*", "br;q=1.0, *;q=0.5", "x-gzip", " gzip ; q=1.000 ",
                               "identity;q=1, gzip", "gzip, gzip;q=0", "gzip;q=0, x-gzip"})
        BOOST_TEST_CONTEXT(header) BOOST_TEST(accepts_gzip(header));
    for (const auto* header : {"", "identity", "gzip;q=0", "gzip; Q=0.000", "*;q=0", "gzip;q=0, *", "br", "gzipped", "gzip;q=x",
                               "gzip;q=2.", "gzip;q=0.x", "gzip;q=0.1234", ",;,"})
        BOOST_TEST_CONTEXT(header) BOOST_TEST(!accepts_gzip(header));
    BOOST_TEST(!accepts_gzip(std::nullopt));
}

// Django's CacheI18nTest: these headers mean one thing to a site that speaks English and German.
BOOST_AUTO_TEST_CASE(rule_10_the_best_language_of_those_a_site_speaks_is_chosen) {
    const std::vector<std::string_view> choices{"en", "de"};
    const std::pair<std::optional<std::string_view>, std::string_view> table[] = {{std::nullopt, "en"},
                                                                                  {"", "en"},
                                                                                  {"de", "de"},
                                                                                  {"DE-at", "de"},
                                                                                  {"fr, de;q=0.3", "de"},
                                                                                  {"de;q=0.3, en;q=0.5", "en"},
                                                                                  {"fr", "en"},
                                                                                  {"de;q=0", "en"},
                                                                                  {"deu", "en"},
                                                                                  {"en-US,en;q=0.9,de;q=0.8", "en"},
                                                                                  {"de;q=0.9,en-GB;q=0.8", "de"},
                                                                                  {"en;q=1, de;q=1.5", "en"},
                                                                                  {"de, en", "de"}};
    for (const auto& [header, expected] : table)
        BOOST_TEST_CONTEXT(header.value_or("absent")) BOOST_TEST(best_choice(header, choices) == expected);
}

BOOST_AUTO_TEST_CASE(rule_13_clients_share_a_key_exactly_if_a_view_sees_the_same_of_them) {
    BOOST_TEST(replay(LLVMFuzzerTestOneInput, "tests/fuzz/seeds/client", 20'000) > 20'000u);
}
