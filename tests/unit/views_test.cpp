#define BOOST_TEST_MODULE views
#include "site/views.hpp"

#include <boost/test/unit_test.hpp>

#include "site/parameters.hpp"

using namespace recto;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(a_path_leads_to_its_view_with_or_without_a_slash_at_the_end) {
    const std::pair<const char*, const char*> table[] = {{"/api/blogs", "blogs.by_author"}, {"/api/blogs/", "blogs.by_author"},
                                                         {"/api/blog", "blog"},             {"/api/blog/detail/", "blog.detail"},
                                                         {"/api/blog2", "blog2"},           {"/healthz", "status.healthz"}};
    for (const auto& [path, name] : table) BOOST_TEST_CONTEXT(path) {
        const auto* const view = find_view(path);
        BOOST_REQUIRE(view != nullptr);
        BOOST_TEST(view->name == name);
    }
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
    config.views["blogs.by_author"] = {.cache = 0ms, .throttle = std::vector<std::string>{}, .log = "off"};
    const auto policy = policy_of(view, config);
    BOOST_TEST((policy.cache == 0ms));
    BOOST_TEST(policy.throttle.empty());
    BOOST_TEST(!policy.log.has_value());
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_not_for_all_is_never_cached) {
    Config config;
    config.views["status.healthz"] = {.cache = 10min, .throttle = {}, .log = {}};
    BOOST_TEST((policy_of(*find_view("/healthz"), config).cache == 0ms));
}

BOOST_AUTO_TEST_CASE(a_view_gets_only_the_parameters_it_declares) {
    const auto& view = *find_view("/api/blogs");
    const Parameters parameters(view, "utm_source=x&author_id=12&fbclid=y");
    BOOST_TEST(*parameters.find("author_id") == "12");
    BOOST_TEST(!parameters.find("utm_source").has_value());
}

BOOST_AUTO_TEST_CASE(queries_that_mean_the_same_have_one_cache_key) {
    const auto& view = *find_view("/api/blogs");
    const auto key = [&](std::string_view query) { return Parameters(view, query).cache_key(); };
    const auto expected = key("author_id=12");
    for (const auto* query : {"author_id=12&x=1", "x&author_id=12", "author_id=%31%32", "%61uthor_id=12", "author_id=3&author_id=12", "&&author_id=12&"})
        BOOST_TEST_CONTEXT(query) BOOST_TEST(key(query) == expected);
    for (const auto* query : {"", "author_id", "author_id=", "author_id=1", "author_id=12%20", "author_id=12+", "Author_id=12"})
        BOOST_TEST_CONTEXT(query) BOOST_TEST(key(query) != expected);
    BOOST_TEST(key("author_id=") != key(""));
}

BOOST_AUTO_TEST_CASE(percent_signs_are_decoded_and_a_lone_one_stands_for_itself) {
    const auto& view = *find_view("/api/blogs");
    const std::pair<const char*, std::string> table[] = {
        {"author_id=a%20b+c", "a b c"}, {"author_id=100%", "100%"}, {"author_id=%zz", "%zz"}, {"author_id=%4", "%4"}, {"author_id=%00", std::string(1, '\0')}};
    for (const auto& [query, value] : table) BOOST_TEST_CONTEXT(query) BOOST_TEST(*Parameters(view, query).find("author_id") == value);
}
