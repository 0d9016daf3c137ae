#define BOOST_TEST_MODULE slug
#include "util/slug.hpp"

#include <set>

#include <boost/test/unit_test.hpp>

using namespace recto;

BOOST_AUTO_TEST_CASE(a_slug_keeps_letters_and_digits_of_any_script) {
    const std::pair<const char*, const char*> table[] = {
        {"Hello, World!", "hello-world"}, {"  C++ & you  ", "c-you"},       {"\u00dcber uns", "\u00fcber-uns"}, {"v10.0.0", "v10-0-0"},
        {"\u65e5\u672c\u8a9e \u30c6\u30b9\u30c8", "\u65e5\u672c\u8a9e-\u30c6\u30b9\u30c8"}, {"!!!", ""}, {"", ""}, {"a\xff" "b", "a-b"},
        {"e\u0301te\u0301", "\u00e9t\u00e9"}};
    for (const auto& [text, expected] : table) BOOST_TEST_CONTEXT(text) BOOST_TEST(slug_of(text) == expected);
}

BOOST_AUTO_TEST_CASE(a_slug_ends_after_100_characters) { BOOST_TEST(slug_of(std::string(500, 'x')).size() == 100u); }

BOOST_AUTO_TEST_CASE(a_taken_slug_gets_the_next_number) {
    const std::set<std::string> taken{"post", "post-2", "untitled"};
    const auto is_free = [&](const std::string& slug) { return !taken.contains(slug); };
    BOOST_TEST(free_slug("Post", is_free) == "post-3");
    BOOST_TEST(free_slug("???", is_free) == "untitled-2");
    BOOST_TEST(free_slug("New", is_free) == "new");
    BOOST_TEST(free_slug("2026", is_free) == "n-2026");
}
