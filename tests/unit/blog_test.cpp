#define BOOST_TEST_MODULE blog
#include "blog/blog.hpp"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "blog/import.hpp"
#include "blog/post_json.hpp"
#include "tests/support/database_shell.hpp"
#include "tests/support/opened_store.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

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
    ImportReport import(bool force = false) { return import_folder(store, {.folder = posts, .force = force}, kNow); }
    ImportReport import_from(const std::filesystem::path& from, std::string source = {}) {
        return import_folder(store, {.folder = from, .source = std::move(source)}, kNow);
    }
    std::vector<std::string> slugs() {
        std::vector<std::string> found;
        for (const auto& post : blog.list()) found.push_back(post.slug);
        std::ranges::sort(found);
        return found;
    }
    void run(std::string_view sql) {
        auto transaction = store.write();
        transaction.execute(sql);
        transaction.commit();
    }
};

std::string all(const std::vector<std::string>& lines) { return join(lines, "\n"); }

std::string post_file(const std::string& title, const std::string& more = {}) { return "---\ntitle: " + title + '\n' + more + "---\n"; }

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

BOOST_FIXTURE_TEST_CASE(posts_of_one_moment_come_in_one_order_always, OpenedBlog) {
    const auto ada = add_user("ada");
    std::vector<std::int64_t> ids;
    for (const auto* title : {"one", "two", "three", "four", "five"}) ids.push_back(publish(title, {"ada"}).id);
    const Titles newest_first{"five", "four", "three", "two", "one"};
    BOOST_TEST((titles(ada) == newest_first));
    const auto listed = [&] {
        Titles found;
        for (const auto& post : blog.list()) found.push_back(post.title);
        return found;
    };
    BOOST_TEST((listed() == newest_first));
    // Rows that were written again, in another order, by a shell that gives no two of them a place.
    DatabaseShell shell(options.file);
    for (const auto id : {ids[3], ids[0], ids[4], ids[1], ids[2]}) {
        const auto post = std::to_string(id);
        shell.run("DELETE FROM post_author WHERE post = " + post + "; CREATE TEMP TABLE kept AS SELECT * FROM post WHERE id = " + post +
                  "; DELETE FROM post WHERE id = " + post + "; INSERT INTO post SELECT * FROM kept; DROP TABLE kept; " +
                  "INSERT INTO post_author VALUES (" + post + ", " + std::to_string(ada) + ", 0)");
    }
    BOOST_TEST((titles(ada) == newest_first));
    BOOST_TEST((listed() == newest_first));
}

BOOST_FIXTURE_TEST_CASE(authors_with_one_position_come_in_one_order_always, OpenedBlog) {
    const auto ada = add_user("ada"), bob = add_user("bob");
    const auto id = publish("shared", {"bob", "ada"}).id;
    for (const auto* order : {"SELECT * FROM kept ORDER BY user", "SELECT * FROM kept ORDER BY user DESC"}) {
        DatabaseShell(options.file)
            .run(std::string("UPDATE post_author SET position = 0; CREATE TEMP TABLE kept AS SELECT * FROM post_author; "
                             "DELETE FROM post_author; INSERT INTO post_author ") +
                 order);
        BOOST_TEST((blog.find(id)->authors == std::vector<std::string>{"ada", "bob"}));
        BOOST_TEST((blog.published_by_author(bob, kNow).at(0).author_id == ada));
    }
}

BOOST_FIXTURE_TEST_CASE(a_shared_post_is_found_under_each_author_and_names_the_first, OpenedBlog) {
    const auto ada = add_user("ada"), bob = add_user("bob");
    publish("shared", {"bob", "ada"});
    for (const auto author : {ada, bob}) {
        const auto found = blog.published_by_author(author, kNow);
        BOOST_REQUIRE(found.size() == 1u);
        BOOST_TEST((found[0].author_id == bob));
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
    BOOST_TEST(problem({.title = "x", .tags = std::vector<std::string>(1001, "x")}) == "1001 tags; at most 1000 are taken");
    BOOST_TEST(problem({.title = "x", .authors = std::vector<std::string>(101, "x")}) == "101 authors; at most 100 are taken");
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
    BOOST_TEST(report.problems[0] == (posts / "2026-01-01-bad.md").string() + ":1: expected front matter: a first line of ---, +++ or {");
    BOOST_CHECK_THROW((void)import_from(posts / "nowhere"), std::runtime_error);
    BOOST_TEST(report.reasons.at("no author") == 1);
    BOOST_TEST(report.reasons.at("not taken in: expected front matter") == 1);
    BOOST_TEST(report.reasons.at("not taken in: not a file") == 1);
}

BOOST_FIXTURE_TEST_CASE(the_same_slug_on_different_days_gets_a_number, OpenedBlog) {
    write_file("2026-01-01-news.md", "---\ntitle: A\n---\n");
    write_file("2026-02-01-news.md", "---\ntitle: B\n---\n");
    BOOST_TEST(import().added == 2);
    BOOST_TEST(blog.find("news")->title == "A");
    BOOST_TEST(blog.find("news-2")->title == "B");
}

BOOST_FIXTURE_TEST_CASE(two_folders_with_the_same_paths_are_two_sources, OpenedBlog) {
    const auto a = folder / "a", b = folder / "b";
    for (const auto& path : {a, b}) std::filesystem::create_directories(path);
    replace_file(a / "2020-01-02-hello.md", post_file("From A"));
    replace_file(b / "2020-01-02-hello.md", post_file("From B"));
    BOOST_TEST(import_from(a).added == 1);
    BOOST_TEST(import_from(b).added == 1);
    BOOST_TEST(blog.find("hello")->title == "From A");
    BOOST_TEST(blog.find("hello-2")->title == "From B");
    for (const auto& path : {a, b, a / ".." / "a"}) {
        const auto again = import_from(path);
        BOOST_TEST(again.unchanged == 1);
        BOOST_TEST(again.moved_from.empty());
    }
    replace_file(b / "2020-01-02-hello.md", post_file("From B, later"));
    const auto changed = import_from(b);
    BOOST_TEST(changed.updated == 1);
    BOOST_TEST(all(changed.notes).find("hello.md: replaced hello-2; no author") != std::string::npos, all(changed.notes));
    BOOST_TEST((slugs() == Titles{"hello", "hello-2"}));
    BOOST_TEST(blog.find("hello")->title == "From A");
}

BOOST_FIXTURE_TEST_CASE(a_folder_that_was_moved_is_the_same_source, OpenedBlog) {
    for (const auto* name : {"1", "2", "3"}) write_file("2026-01-0" + std::string(name) + "-x.md", post_file(name));
    BOOST_TEST(import().added == 3);
    const auto moved = folder / "moved";
    std::filesystem::rename(posts, moved);
    replace_file(moved / "2026-01-03-x.md", post_file("changed"));
    replace_file(moved / "2026-01-04-x.md", post_file("new"));
    const auto report = import_from(moved);
    BOOST_TEST(report.moved_from == posts.string());
    BOOST_TEST(report.unchanged == 2);
    BOOST_TEST(report.updated == 1);
    BOOST_TEST(report.added == 1);
    BOOST_TEST(import_from(moved).unchanged == 4);

    const auto copy = folder / "copy";  // half of the paths are equal: another source
    std::filesystem::create_directories(copy);
    for (const auto* name : {"2026-01-01-x.md", "2026-01-02-x.md"}) std::filesystem::copy(moved / name, copy / name);
    const auto other = import_from(copy);
    BOOST_TEST(other.added == 2);
    BOOST_TEST(other.moved_from.empty());
}

BOOST_FIXTURE_TEST_CASE(a_source_may_have_a_name, OpenedBlog) {
    write_file("2026-01-01-x.md", post_file("one"));
    BOOST_TEST(import_from(posts, "notes").added == 1);
    write_file("2026-01-01-x.md", post_file("two"));
    BOOST_TEST(import_from(posts, "notes").updated == 1);
    write_file("2026-01-01-x.md", post_file("three"));
    const auto other = import_from(posts, "other");  // nothing is equal
    BOOST_TEST(other.added == 1);
    BOOST_TEST(other.source == "other");
    BOOST_TEST((slugs() == Titles{"x", "x-2"}));
}

BOOST_FIXTURE_TEST_CASE(a_folder_above_or_below_has_the_same_posts, OpenedBlog) {
    std::filesystem::create_directories(posts / "below");
    replace_file(posts / "below" / "2026-01-01-x.md", post_file("one"));
    BOOST_TEST(import().added == 1);
    BOOST_TEST(import_from(posts / "below").unchanged == 1);
    BOOST_TEST(import_from(folder.path()).unchanged == 1);
}

// What the first version's databases have: a path and no source.
BOOST_FIXTURE_TEST_CASE(posts_of_unknown_source_are_adopted_by_their_folder, OpenedBlog) {
    for (const auto* name : {"1", "2", "3"}) write_file("2026-01-0" + std::string(name) + "-x.md", post_file(name));
    BOOST_TEST(import().added == 3);
    run("UPDATE post SET source = ''");
    write_file("2026-01-03-x.md", post_file("changed"));
    const auto other = folder / "other";
    std::filesystem::create_directories(other);
    replace_file(other / "2026-01-01-x.md", post_file("of another folder"));
    BOOST_TEST(import_from(other).added == 1);
    const auto report = import();
    BOOST_TEST(report.added == 0);
    BOOST_TEST(report.unchanged == 2);
    BOOST_TEST(report.updated == 1);
    BOOST_TEST(import().unchanged == 3);
}

BOOST_FIXTURE_TEST_CASE(a_public_post_whose_file_says_otherwise_is_taken_back, OpenedBlog) {
    write_file("2026-01-01-leaked.md", post_file("Leaked", "published: no\n"));
    write_file("2026-01-02-expires.md", post_file("Expires", "expiryDate: 2026-11-23\n"));
    BOOST_TEST(import().added == 2);
    BOOST_TEST((blog.find("leaked")->status == PostStatus::draft));
    run("UPDATE post SET status = 'published' WHERE slug = 'leaked'");  // as an older version imported it
    const auto report = import_folder(store, {.folder = posts}, kNow + 48h);
    BOOST_TEST(report.updated == 2);
    BOOST_TEST((blog.find("leaked")->status == PostStatus::draft));
    BOOST_TEST((blog.find("expires")->status == PostStatus::draft));
    BOOST_TEST(import_folder(store, {.folder = posts}, kNow + 48h).unchanged == 2);

    blog.change(blog.find("leaked")->id, {.status = PostStatus::published}, kNow + 49h).value();  // by hand: it stays
    BOOST_TEST(import_folder(store, {.folder = posts}, kNow + 50h).unchanged == 2);
    BOOST_TEST((blog.find("leaked")->status == PostStatus::published));
    BOOST_TEST(import_folder(store, {.folder = posts, .force = true}, kNow + 51h).updated == 1);
    BOOST_TEST((blog.find("leaked")->status == PostStatus::draft));
}

BOOST_FIXTURE_TEST_CASE(a_dry_run_reports_and_writes_nothing, OpenedBlog) {
    for (int i = 0; i < 60; ++i) write_file("2026-01-01-" + std::to_string(100 + i) + ".md", post_file("Same", "slug: same\ndraft: yes\n"));
    const auto seq = store.clock().read().synced();
    const auto dry = import_folder(store, {.folder = posts, .dry_run = true}, kNow);
    BOOST_TEST(dry.added == 60);
    BOOST_TEST(blog.list().empty());
    BOOST_TEST(store.clock().read().synced() == seq);
    std::size_t calls = 0, last = 0;
    const auto real =
        import_folder(store, {.folder = posts, .progress = [&](std::size_t done, std::size_t) { ++calls, last = done; }}, kNow);
    BOOST_TEST((real.notes == dry.notes));
    BOOST_TEST((real.reasons == dry.reasons));
    BOOST_TEST(real.reasons.at("a draft: the file says that it isn't public") == 60);
    BOOST_TEST(calls == 3u);
    BOOST_TEST(last == 60u);
    BOOST_TEST(blog.list().size() == 60u);
}

BOOST_FIXTURE_TEST_CASE(an_address_stays_while_its_wish_does, OpenedBlog) {
    write_file("2026-01-01-x.md", post_file("one"));
    write_file("2026-01-02-x.md", post_file("two"));
    write_file("\U0001F600.md", post_file("Smile", "date: 2026-01-01\n"));
    BOOST_TEST(import().added == 3);
    BOOST_TEST((slugs() == Titles{"smile", "x", "x-2"}));
    BOOST_TEST(blog.remove(blog.find("x")->id));
    write_file("2026-01-02-x.md", post_file("two, later"));
    write_file("\U0001F600.md", post_file("Grin", "date: 2026-01-01\n"));
    (void)import();
    BOOST_TEST(blog.find("x-2")->title == "two, later");
    BOOST_TEST(blog.find("smile")->title == "Grin");
    write_file("2026-01-02-x.md", post_file("two", "slug: x-2-y\n"));
    const auto report = import();
    BOOST_TEST(blog.find("x-2-y")->title == "two");
    BOOST_TEST(all(report.notes).find("replaced x-2; its slug is now x-2-y") != std::string::npos, all(report.notes));
}

BOOST_FIXTURE_TEST_CASE(the_report_names_what_was_not_understood_or_left_out, OpenedBlog) {
    write_file("2026-01-01-x.md", post_file("x", "tags: {a: 1}\nhero: y\nlayout: post\n"));
    write_file("2026-01-02-y.md", post_file("y", "layout: post\nauthor: ann\n"));
    write_file("2026-01-03-numbers.md",
               "+++\ntitle = \"n\"\nauthor = \"ann\"\na = nan\nb = inf\nc = \"\\u0000\"\n+++\n");  // valid JSON all the same
    write_file("page.html", "<p>");
    write_file("notes.txt", "x");
    std::filesystem::create_directories(folder / "elsewhere");
    std::filesystem::create_directory_symlink(folder / "elsewhere", posts / "link");
    const auto report = import();
    BOOST_REQUIRE(report.notes.size() == 1u);
    BOOST_TEST(report.notes[0] == (posts / "2026-01-01-x.md").string() + ": no author; not understood: tags: {\"a\":\"1\"}");
    BOOST_TEST(report.unused.at("layout").files == 2);
    BOOST_TEST(report.unused.at("layout").example == "2026-01-01-x.md");
    BOOST_TEST(report.unused.at("hero").files == 1);
    BOOST_TEST((report.others == std::map<std::string, int>{{".html", 1}}));
    BOOST_TEST(all(report.problems) == (posts / "link").string() + ": a link to a folder; it isn't followed");
    BOOST_TEST(report.reasons.at("not understood") == 1);
}

BOOST_FIXTURE_TEST_CASE(what_the_file_says_of_its_last_change_is_kept, OpenedBlog) {
    write_file("2026-01-01-x.md", post_file("one", "lastmod: 2026-02-03\n"));
    (void)import();
    BOOST_TEST(rfc3339(blog.find("x")->updated_at) == "2026-02-03T00:00:00Z");
    write_file("2026-01-01-x.md", post_file("two", "lastmod: 2026-02-01\n"));
    BOOST_TEST(import().updated == 1);
    BOOST_TEST(rfc3339(blog.find("x")->updated_at) == "2026-02-03T00:00:00.000001Z");  // two texts have two dates
    BOOST_TEST(import().unchanged == 1);
    write_file("2026-01-01-x.md", post_file("three", "lastmod: 2026-02-03\n"));
    BOOST_TEST(import().updated == 1);  // the import itself was no edit
}

BOOST_FIXTURE_TEST_CASE(texts_equal_but_for_unicodes_form_are_one_name, OpenedBlog) {
    const auto jose = add_user("Jos\u00e9");
    PostChanges content{.title = "x", .slug = "cafe\u0301", .authors = Titles{"Jose\u0301"}, .tags = Titles{"e\u0301", "\u00e9"}};
    const auto post = blog.create(content, kNow).value();
    BOOST_TEST((post.authors == Titles{"Jos\u00e9"}));
    BOOST_TEST((post.tags == Titles{"\u00e9"}));
    BOOST_TEST(post.slug == "caf\u00e9");
    BOOST_TEST(blog.find("cafe\u0301")->id == post.id);
    BOOST_TEST(blog.change(post.id, {.slug = "cafe\u0301"}, kNow).value().slug == "caf\u00e9");
    write_file("2026-01-01-y.md", post_file("y", "author: \"Jose\u0301\"\n"));
    BOOST_TEST(import().added == 1);
    BOOST_TEST((titles(jose) == Titles{"y"}));
}

BOOST_FIXTURE_TEST_CASE(tags_of_programming_languages_have_slugs_of_their_own, OpenedBlog) {
    for (const Titles& names : {Titles{"C", "C++", "C#"}, Titles{"F#", "F++", "F"}})
        (void)blog.create({.title = "x", .tags = names}, kNow).value();
    auto snapshot = store.read();
    Titles found;
    for (auto rows = snapshot.query("SELECT name || ' ' || slug FROM tag ORDER BY name"); rows.next();) found.emplace_back(rows.text(0));
    BOOST_TEST((found == Titles{"C c", "C# c-sharp", "C++ cpp", "F f", "F# f-sharp", "F++ fpp"}));
}

BOOST_FIXTURE_TEST_CASE(a_post_without_authors_is_one, OpenedBlog) {
    const auto post = publish("alone", {});
    BOOST_TEST(blog.find(post.id)->authors.empty());
    PublishedPost shown;
    shown.title = "t";
    const auto again = [&] { return json::value_to<PublishedPost>(json::value_from(shown)); };
    BOOST_TEST(!again().author_id.has_value());
    BOOST_TEST(again().title == "t");
    shown.author_id = 7;
    BOOST_TEST((again().author_id == 7));
}

BOOST_AUTO_TEST_CASE(a_time_is_printed_as_drf_prints_it) {
    BOOST_TEST(rfc3339(kNow) == "2026-11-22T00:00:00Z");
    BOOST_TEST(rfc3339(kNow + 12h + 34min + 56s + 789us) == "2026-11-22T12:34:56.000789Z");
    BOOST_TEST(rfc3339(TimePoint(-1us)) == "1969-12-31T23:59:59.999999Z");
}
