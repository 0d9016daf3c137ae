#define BOOST_TEST_MODULE blog
#include "blog/blog.hpp"

#include <boost/test/unit_test.hpp>

#include "blog/import.hpp"
#include "tests/support/opened_store.hpp"
#include "util/file.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

struct OpenedBlog : OpenedStore {
    ModelRules rules{{}};
    Blog blog{store, cache, rules};
    std::filesystem::path posts = folder / "posts";

    OpenedBlog() { std::filesystem::create_directories(posts); }

    std::int64_t add_user(std::string_view name) {
        auto transaction = store.write();
        const auto id = transaction.insert("INSERT INTO user (name, slug, active, created_at) VALUES (?, ?, 1, 0)", {name, name});
        transaction.commit();
        return id;
    }
    Post publish(const std::string& title, std::vector<std::string> authors, TimePoint at = kNow - 1h) {
        PostChanges content;
        content.title = title;
        content.status = PostStatus::published;
        content.published_at = at;
        content.authors = std::move(authors);
        return blog.create(content, kNow).value();
    }
    std::vector<std::string> titles(std::int64_t author, TimePoint now = kNow) {
        std::vector<std::string> found;
        for (const auto& post : blog.published_by_author(author, now)) found.push_back(post.title);
        return found;
    }
    void write_file(const std::string& name, std::string_view text) { replace_file(posts / name, text); }
    ImportReport import(bool force = false) { return import_folder(store, posts, force, kNow); }
};

using Titles = std::vector<std::string>;

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_public_sees_what_is_published_and_due_the_newest_first, OpenedBlog) {
    const auto ada = add_user("ada");
    publish("old", {"ada"}, kNow - 48h);
    publish("new", {"ada"}, kNow - 1h);
    publish("due now", {"ada"}, kNow);
    publish("tomorrow", {"ada"}, kNow + 24h);
    blog.change(publish("archived", {"ada"}).id, {.status = PostStatus::archived}, kNow).value();
    blog.change(publish("draft", {"ada"}).id, {.status = PostStatus::draft}, kNow).value();
    BOOST_TEST((titles(ada) == Titles{"due now", "new", "old"}));
    BOOST_TEST((titles(ada, kNow + 24h) == Titles{"tomorrow", "due now", "new", "old"}));
    BOOST_TEST(titles(999).empty());
}

BOOST_FIXTURE_TEST_CASE(a_shared_post_is_found_under_each_author_and_names_the_first, OpenedBlog) {
    const auto ada = add_user("ada"), bob = add_user("bob");
    publish("shared", {"bob", "ada"});
    for (const auto author : {ada, bob}) {
        const auto found = blog.published_by_author(author, kNow);
        BOOST_REQUIRE(found.size() == 1u);
        BOOST_TEST(found[0].author_id == bob);
    }
}

BOOST_FIXTURE_TEST_CASE(a_list_ends_for_good_when_its_next_post_is_due, OpenedBlog) {
    const auto ada = add_user("ada"), bob = add_user("bob");
    publish("tomorrow", {"ada"}, kNow + 24h);
    publish("in a week", {"ada"}, kNow + 168h);
    const auto hard_end_of = [&](std::int64_t author) {
        const auto clock = store.clock().read();
        const CollectReads collected(clock.epoch(), clock.synced());
        titles(author);
        return collected.reads().hard_end;
    };
    BOOST_TEST((hard_end_of(ada) == kNow + 24h));
    BOOST_TEST(!hard_end_of(bob).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_change_leaves_what_it_does_not_name, OpenedBlog) {
    add_user("ada");
    const auto before = publish("title", {"ada"});
    const auto after = blog.change(before.id, {.body = "body", .tags = std::vector<std::string>{"b", "a"}}, kNow).value();
    BOOST_TEST(after.title == "title");
    BOOST_TEST(after.slug == before.slug);
    BOOST_TEST(after.body == "body");
    BOOST_TEST((after.authors == Titles{"ada"}));
    BOOST_TEST((after.tags == Titles{"a", "b"}));
    BOOST_TEST((after.updated_at > before.updated_at));
}

BOOST_FIXTURE_TEST_CASE(publishing_sets_the_time_once, OpenedBlog) {
    const auto draft = blog.create({.title = "x"}, kNow).value();
    BOOST_TEST(!draft.published_at.has_value());
    BOOST_TEST((blog.change(draft.id, {.status = PostStatus::published}, kNow + 1h).value().published_at == kNow + 1h));
    BOOST_TEST((blog.change(draft.id, {.status = PostStatus::published}, kNow + 2h).value().published_at == kNow + 1h));
    const auto scheduled = publish("scheduled", {}, kNow + 24h);
    BOOST_TEST((blog.change(scheduled.id, {.title = "still"}, kNow).value().published_at == kNow + 24h));
    BOOST_TEST((blog.change(scheduled.id, {.status = PostStatus::published}, kNow).value().published_at == kNow));
}

BOOST_FIXTURE_TEST_CASE(what_a_person_gives_wrong_is_refused_and_nothing_is_written, OpenedBlog) {
    const auto post = publish("there", {});
    const auto problem = [&](const PostChanges& changes) { return blog.create(changes, kNow).error(); };
    BOOST_TEST(problem({}) == "a post needs a title");
    BOOST_TEST(problem({.title = " "}) == "the title is empty");
    BOOST_TEST(problem({.title = "\xff"}) == "the title is not valid UTF-8");
    BOOST_TEST(problem({.title = "x", .slug = "Not a Slug"}).find("not-a-slug") != std::string::npos);
    for (const auto& name : {std::string("\xff"), std::string(151, 'x'), std::string(" x"), std::string(), std::string("a\nb")})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(problem({.title = "x", .tags = std::vector{name}}).starts_with("a tag has 1 to 150 bytes"));
    BOOST_TEST(problem({.title = "x", .tags = std::vector<std::string>(101, "x")}) == "101 tags; at most 100 are taken");
    BOOST_TEST(problem({.title = "x", .language = "\xff"}) == "the language is not valid UTF-8");
    BOOST_TEST(problem({.title = "x", .slug = "there"}) == "there is already a post with the slug there");
    BOOST_TEST(problem({.title = "x", .authors = std::vector<std::string>{"nobody"}}).starts_with("there is no user nobody"));
    BOOST_TEST(problem({.title = "x", .body = std::string((1u << 20) + 1, 'x')}).find("1048577 bytes") != std::string::npos);
    BOOST_TEST(blog.change(999, {.title = "x"}, kNow).error() == "there is no post 999");
    BOOST_TEST(blog.list().size() == 1u);
    BOOST_TEST(blog.remove(post.id));
    BOOST_TEST(!blog.remove(post.id));
}

BOOST_FIXTURE_TEST_CASE(a_slug_is_never_taken_for_an_id, OpenedBlog) {
    const auto first = publish("first", {});
    BOOST_TEST(blog.find("first")->id == first.id);
    BOOST_TEST(blog.find(first.id)->slug == "first");
    BOOST_TEST(!blog.find(std::to_string(first.id)).has_value());
    BOOST_TEST(blog.create({.title = "x", .slug = "7"}, kNow).error() == "the slug 7 is of digits alone; that is an id");
    BOOST_TEST(blog.create({.title = "2026"}, kNow).value().slug == "n-2026");
}

BOOST_FIXTURE_TEST_CASE(importing_a_folder_again_changes_nothing, OpenedBlog) {
    write_file("2026-01-01-one.md", "---\ntitle: One\nauthors: [ada, bob]\ntags: [x]\n---\nBody\n");
    write_file("2026-01-02-two.md", "---\ntitle: Two\nauthor: ada\n---\n");
    BOOST_TEST(import().added == 2);
    const auto seq = store.clock().read().synced();
    const auto again = import();
    BOOST_TEST(again.added + again.updated == 0);
    BOOST_TEST(again.unchanged == 2);
    BOOST_TEST(store.clock().read().synced() == seq);
    BOOST_TEST((blog.find("one")->authors == Titles{"ada", "bob"}));
}

BOOST_FIXTURE_TEST_CASE(a_changed_file_updates_its_post_and_keeps_its_id, OpenedBlog) {
    write_file("2026-01-01-one.md", "---\ntitle: One\n---\nBody\n");
    BOOST_TEST(import().added == 1);
    const auto before = blog.find("one");
    write_file("2026-01-01-one.md", "---\ntitle: Uno\n---\nOther\n");
    BOOST_TEST(import().updated == 1);
    const auto after = blog.find(before->id);
    BOOST_TEST(after->title == "Uno");
    BOOST_TEST(after->body == "Other\n");
    BOOST_TEST(after->slug == "one");
}

BOOST_FIXTURE_TEST_CASE(a_post_edited_in_recto_is_left_unless_forced, OpenedBlog) {
    write_file("2026-01-01-one.md", "---\ntitle: One\n---\n");
    BOOST_TEST(import().added == 1);
    blog.change(blog.find("one")->id, {.title = "Edited"}, kNow).value();
    BOOST_TEST(import().unchanged == 1);  // the file is the same

    write_file("2026-01-01-one.md", "---\ntitle: From the file\n---\n");
    const auto report = import();
    BOOST_TEST(report.updated == 0);
    BOOST_TEST((report.left == std::vector<std::string>{(posts / "2026-01-01-one.md").string()}));
    BOOST_TEST(blog.find("one")->title == "Edited");
    BOOST_TEST(import(true).updated == 1);
    BOOST_TEST(blog.find("one")->title == "From the file");
}

BOOST_FIXTURE_TEST_CASE(a_bad_file_is_reported_and_the_rest_goes_on, OpenedBlog) {
    write_file("2026-01-01-bad.md", "no front matter");
    write_file("2026-01-02-good.md", "---\ntitle: Good\n---\n");
    write_file("notes.txt", "not a post");
    std::filesystem::create_symlink("nowhere", posts / "2026-01-03-dangling.md");
    std::filesystem::create_symlink("2026-01-04-loop.md", posts / "2026-01-04-loop.md");
    const auto report = import();
    BOOST_TEST(report.added == 1);
    BOOST_REQUIRE(report.problems.size() == 3u);
    BOOST_TEST(report.problems[1] == (posts / "2026-01-03-dangling.md").string() + ":1: not a file");
    BOOST_TEST(report.problems[0] == (posts / "2026-01-01-bad.md").string() + ":1: expected front matter: a first line of ---");
    BOOST_CHECK_THROW(import_folder(store, posts / "nowhere", false, kNow), std::runtime_error);
}

BOOST_FIXTURE_TEST_CASE(the_same_slug_on_different_days_gets_a_number, OpenedBlog) {
    write_file("2026-01-01-news.md", "---\ntitle: A\n---\n");
    write_file("2026-02-01-news.md", "---\ntitle: B\n---\n");
    BOOST_TEST(import().added == 2);
    BOOST_TEST(blog.find("news")->title == "A");
    BOOST_TEST(blog.find("news-2")->title == "B");
}

BOOST_AUTO_TEST_CASE(a_time_is_printed_as_drf_prints_it) {
    BOOST_TEST(rfc3339(kNow) == "2026-11-22T00:00:00Z");
    BOOST_TEST(rfc3339(kNow + 12h + 34min + 56s + 789us) == "2026-11-22T12:34:56.000789Z");
    BOOST_TEST(rfc3339(TimePoint(-1us)) == "1969-12-31T23:59:59.999999Z");
}
