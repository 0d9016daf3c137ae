#define BOOST_TEST_MODULE front_matter
#include "blog/front_matter.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;

namespace {

ImportedPost good(std::string_view text, std::string_view name = "2015-03-17-from-the-name.md") {
    auto parsed = parse_post_file(text, name);
    BOOST_REQUIRE_MESSAGE(parsed, (parsed ? "" : parsed.error()));
    return *std::move(parsed);
}

std::string bad(std::string_view text, std::string_view name = "2015-03-17-x.md") {
    const auto parsed = parse_post_file(text, name);
    BOOST_REQUIRE(!parsed);
    return parsed.error();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_date_is_taken_in_the_shapes_that_real_blogs_use) {
    const std::pair<const char*, const char*> table[] = {
        {"2015-03-17", "2015-03-17T00:00:00Z"},
        {"2015-03-17 14:00:00 -4", "2015-03-17T18:00:00Z"},
        {"2015-03-17 14:00:00 -0400", "2015-03-17T18:00:00Z"},
        {"2019-02-28T12:47:37.738Z", "2019-02-28T12:47:37.738000Z"},
        {"2012-10-12 9:00:00 +0000", "2012-10-12T09:00:00Z"},
        {"2012-1-2", "2012-01-02T00:00:00Z"},
        {"2024-02-29T23:30+02:00", "2024-02-29T21:30:00Z"},
        {"2015-03-17 UTC", "2015-03-17T00:00:00Z"},
        {"2015-03-17 00:30 -12:30", "2015-03-17T13:00:00Z"},
    };
    for (const auto& [text, expected] : table) {
        BOOST_TEST_CONTEXT(text) {
            const auto date = parse_date(text);
            BOOST_REQUIRE(date.has_value());
            BOOST_TEST(rfc3339(*date) == expected);
        }
    }
    BOOST_TEST(!parse_date("2015-03-17" + std::string(100'000, ' ') + "x").has_value());
    for (const auto* text : {"", "yesterday", "2015-13-01", "2015-02-29", "2015-03-17 25:00", "2015-03-17 14:60:00", "2015-03-17 14",
                             "2015-03-17T", "2015-03-17 14:00:00 X", "2015-03-17 14:00 +", "2015-03-17 14:00Z x", "0000-01-01",
                             "9999-12-31T23:59:59-01:00", "2015-03-17 14:00 +15", "2015-03-17 14:00 +0299", "9999-99-9", "2015"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!parse_date(text).has_value());
}

BOOST_AUTO_TEST_CASE(front_matter_becomes_a_post_and_unknown_keys_are_kept) {
    const auto post = good(
        "---\ntitle: \"A title: with a colon\"\ndate: 2016-01-02\nauthors:\n- ann\n- bob\ntags:\n- one\n- two words\n"
        "excerpt: Short.\nlayout: post\nhero: false\nlang: fr\n---\nBody *here*.\n");
    BOOST_TEST(*post.content.title == "A title: with a colon");
    BOOST_TEST(*post.content.slug == "from-the-name");
    BOOST_TEST(*post.content.body == "Body *here*.\n");
    BOOST_TEST(*post.content.excerpt == "Short.");
    BOOST_TEST(*post.content.language == "fr");
    BOOST_TEST((*post.content.authors == std::vector<std::string>{"ann", "bob"}));
    BOOST_TEST((*post.content.tags == std::vector<std::string>{"one", "two words"}));
    BOOST_TEST(rfc3339(*post.content.published_at) == "2016-01-02T00:00:00Z");
    BOOST_TEST((*post.content.status == PostStatus::published));
    BOOST_TEST(json::serialize(post.extra) == R"({"layout":"post","hero":"false"})");
}

BOOST_AUTO_TEST_CASE(the_dialects_of_author_tags_and_drafts_mean_the_same) {
    BOOST_TEST((*good("---\ntitle: x\nauthor: ann\n---\n").content.authors == std::vector<std::string>{"ann"}));
    BOOST_TEST((*good("---\ntitle: x\nby: [ann, bob]\n---\n").content.authors == std::vector<std::string>{"ann", "bob"}));
    BOOST_TEST((*good("---\ntitle: x\ncategories: news\n---\n").content.tags == std::vector<std::string>{"news"}));
    BOOST_TEST(good("---\ntitle: x\ntags:\n---\n").content.tags->empty());
    BOOST_TEST((*good("---\ntitle: x\ndraft: true\n---\n").content.status == PostStatus::draft));
    BOOST_TEST((*good("---\ntitle: x\npublished: false\n---\n").content.status == PostStatus::draft));
    BOOST_TEST(rfc3339(*good("---\ntitle: x\n---\n").content.published_at) == "2015-03-17T00:00:00Z");
    BOOST_TEST(*good("\xEF\xBB\xBF---\r\ntitle: x\r\n---\r\nBody\r\n").content.body == "Body\r\n");
}

BOOST_AUTO_TEST_CASE(a_missing_excerpt_is_the_first_paragraph_in_plain_text) {
    const auto excerpt = [](const std::string& body) { return *good("---\ntitle: x\n---\n" + body).content.excerpt; };
    BOOST_TEST(excerpt("# Head\n\nSome *text* with [a link](/x)\nand `code`.\n\nMore.") == "Some text with a link and code.");
    BOOST_TEST(excerpt("First <b>bold</b>.\n\nSecond.<!-- more --> Third.") == "First bold.");
    BOOST_TEST(excerpt("") == "");
    const auto cut = excerpt(std::string(400, 'a') + " b");
    BOOST_TEST(cut.size() <= 300u);
    BOOST_TEST(cut.ends_with("\u2026"));
}

BOOST_AUTO_TEST_CASE(a_bad_file_is_refused_with_line_and_reason) {
    BOOST_TEST(bad("No front matter") == "1: expected front matter: a first line of ---");
    BOOST_TEST(bad("---\ntitle: x\n") == "1: the front matter doesn't end: no second line of ---");
    BOOST_TEST(bad("---\nauthor: x\n---\n") == "1: the front matter has no title");
    BOOST_TEST(bad("---\n- a\n- b\n---\n") == "2: expected front matter of the form `key: value`");
    BOOST_TEST(bad("---\ntitle: x\ndate: 9999-99-9\n---\n") ==
               "1: expected a date such as 2015-03-17 or 2015-03-17 14:00:00 -0400, found 9999-99-9");
    BOOST_TEST(bad("---\ntitle: x\n---\n", "no-date.md") ==
               "1: no date: neither a date in the front matter nor YYYY-MM-DD in the file's name");
    BOOST_TEST(bad("---\ntitle: \xff\n---\n") == "1: not valid UTF-8");
    BOOST_TEST(bad("---\ntitle: x\nkey: value: value\n---\n") == "3: illegal map value");
    BOOST_TEST(bad("---\ntitle: x\ntags: [a\n---\n").find("end of sequence") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(aliases_that_multiply_are_refused_soon) {
    std::string yaml = "---\ntitle: x\na0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
    for (int i = 1; i < 10; ++i) {
        const auto previous = "*a" + std::to_string(i - 1);
        yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + previous;
        for (int j = 0; j < 9; ++j) yaml += "," + previous;
        yaml += "]\n";
    }
    BOOST_TEST(bad(yaml + "---\n").find("too many values") != std::string::npos);
}
