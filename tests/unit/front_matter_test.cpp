#define BOOST_TEST_MODULE front_matter
#include "blog/front_matter.hpp"

#include <boost/test/unit_test.hpp>

#include "blog/date.hpp"
#include "blog/post_file.hpp"
#include "markdown/markdown.hpp"
#include "tests/fuzz/front_matter_fuzz.cpp"
#include "tests/support/fuzzing.hpp"
#include "util/unicode.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};
const std::string kName = "2015-03-17-from-the-name.md";
using Names = std::vector<std::string>;

Result<ImportedPost> parsed(std::string_view text, const std::string& path, const TimeZone& zone = {}) {
    return parse_post_file(text, {.path = path, .time_zone = zone, .now = kNow});
}

ImportedPost good(std::string_view text, const std::string& path = kName, const TimeZone& zone = {}) {
    auto post = parsed(text, path, zone);
    BOOST_REQUIRE_MESSAGE(post, (post ? "" : post.error()) + " in " + std::string(text.substr(0, 200)));
    return *std::move(post);
}

// A post with these lines of front matter.
ImportedPost with(const std::string& lines, const std::string& path = kName) { return good("---\ntitle: x\n" + lines + "\n---\n", path); }

std::string bad(std::string_view text, const std::string& path = kName) {
    const auto post = parsed(text, path);
    BOOST_REQUIRE_MESSAGE(!post, text.substr(0, 200));
    return post.error();
}

std::string body(std::string_view text) { return *good(text).content.body; }

std::string remarks(const ImportedPost& post) {
    std::string all;
    for (const auto& [reason, detail] : post.remarks) all += std::string(reason) + "=" + detail + "|";
    return all;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

TimeZone zone(const char* name) { return TimeZone::find(name).value(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(dates)

BOOST_AUTO_TEST_CASE(a_date_is_taken_in_the_shapes_that_real_blogs_use) {
    const std::pair<const char*, const char*> table[] = {
        {"2015-03-17", "2015-03-17T00:00:00Z"},
        {" 2015-03-17 ", "2015-03-17T00:00:00Z"},
        {"2015-03-17 14:00:00 -4", "2015-03-17T18:00:00Z"},
        {"2015-03-17 14:00:00 -0400", "2015-03-17T18:00:00Z"},
        {"2015-03-17 14:00 -400", "2015-03-17T18:00:00Z"},
        {"2019-02-28T12:47:37.738Z", "2019-02-28T12:47:37.738000Z"},
        {"2012-10-12 9:00:00 +0000", "2012-10-12T09:00:00Z"},
        {"2012-1-2", "2012-01-02T00:00:00Z"},
        {"2024-02-29T23:30+02:00", "2024-02-29T21:30:00Z"},
        {"2015-03-17 UTC", "2015-03-17T00:00:00Z"},
        {"2015-03-17 00:30 -12:30", "2015-03-17T13:00:00Z"},
        {"2015-03-17 14:00 +15", "2015-03-16T23:00:00Z"},
        {"2015-03-17 14:00 +23:59", "2015-03-16T14:01:00Z"},
        {"2015-03-17 14:00 -2359", "2015-03-18T13:59:00Z"},
        {"2001-12-14t21:59:43.10-05:00", "2001-12-15T02:59:43.100000Z"},  // YAML 1.1's own examples
        {"2001-12-14 21:59:43.10 -5", "2001-12-15T02:59:43.100000Z"},
        {"2001-12-15   2:59:43.10", "2001-12-15T02:59:43.100000Z"},
        {"2015/03/17", "2015-03-17T00:00:00Z"},
        {"2015/3/7 10:00", "2015-03-07T10:00:00Z"},
        {"17/03/2015", "2015-03-17T00:00:00Z"},
        {"03/17/2015 1:30 PM", "2015-03-17T13:30:00Z"},
        {"4/4/2015", "2015-04-04T00:00:00Z"},
        {"03.04.2015", "2015-04-03T00:00:00Z"},
        {"20150317", "2015-03-17T00:00:00Z"},
        {"20150317T140000Z", "2015-03-17T14:00:00Z"},
        {"20150317140001", "2015-03-17T14:00:01Z"},
        {"Tue, 17 Mar 2015 14:00:00 +0100", "2015-03-17T13:00:00Z"},
        {"17 Mar 15 14:00 GMT", "2015-03-17T14:00:00Z"},
        {"17 Mar 99 14:00 GMT", "1999-03-17T14:00:00Z"},
        {"Tue, 17 Mar 2015 14:00:00 EST", "2015-03-17T19:00:00Z"},
        {"Tue, 17 Mar 2015 14:00:00 PDT", "2015-03-17T21:00:00Z"},
        {"March 17, 2015", "2015-03-17T00:00:00Z"},
        {"Mar. 17th 2015 at 9:05 am", "2015-03-17T09:05:00Z"},
        {"17-Mar-2015", "2015-03-17T00:00:00Z"},
        {"17. March 2015", "2015-03-17T00:00:00Z"},
        {"Sept 1, 2015", "2015-09-01T00:00:00Z"},
        {"Tue Mar 17 14:00:00 UTC 2015", "2015-03-17T14:00:00Z"},
        {"Tue Mar 17 14:00:00 2015", "2015-03-17T14:00:00Z"},
        {"Tue Mar 17 2015 14:00:00 GMT+0100 (Central European Standard Time)", "2015-03-17T13:00:00Z"},
        {"1426600800", "2015-03-17T14:00:00Z"},
        {"1426600800250", "2015-03-17T14:00:00.250000Z"},
        {"2015-03-17 12:00 AM", "2015-03-17T00:00:00Z"},
        {"2015-03-17 12:00 pm", "2015-03-17T12:00:00Z"},
        {"2015-07-17 14:00 Europe/Berlin", "2015-07-17T12:00:00Z"},
        {"2016-12-31 23:59:60Z", "2017-01-01T00:00:00Z"},
    };
    for (const auto& [text, expected] : table) {
        BOOST_TEST_CONTEXT(text) {
            const auto date = parse_date(text);
            BOOST_REQUIRE_MESSAGE(date, (date ? "" : date.error()));
            BOOST_TEST(rfc3339(*date) == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_date_is_told_by_its_wrong_part) {
    const std::pair<std::string, const char*> table[] = {
        {"", "it is empty"},
        {"yesterday", "there is no month yesterday"},
        {"2015-13-01", "there is no month 13"},
        {"2015-00-01", "there is no month 00"},
        {"2015-02-29", "that month has no day 29"},
        {"2015-01-32", "there is no day 32"},
        {"0000-01-01", "there is no year 0000"},
        {"2015-03-17 25:00", "there is no hour 25"},
        {"2015-03-17 14:60:00", "there is no minute 60"},
        {"2015-03-17 14:00:61", "there is no second 61"},
        {"2015-03-17 14:0", "expected two digits of minutes"},
        {"2015-03-17 13:00 pm", "there is no hour 13 pm"},
        {"2015-03-17 0:30 am", "there is no hour 0 am"},
        {"2015-03-17 14", "expected a time such as 14:00"},
        {"2015-03-17T", "expected a time such as 14:00"},
        {"2015-03-17 14:00.", "expected digits after the point"},
        {"2015-03-17 14:00:00 X", "there is no time zone X"},
        {"2015-03-17 14:00 BST", "there is no time zone BST"},
        {"2015-03-17 14:00 +", "expected an offset of at most 23:59"},
        {"2015-03-17 14:00 +24", "expected an offset of at most 23:59"},
        {"2015-03-17 14:00 +0299", "expected an offset of at most 23:59"},
        {"2015-03-17 14:00 +12345", "expected an offset of at most 23:59"},
        {"2015-03-17 14:00Z x", "expected the end of the date"},
        {"9999-12-31T23:59:59-01:00", "the year isn't of 1 to 9999"},
        {"9999-99-9", "there is no month 99"},
        {"2015", "expected a month after the year"},
        {"2015-03", "expected a day after the month"},
        {"2015-03/17", "expected a day after the month"},
        {"03/04/2015", "which of 03 and 04 is the day isn't certain"},
        {"17/03/15", "expected a year of four digits"},
        {"99999999999999999999-01-01", "expected a year of four digits"},
        {"142660080", "expected a year of four digits"},
        {"2015-03-17" + std::string(100'000, ' ') + "x", "it is longer than 100 bytes"},
    };
    for (const auto& [text, expected] : table) {
        BOOST_TEST_CONTEXT(text.substr(0, 50)) {
            const auto date = parse_date(text);
            BOOST_REQUIRE(!date);
            BOOST_TEST(has(date.error(), expected), date.error());
        }
    }
}

BOOST_AUTO_TEST_CASE(a_date_without_a_zone_is_of_the_given_clocks) {
    BOOST_TEST(rfc3339(*parse_date("2015-01-17 14:00", zone("Europe/Berlin"))) == "2015-01-17T13:00:00Z");
    BOOST_TEST(rfc3339(*parse_date("2015-07-17", zone("Europe/Berlin"))) == "2015-07-16T22:00:00Z");
    BOOST_TEST(rfc3339(*parse_date("2015-07-17 14:00 Z", zone("Europe/Berlin"))) == "2015-07-17T14:00:00Z");
    BOOST_TEST(rfc3339(*parse_date("2015-03-29 02:30", zone("Europe/Berlin"))) == "2015-03-29T01:30:00Z");  // skipped
    BOOST_TEST(rfc3339(*parse_date("2015-10-25 02:30", zone("Europe/Berlin"))) == "2015-10-25T00:30:00Z");  // there twice
    for (const auto* name : {"", "Berlin", "BST", "IST", "+02:00", "GMT+3", "Etc/Unknown", "Mars/Olympus", "SystemV/EST5"})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(!TimeZone::find(name).has_value());
    for (const auto* name : {"UTC", "GMT", "EST", "America/New_York", "Asia/Kolkata"})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(TimeZone::find(name).has_value());
}

BOOST_AUTO_TEST_CASE(which_keys_date_a_post) {
    const auto published = [](const std::string& lines, const std::string& path = kName) {
        return rfc3339(with(lines, path).content.published_at.value()).substr(0, 10);
    };
    BOOST_TEST(published("date: 2016-01-02") == "2016-01-02");
    BOOST_TEST(published("Date: 2016-01-02") == "2016-01-02");
    BOOST_TEST(published("tags: x") == "2015-03-17");
    BOOST_TEST(published("date:") == "2015-03-17");
    BOOST_TEST(published("created_at: 2016-01-02", "x.md") == "2016-01-02");
    BOOST_TEST(published("date: 2016-01-02\npublishDate: 2016-02-03") == "2016-02-03");
    BOOST_TEST(published("date: 2016-03-02\npublishDate: 2016-02-03") == "2016-03-02");
    BOOST_TEST(published("pubDate: 2016-02-03") == "2016-02-03");
    BOOST_TEST(published("published: 2016-02-03") == "2016-02-03");
    BOOST_TEST(published("tags: x", "2021-03-04-first/index.md") == "2021-03-04");
    BOOST_TEST(published("tags: x", "blog/2021/3/4/first.md") == "2021-03-04");
    BOOST_TEST(published("tags: x", "blog/2021-03-04.md") == "2021-03-04");
    for (const auto* key : {"lastmod", "updated", "last_modified_at", "modified", "lastMod", "updatedDate"})
        BOOST_TEST_CONTEXT(key)
        BOOST_TEST(rfc3339(with(key + std::string(": 2016-02-03")).content.updated_at.value()) == "2016-02-03T00:00:00Z");
    BOOST_TEST(!with("tags: x").content.updated_at.has_value());
    BOOST_TEST(has(remarks(with("updated: soon")), "not understood=updated: soon|"));
    const auto local = good("---\ntitle: x\n---\n", "2015-07-17-x.md", zone("Europe/Berlin"));
    BOOST_TEST(rfc3339(*local.content.published_at) == "2015-07-16T22:00:00Z");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(status)

BOOST_AUTO_TEST_CASE(only_what_is_certainly_public_is_published) {
    for (const auto* lines : {"tags: x",
                              "draft: false",
                              "draft: no",
                              "draft: off",
                              "draft: 0",
                              "draft: \"false\"",
                              "draft: N",
                              "published: true",
                              "published: yes",
                              "published: On",
                              "published: 1",
                              "status: published",
                              "status: publish",
                              "Status: Published",
                              "visibility: public",
                              "hidden: false",
                              "unlisted: no",
                              "private: false",
                              "permalink: /a/",
                              "permalink: true",
                              "expiryDate: 2030-01-01",
                              "expiryDate:",
                              "publishDate: 2016-01-01",
                              "published: 2016-01-01",
                              "password: ''",
                              "build: {render: always, list: true}",
                              "build: {publishResources: false}",
                              "render: true",
                              "sticky: 7",
                              "layout: post",
                              "scheduled: no",
                              "headless: false"})
        BOOST_TEST_CONTEXT(lines) {
            const auto post = with(lines);
            BOOST_TEST((post.content.status == PostStatus::published), remarks(post));
        }
}

BOOST_AUTO_TEST_CASE(what_was_held_back_stays_back) {
    const std::pair<const char*, const char*> table[] = {
        {"published: no", "a draft: the file says that it isn't public=published: no|"},
        {"published: false", "says that it isn't public"},
        {"published: off", "says that it isn't public"},
        {"published: 0", "says that it isn't public"},
        {"published: \"false\"", "says that it isn't public"},
        {"Published: FALSE", "says that it isn't public"},
        {"published: n", "says that it isn't public"},
        {"published:", "its status isn't understood=published: (nothing)|"},
        {"published: maybe", "its status isn't understood=published: maybe|"},
        {"draft: yes", "says that it isn't public=draft: yes|"},
        {"draft: true", "says that it isn't public"},
        {"draft: on", "says that it isn't public"},
        {"draft: 1", "says that it isn't public"},
        {"Draft: Y", "says that it isn't public"},
        {"draft: 'true'", "says that it isn't public"},
        {"draft: !!bool true", "says that it isn't public"},
        {"draft: [true]", "isn't understood"},
        {"draft: truee", "isn't understood"},
        {"draft: ~", "isn't understood"},
        {"draft: true\ndraft: false", "says that it isn't public"},
        {"draft: false\nDraft: true", "says that it isn't public"},
        {"draft: false\npublished: false", "says that it isn't public"},
        {"is_draft: true", "says that it isn't public"},
        {"<<: {draft: true}", "says that it isn't public=<<.draft: true|"},
        {"params: {draft: true}", "says that it isn't public"},
        {"status: draft", "says that it isn't public=status: draft|"},
        {"status: private", "says that it isn't public"},
        {"status: pending", "says that it isn't public"},
        {"status: trash", "says that it isn't public"},
        {"status: hidden", "says that it isn't public"},
        {"status: auto-draft", "says that it isn't public"},
        {"post_status: draft", "says that it isn't public"},
        {"status: in review", "isn't understood=status: in review|"},
        {"status: [published]", "isn't understood"},
        {"status: ", "isn't understood"},
        {"status: future", "isn't understood"},
        {"status: scheduled\ndate: 2016-01-01", "isn't understood"},
        {"state: draft", "says that it isn't public"},
        {"visibility: members", "says that it isn't public"},
        {"visibility: friends", "isn't understood"},
        {"hidden: true", "says that it isn't public"},
        {"private: yes", "says that it isn't public"},
        {"unlisted: true", "says that it isn't public"},
        {"headless: true", "says that it isn't public"},
        {"_hidden: yes", "says that it isn't public"},
        {"_discoverable: no", "says that it isn't public"},
        {"dg-publish: false", "says that it isn't public"},
        {"eleventyExcludeFromCollections: true", "says that it isn't public"},
        {"permalink: false", "says that it isn't public=permalink: false|"},
        {"render: false", "says that it isn't public"},
        {"build: {render: never}", "says that it isn't public=build.render: never|"},
        {"_build: {list: local}", "says that it isn't public"},
        {"build: {list: mostly}", "isn't understood"},
        {"layout: draft", "says that it isn't public=layout: draft|"},
        {"password: secret", "says that it isn't public=password|"},
        {"password: 123", "says that it isn't public=password|"},
        {"expiryDate: 2026-11-22", "it has expired=2026-11-22T00:00:00Z|"},
        {"expires: 2016-01-01", "it has expired"},
        {"unpublishDate: 2016-01-01", "it has expired"},
        {"expiryDate: some day", "isn't understood=expiryDate: some day|"},
        {"publishDate: some day", "isn't understood=publishDate: some day|"},
        {"publishDate:", "isn't understood"},
        {"embargo: true", "isn't public"},
        {"scheduled: soon", "isn't understood"},
    };
    for (const auto& [lines, expected] : table) BOOST_TEST_CONTEXT(lines) {
            const auto post = with(lines);
            BOOST_TEST((post.content.status == PostStatus::draft));
            BOOST_TEST(has(remarks(post), expected), remarks(post));
        }
    BOOST_TEST((with("status: archived").content.status == PostStatus::archived));
    BOOST_TEST((good("+++\ntitle = \"x\"\ndraft = true\n+++\n").content.status == PostStatus::draft));
    BOOST_TEST((good("+++\ntitle = \"x\"\nexpiryDate = 2016-01-01\n+++\n").content.status == PostStatus::draft));
    BOOST_TEST((good("{\"title\": \"x\", \"draft\": true}\n").content.status == PostStatus::draft));
    BOOST_TEST((good("{\"title\": \"x\", \"published\": 0}\n").content.status == PostStatus::draft));
    BOOST_TEST((good("{\"title\": \"x\", \"draft\": null}\n").content.status == PostStatus::draft));
}

BOOST_AUTO_TEST_CASE(a_post_of_a_day_to_come_is_scheduled) {
    for (const auto* lines : {"date: 2030-01-01", "publishDate: 2030-01-01", "date: 2016-01-01\npublishDate: 2030-01-01",
                              "published: 2030-01-01", "status: future\ndate: 2030-01-01", "scheduled: 2030-01-01",
                              "status: scheduled\ndate: 2030-01-01", "scheduled: true\ndate: 2030-01-01", "embargo_until: 2030-01-01"})
        BOOST_TEST_CONTEXT(lines) {
            const auto post = with(lines);
            BOOST_TEST((post.content.status == PostStatus::published));
            BOOST_TEST(rfc3339(*post.content.published_at) == "2030-01-01T00:00:00Z");
            BOOST_TEST(has(remarks(post), "scheduled=2030-01-01T00:00:00Z|"), remarks(post));
        }
    BOOST_TEST(!has(remarks(with("date: 2026-11-22")), "scheduled"));
    BOOST_TEST(has(remarks(with("expiryDate: 2030-01-01")), "it stays public until you change it=2030-01-01T00:00:00Z|"));
}

BOOST_AUTO_TEST_CASE(a_place_for_what_is_not_public_makes_a_draft) {
    for (const auto* path : {"_drafts/x.md", "blog/_drafts/2015-03-17-x.md", "blog/drafts/x.md", "blog/Drafts/a/x.md", "blog/.trash/x.md",
                             "blog/_index.md", "blog/_x.md", "blog/2015-03-17-x.draft.md", "blog/private/x.md", "blog/_drafts/x/index.md"})
        BOOST_TEST_CONTEXT(path) {
            const auto post = with("published: true", path);
            BOOST_TEST((post.content.status == PostStatus::draft));
            BOOST_TEST(has(remarks(post), "a draft: it is in a place for what isn't public="), remarks(post));
        }
    for (const auto* path : {"blog/draft-laws/2015-03-17-x.md", "blog/2015-03-17-drafts.md", "blog/2015-03-17-draft.md"})
        BOOST_TEST_CONTEXT(path) BOOST_TEST((with("tags: x", path).content.status == PostStatus::published));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bodies)

BOOST_AUTO_TEST_CASE(what_is_not_front_matter_is_body) {
    const std::pair<const char*, const char*> table[] = {
        {"---\ntitle: x\n---\nBody\n", "Body\n"},
        {"---\ntitle: x\n...\nBody\n\n---\nMore\n", "Body\n\n---\nMore\n"},
        {"---\ntitle: x\n... \t\nBody", "Body"},
        {"--- \ntitle: x\n---\t \nBody", "Body"},
        {"---\ntitle: x\n---\n---\nBody\n---\n", "---\nBody\n---\n"},
        {"---\ntitle: x\n---\n\n  Body", "\n  Body"},
        {"---\ntitle: x\n---", ""},
        {"\xEF\xBB\xBF---\r\ntitle: x\r\n---\r\nBody\r\n", "Body\r\n"},
        {"\n \n\t\n---\ntitle: x\n---\nBody", "Body"},
        {"---\ntitle: |\n  a\n  ---\n  b\n---\nBody", "Body"},
        {"---\n---\nBody", "Body"},
        {"---\n# nothing\n---\nBody", "Body"},
        {"+++\ntitle = \"x\"\n+++\nBody\n+++\n", "Body\n+++\n"},
        {"+++\ntitle = \"x\"\n...\n+++\nBody", nullptr},
        {"{\"title\": \"x\"}\nBody {\n", "Body {\n"},
        {"{\n\"title\": \"x\"\n}\n\n{}", "\n{}"},
        {"{\"title\": \"}\"} Body", " Body"},
        {"---json\n{\"title\": \"x\"}\n---\nBody", "Body"},
        {"---toml\ntitle = \"x\"\n---\nBody", "Body"},
        {"---\ntitle: x\n--- # end\nBody\n---\nMore", nullptr},
        {"---\ntitle: x\n--- more\nBody\n---\nMore", nullptr},
        {"---\n[a] b\n---\nBody", nullptr},
        {"---\n, a\n---\nBody", nullptr},
        {"---\ntitle: x\n%lost: 1\n---\nBody", nullptr},
        {"---\ntitle: x\n\x04lost: 1\n---\nBody", nullptr},
        {"---\ntitle: x\nBody", nullptr},
        {"---\ntitle: x\n----\nBody", nullptr},
        {"---\ntitle: x\n  ---\nBody", nullptr},
        {"+++\ntitle = \"x\"\n---\nBody", nullptr},
        {"{\"title\": \"x\"", nullptr},
        {"---json\n{\"title\": \"x\"} more\n---\nBody", nullptr},
        {"Body", nullptr},
        {"", nullptr},
        {"----\ntitle: x\n----\nBody", nullptr},
    };
    for (const auto& [text, expected] : table) BOOST_TEST_CONTEXT(text) {
            if (expected == nullptr)
                BOOST_TEST(!bad(text).empty());
            else
                BOOST_TEST(body(text) == expected);
        }
}

BOOST_AUTO_TEST_CASE(a_bad_file_is_refused_with_line_and_reason) {
    BOOST_TEST(bad("No front matter") == "1: expected front matter: a first line of ---, +++ or {");
    BOOST_TEST(bad("\n\nNo front matter") == "3: expected front matter: a first line of ---, +++ or {");
    BOOST_TEST(bad("---\ntitle: x\n") == "1: the front matter doesn't end: no second line of ---");
    BOOST_TEST(bad("+++\ntitle = 1\n") == "1: the front matter doesn't end: no second line of +++");
    BOOST_TEST(bad("{\"a\": ") == "1: the front matter doesn't end: it isn't a whole JSON object");
    BOOST_TEST(bad("---\n- a\n- b\n---\n") == "2: expected front matter of the form `key: value`");
    BOOST_TEST(bad("---\ntitle: x\n--- y\n---\n") == "2: the front matter is more than one YAML document");
    BOOST_TEST(bad("---\ntitle: x\n\ndate: 9999-99-9\n---\n") ==
               "4: expected a date such as 2015-03-17 or 2015-03-17 14:00:00 -0400, found 9999-99-9: there is no month 99");
    BOOST_TEST(bad("---\ntitle: x\n---\n", "no-date.md") ==
               "1: no date: neither a date in the front matter nor YYYY-MM-DD in the file's name");
    BOOST_TEST(bad("---\ntitle: \xff\n---\n") == "1: not valid UTF-8");
    BOOST_TEST(bad("---\ntitle: x\nkey: value: value\n---\n") == "3: illegal map value");
    BOOST_TEST(bad("\n---\ntitle: x\nkey: value: value\n---\n") == "4: illegal map value");
    BOOST_TEST(has(bad("---\ntitle: x\ntags: [a\n---\n"), "end of sequence"));
    BOOST_TEST(bad("---\ntitle: x\n\na: \x1b\n---\n") == "4: a control character in the front matter");
    BOOST_TEST(bad("+++\ntitle = \"x\"\nkey = \n+++\n").starts_with("3: "));
    BOOST_TEST(bad("{\n\"title\": \"x\",\n\"key\": oops}\n").starts_with("3: not JSON: "));
    BOOST_TEST(bad("---\ntitle: x\n" + std::string(65u << 10, '#') + "\n---\n") == "2: the front matter is longer than 64 KiB");
    BOOST_TEST(bad("{\"a\": \"" + std::string(65u << 10, 'x') + "\"}") == "1: the front matter is longer than 64 KiB");
}

BOOST_AUTO_TEST_CASE(aliases_depth_and_numbers_have_bounds) {
    std::string yaml = "---\ntitle: x\na0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
    for (int i = 1; i < 10; ++i) {
        const auto previous = "*a" + std::to_string(i - 1);
        yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + previous;
        for (int j = 0; j < 9; ++j) yaml += "," + previous;
        yaml += "]\n";
    }
    BOOST_TEST(has(bad(yaml + "---\n"), "too many values"));
    const auto deep = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
    };
    BOOST_TEST(*with("a: " + deep(14)).content.title == "x");
    for (const int depth : {17, 400, 30'000}) BOOST_TEST_CONTEXT(depth) {
            BOOST_TEST(!bad("---\ntitle: x\na: " + deep(depth) + "\n---\n").empty());
            BOOST_TEST(!bad("+++\ntitle = \"x\"\na = " + deep(depth) + "\n+++\n").empty());
            BOOST_TEST(!bad("{\"title\": \"x\", \"a\": " + deep(depth) + "}\n").empty());
        }
    BOOST_TEST(!bad("---\ntitle: x\na: &a [*a]\n---\n").empty());
    const std::string digits(5000, '9');
    BOOST_TEST(!bad("---\ntitle: x\ndate: " + digits + "\n---\n").empty());
    BOOST_TEST(!bad("+++\ntitle = \"x\"\na = " + digits + "\n+++\n").empty());
    BOOST_TEST((with("draft: " + digits).content.status == PostStatus::draft));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(contents)

BOOST_AUTO_TEST_CASE(front_matter_becomes_a_post_and_unknown_keys_are_kept) {
    const auto post = good(
        "---\ntitle: \"A title: with a colon\"\ndate: 2016-01-02\nauthors:\n- ann\n- bob\ntags:\n- one\n- two words\n"
        "excerpt: Short.\nlayout: post\nhero: false\nlang: fr\n---\nBody *here*.\n");
    BOOST_TEST(*post.content.title == "A title: with a colon");
    BOOST_TEST(*post.content.slug == "from-the-name");
    BOOST_TEST(*post.content.body == "Body *here*.\n");
    BOOST_TEST(*post.content.excerpt == "Short.");
    BOOST_TEST(*post.content.language == "fr");
    BOOST_TEST((*post.content.authors == Names{"ann", "bob"}));
    BOOST_TEST((*post.content.tags == Names{"one", "two words"}));
    BOOST_TEST(rfc3339(*post.content.published_at) == "2016-01-02T00:00:00Z");
    BOOST_TEST(json::serialize(post.extra) == R"({"layout":"post","hero":"false"})");
    BOOST_TEST(post.remarks.empty());
}

BOOST_AUTO_TEST_CASE(the_three_languages_mean_the_same) {
    const auto yaml = good("---\ntitle: T\ndate: 2016-01-02T03:04:05Z\ntags: [a, 7]\nauthors: [{name: Ann}]\nk: {n: 1}\n---\nBody\n");
    const auto toml = good(
        "+++\ntitle = \"T\"\ndate = 2016-01-02T03:04:05Z\nk = {n = 1}\n[taxonomies]\ntags = [\"a\", 7]\n[[authors]]\nname = "
        "\"Ann\"\n+++\nBody\n");
    const auto object =
        good(R"({"title": "T", "date": "2016-01-02T03:04:05Z", "tags": ["a", 7], "authors": [{"name": "Ann"}], "k": {"n": 1}})"
             "\nBody\n");
    for (const auto* post : {&yaml, &toml, &object}) {
        BOOST_TEST(*post->content.title == "T");
        BOOST_TEST(*post->content.body == "Body\n");
        BOOST_TEST(rfc3339(*post->content.published_at) == "2016-01-02T03:04:05Z");
        BOOST_TEST((*post->content.tags == Names{"a", "7"}));
        BOOST_TEST((*post->content.authors == Names{"Ann"}));
        BOOST_TEST(post->extra.contains("k"));
    }
    for (const auto* date : {"2016-01-02", "2016-01-02 03:04:05", "2016-01-02T03:04:05.5+02:00", "\"2 Jan 2016\""}) BOOST_TEST_CONTEXT(date)
    BOOST_TEST(rfc3339(*good("+++\ndate = " + std::string(date) + "\n+++\n# T\n").content.published_at).starts_with("2016-01-02"));
}

BOOST_AUTO_TEST_CASE(authors_and_tags_are_found_in_every_shape) {
    const std::pair<const char*, Names> authors[] = {
        {"author: ann", {"ann"}},
        {"by: [ann, bob]", {"ann", "bob"}},
        {"authors: Ann, Bob", {"Ann", "Bob"}},
        {"authors: King, Ann; Bob", {"King, Ann", "Bob"}},
        {"author: Martin King, Jr.", {"Martin King, Jr."}},
        {"authors: [\"King, Ann\"]", {"King, Ann"}},
        {"author: {login: ann, email: a@x, display_name: Ann X}", {"Ann X"}},
        {"author: {login: ann}", {"ann"}},
        {"author: {name: Ann}", {"Ann"}},
        {"authors: [{name: Ann, url: x}, {name: Bob}]", {"Ann", "Bob"}},
        {"authors: {ann: {name: Ann X}, bob: {url: x}}", {"Ann X", "bob"}},
        {"authors: [ann, [bob, {name: Cleo}]]", {"ann", "bob", "Cleo"}},
        {"author: ann\nauthors: [Ann X]", {"Ann X"}},
        {"Author: ann", {"ann"}},
        {"authors: [ann, '', ~, ann]", {"ann"}},
        {"author: \"Jose\u0301\"", {"Jos\u00e9"}},
        {"author: \"Ann\u00a0\"", {"Ann"}},
        {"author: |\n  Ann\n  X", {"Ann X"}},
    };
    for (const auto& [lines, expected] : authors) BOOST_TEST_CONTEXT(lines) BOOST_TEST((*with(lines).content.authors == expected));
    const std::pair<const char*, Names> tags[] = {
        {"categories: news", {"news"}},
        {"tags: linux, kernel, dev", {"linux", "kernel", "dev"}},
        {"tags:\n- a\n-\n- b", {"a", "b"}},
        {"tags: [a, [b, [c]]]", {"a", "b", "c"}},
        {"tags: [a]\ncategories: [b]\ncategory: c\ntag: d", {"a", "d", "b", "c"}},
        {"Tags: [a]\ntags: [b]", {"a", "b"}},
        {"tags: [a]\ncategories: [a, b]", {"a", "b"}},
        {"tags: [{name: A, slug: a}]", {"A"}},
        {"tags:", {}},
        {"tags: []", {}},
        {"tags: [2015, true]", {"2015", "true"}},
        {"tags: [\"e\u0301\", \"\u00e9\"]", {"\u00e9"}},
        {"taxonomies: {tags: [a], categories: [b]}", {"a", "b"}},
    };
    for (const auto& [lines, expected] : tags) BOOST_TEST_CONTEXT(lines) BOOST_TEST((*with(lines).content.tags == expected));
    BOOST_TEST(has(remarks(with("tags: {a: 1}")), "not understood=tags: {\"a\":\"1\"}|"));
    BOOST_TEST(has(remarks(with("author: {email: x}")), "not understood=author: {\"email\":\"x\"}|no author=|"));
    BOOST_TEST(has(remarks(with("tags: [a]")), "no author"));
    BOOST_TEST(has(remarks(with("tags: [a, " + std::string(151, 'x') + "]")), "a name left out"));
    std::string many = "tags: [t0";
    for (int i = 1; i < 130; ++i) many += ", t" + std::to_string(i);
    BOOST_TEST(with(many + "]").content.tags->size() == 130u);
}

BOOST_AUTO_TEST_CASE(a_title_is_found_and_trimmed) {
    const auto title = [](const std::string& text, const std::string& path = kName) { return *good(text, path).content.title; };
    BOOST_TEST(title("---\nTitle: Big\n---\n") == "Big");
    BOOST_TEST(title("---\ntitle: \"End\u00a0\u00a0\"\n---\n") == "End");
    BOOST_TEST(title("---\ntitle: \"a\\tb\\nc\"\n---\n") == "a b c");
    BOOST_TEST(title("---\ntitle: 1984\n---\n") == "1984");
    BOOST_TEST(title("---\ntags: x\n---\nText.\n\n## The *first* one\n\n# Second\n") == "The first one");
    BOOST_TEST(title("---\ntitle:\n---\nSet\n===\n") == "Set");
    BOOST_TEST(title("---\ntitle: [a]\n---\nText.\n") == "from the name");
    BOOST_TEST(title("---\ndate: 2015-01-01\n---\n", "\U0001F600.md") == "\U0001F600");
    BOOST_TEST(title("---\ndate: 2015-01-01\n---\n", "---.md") == "Untitled");
    BOOST_TEST(has(remarks(good("---\ntags: x\n---\n# H\n")), "no title: from the first heading or the file's name=H|"));
}

BOOST_AUTO_TEST_CASE(a_slug_comes_from_the_front_matter_the_name_or_the_title) {
    const auto slug = [](const std::string& lines, const std::string& path) { return *with(lines, path).content.slug; };
    BOOST_TEST(slug("date: 2015-01-01", "2005-06-22-20050622.md") == "n-20050622");
    BOOST_TEST(slug("slug: 1984", kName) == "n-1984");
    BOOST_TEST(slug("slug: /2015/03/My Post/", kName) == "my-post");
    BOOST_TEST(slug("slug: \U0001F600", kName) == "from-the-name");
    BOOST_TEST(slug("date: 2015-01-01", "\U0001F600.md") == "x");
    BOOST_TEST(*good("---\ntitle: \U0001F600\ndate: 2015-01-01\n---\n", "\U0001F600.md").content.slug == "untitled");
    BOOST_TEST(slug("tags: x", "2021-03-04-first/index.md") == "first");
    BOOST_TEST(slug("tags: x", "blog/2021-03-04-first/index.fr.MD") == "first");
    BOOST_TEST(*with("tags: x", "2021-03-04-first/index.fr.md").content.language == "fr");
    BOOST_TEST(slug("tags: x", "blog/2021-03-04.md") == "x");
    BOOST_TEST(slug("date: 2015-01-01", "index.md") == "index");
    BOOST_TEST(slug("date: 2015-01-01", "a.MARKDOWN") == "a");
    BOOST_TEST(slug("date: 2015-01-01", "2015-13-01-x.md") == "2015-13-01-x");
    const auto cut = with("tags: x", "2015-01-01-" + std::string(60, 'a') + '-' + std::string(60, 'b') + ".md");
    BOOST_TEST(*cut.content.slug == std::string(60, 'a'));
    BOOST_TEST(has(remarks(cut), "a slug of more than 100 characters was cut="));
    BOOST_TEST(with("date: 2015-01-01", "\U0001F600.md").slug_is_of_title);
    BOOST_TEST(!with("date: 2015-01-01").slug_is_of_title);
    for (const auto* name : {"a.md", "a.MD", "a.markdown", "a.mkd", "a.mdx", "a.mdown", "a.mkdn", "a.mdwn"})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(is_post_file_name(name));
    for (const auto* name : {".md", "a.txt", "amd", "a.md.bak", "a.html"}) BOOST_TEST_CONTEXT(name) BOOST_TEST(!is_post_file_name(name));
}

BOOST_AUTO_TEST_CASE(a_missing_excerpt_is_the_first_paragraph_in_plain_text) {
    const auto excerpt = [](const std::string& text) { return *good("---\ntitle: x\n---\n" + text).content.excerpt; };
    BOOST_TEST(excerpt("# Head\n\nSome *text* with [a link](/x)\nand `code`.\n\nMore.") == "Some text with a link and code.");
    for (const auto* more : {"<!-- more -->", "<!--more-->", "<!-- More -->", "<!--more Read on-->"})
        BOOST_TEST_CONTEXT(more)
        BOOST_TEST(excerpt("First <b>bold</b>.\nSecond." + std::string(more) + " Third.") == "First bold. Second.");
    for (const auto* other : {"<!-- moreover -->", "<!-- no more -->", "<!-- more", "< !-- more -->"})
        BOOST_TEST_CONTEXT(other) BOOST_TEST(before_more(std::string("a ") + other + " b").size() > 6u);
    BOOST_TEST(excerpt("<!-- more -->\n\nAll of it.") == "All of it.");
    BOOST_TEST(excerpt("![A picture](x.png)\n\nText ![again](y.png) here.") == "Text  here.");
    BOOST_TEST(excerpt("| a | b |\n|---|---|\n| 1 | 2 |\n\nText.") == "Text.");
    BOOST_TEST(excerpt("[![linked](x.png)](/y)\n\n* item\n\nText.") == "Text.");
    BOOST_TEST(excerpt("") == "");
    BOOST_TEST(*with("description: D\nsummary: S").content.excerpt == "D");
    const auto cut = excerpt(std::string(400, 'a') + " b");
    BOOST_TEST(cut.size() <= 300u);
    BOOST_TEST(cut.ends_with("\u2026"));
}

BOOST_AUTO_TEST_CASE(one_line_is_composed_and_has_no_invisible_ends) {
    const std::pair<const char*, const char*> table[] = {{"a\u00a0", "a"},
                                                         {"\u200b\ufeffa b\u2003", "a b"},
                                                         {"a \t\n b", "a b"},
                                                         {"e\u0301", "\u00e9"},
                                                         {"a\x01"
                                                          "b",
                                                          "a b"},
                                                         {" \u00a0 ", ""},
                                                         {"a\u200bb", "a\u200bb"}};
    for (const auto& [text, expected] : table) BOOST_TEST_CONTEXT(text) BOOST_TEST(one_line(text) == expected);
    BOOST_TEST(nfc("plain") == "plain");
    BOOST_TEST(nfc("e\u0301 ") == "\u00e9 ");
}

BOOST_AUTO_TEST_CASE(no_bytes_break_the_parsers) {
    BOOST_TEST(replay(LLVMFuzzerTestOneInput, "tests/fuzz/seeds/front_matter", 5'000) > 5'000u);
}

BOOST_AUTO_TEST_SUITE_END()
