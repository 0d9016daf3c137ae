#define BOOST_TEST_MODULE slug
#include "util/slug.hpp"

#include <set>

#include <boost/test/unit_test.hpp>

using namespace recto;

BOOST_AUTO_TEST_CASE(a_slug_keeps_letters_and_digits_of_any_script) {
    const std::pair<const char*, const char*> table[] = {{"Hello, World!", "hello-world"},
                                                         {"  C++ & you  ", "c-you"},
                                                         {"\u00dcber uns", "\u00fcber-uns"},
                                                         {"v10.0.0", "v10-0-0"},
                                                         {"\u65e5\u672c\u8a9e \u30c6\u30b9\u30c8", "\u65e5\u672c\u8a9e-\u30c6\u30b9\u30c8"},
                                                         {"!!!", ""},
                                                         {"", ""},
                                                         {"a\xff"
                                                          "b",
                                                          "a-b"},
                                                         {"e\u0301te\u0301", "\u00e9t\u00e9"}};
    for (const auto& [text, expected] : table) BOOST_TEST_CONTEXT(text) BOOST_TEST(slug_of(text) == expected);
}

BOOST_AUTO_TEST_CASE(a_slug_ends_after_100_characters_between_words) {
    const std::string a60(60, 'a');
    BOOST_TEST(slug_of(std::string(500, 'x')).size() == 100u);
    BOOST_TEST(slug_of(a60 + ' ' + std::string(60, 'b')) == a60);
    BOOST_TEST(slug_of(a60 + ' ' + std::string(39, 'b') + " c") == a60 + '-' + std::string(39, 'b'));
    BOOST_TEST(slug_of("a " + std::string(200, 'b')).size() == 100u);  // more than half would be lost
    BOOST_TEST(slug_of(std::string(100, 'a') + '!') == std::string(100, 'a'));
    std::string emoji_of_letters;
    for (int i = 0; i < 150; ++i) emoji_of_letters += "\U00010428";  // a letter outside the first 65,536
    BOOST_TEST(slug_of(emoji_of_letters).size() == 400u);
    BOOST_TEST(is_longer_than_a_slug(emoji_of_letters));
    BOOST_TEST(!is_longer_than_a_slug(std::string(100, 'x') + "!!!"));
}

BOOST_AUTO_TEST_CASE(a_number_behind_a_slug_leaves_it_at_100_characters) {
    const std::set<std::string> taken{std::string(100, 'x')};
    const auto slug = free_slug(std::string(200, 'x'), [&](const std::string& candidate) { return !taken.contains(candidate); });
    BOOST_TEST(slug == std::string(98, 'x') + "-2");
    BOOST_TEST(free_slug(std::string(100, '7'), [](const std::string&) { return true; }) == "n-" + std::string(98, '7'));
}

BOOST_AUTO_TEST_CASE(signs_of_programming_languages_become_words) {
    const std::pair<const char*, const char*> table[] = {{"C", "c"},
                                                         {"C++", "cpp"},
                                                         {"C#", "c-sharp"},
                                                         {"F# Core", "f-sharp-core"},
                                                         {".NET", "dot-net"},
                                                         {"Node.js", "node-js"},
                                                         {"A*", "a-star"},
                                                         {"#linux", "linux"},
                                                         {"Google+", "google-plus"},
                                                         {"C/C++", "c-cpp"},
                                                         {"a ++ b", "a-plus-plus-b"},
                                                         {"end.", "end"},
                                                         {"Objective-C++", "objective-cpp"},
                                                         {"two words", "two-words"}};
    for (const auto& [text, expected] : table) BOOST_TEST_CONTEXT(text) BOOST_TEST(tag_slug_of(text) == expected);
}

BOOST_AUTO_TEST_CASE(a_taken_slug_gets_the_next_number) {
    const std::set<std::string> taken{"post", "post-2", "untitled"};
    const auto is_free = [&](const std::string& slug) { return !taken.contains(slug); };
    BOOST_TEST(free_slug("Post", is_free) == "post-3");
    BOOST_TEST(free_slug("???", is_free) == "untitled-2");
    BOOST_TEST(free_slug("New", is_free) == "new");
    BOOST_TEST(free_slug("2026", is_free) == "n-2026");
}
