// What clients see: real nginx, memcached, two workers and the operator's program.
#define BOOST_TEST_MODULE api
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>

#include "tests/support/blogs.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/post_files.hpp"
#include "tests/support/service.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/tokens.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::string_view kNoLimits = "[throttle]\nanon = 60000/day\nuser = 60000/day\nblog_limit = 60000/day\n";
constexpr std::string_view kPermitted = R"({"status":"request was permitted"})";

void write_sample_posts(const fs::path& folder) {
    write_post(folder, "first",
               {.title = "First",
                .authors = {"Ada"},
                .date = "2026-01-01 10:00:00",
                .body = "The *first* one.\n",
                .more = "excerpt: In short.\n"});
    write_post(folder, "shared", {.title = "\"Shared & quoted\"", .authors = {"Bob", "Ada"}, .date = "2026-03-01 10:00:00.5"});
    write_post(folder, "second", {.title = "Second", .authors = {"Ada"}, .date = "2026-02-01 10:00:00"});
    write_post(folder, "draft", {.title = "Draft", .authors = {"Ada"}, .date = "2026-02-02", .more = "draft: true\n"});
    write_post(folder, "future", {.title = "Future", .authors = {"Ada"}, .date = "2099-01-01"});
}

// What a token or a user's id is printed as, without the end of the line.
std::string word(const CommandResult& result) { return split_list(done(result), ' ').at(0); }

std::string author_id(const Service& service, const std::string& name) {
    return std::string(trim(done(service.sqlite("SELECT id FROM user WHERE name = '" + name + "';"))));
}

// A service with the sample posts and no limits, for all the cases that change nothing which another one looks at.
struct Sample {
    Service service{{.workers = 2, .ini = std::string(kNoLimits)}};
    std::string ada, bob;

    Sample() {
        write_sample_posts(service.folder() / "posts");
        (void)done(service.recto({"import", service.folder() / "posts"}));
        ada = author_id(service, "Ada");
        bob = author_id(service, "Bob");
    }

    static Sample& the() {
        static Sample sample;
        return sample;
    }

    [[nodiscard]] std::string of_ada() const { return "/api/blogs?author_id=" + ada; }
    HttpAnswer get(const std::string& target, const HttpHeaders& headers = {}) const { return service.client().get(target, headers); }
};

std::vector<std::string> lines_with(const std::string& text, std::initializer_list<std::string> all) {
    auto lines = split_list(text, '\n');
    std::erase_if(lines, [&](const std::string& line) {
        return !std::ranges::all_of(all, [&](const auto& part) { return line.find(part) != std::string::npos; });
    });
    return lines;
}

// The event of an answer; it is logged when the client has its answer already.
std::vector<std::string> events_of(const Service& service, const std::string& event, const HttpAnswer& answer) {
    std::vector<std::string> found;
    (void)eventually([&] {
        found = lines_with(service.log(), {"\"ev\":\"" + event + '"', "\"txid\":\"" + answer.header("x-request-id") + '"'});
        return !found.empty();
    });
    return found;
}

using Words = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(blogs_by_author)

BOOST_AUTO_TEST_CASE(an_author_s_posts_come_newest_first_with_their_fields) {
    auto& sample = Sample::the();
    const auto answer = sample.get(sample.of_ada());
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("content-type") == "application/json");
    BOOST_TEST(answer.header("allow") == "GET, HEAD, OPTIONS");
    BOOST_TEST(answer.header("cache-control") == "no-cache");
    BOOST_TEST(titles_in(answer.body) == (Words{"Shared & quoted", "Second", "First"}), boost::test_tools::per_element());

    const auto blogs = blogs_in(answer.body);
    Words names;
    for (const auto& [name, value] : blogs[2].as_object()) names.emplace_back(name);
    BOOST_TEST(names == (Words{"id", "title", "slug", "author_id", "excerpt", "body", "published_at", "updated_at"}),
               boost::test_tools::per_element());
    BOOST_TEST(blogs[2].at("id").is_int64());
    BOOST_TEST(blogs[2].at("slug").as_string() == "first");
    BOOST_TEST(blogs[2].at("author_id").as_int64() == std::stoll(sample.ada));
    BOOST_TEST(blogs[2].at("excerpt").as_string() == "In short.");
    BOOST_TEST(blogs[2].at("body").as_string() == "The *first* one.\n");
    BOOST_TEST(blogs[2].at("published_at").as_string() == "2026-01-01T10:00:00Z");
    BOOST_TEST(blogs[0].at("published_at").as_string() == "2026-03-01T10:00:00.500000Z");
}

BOOST_AUTO_TEST_CASE(a_shared_post_is_found_under_each_author_and_names_the_first) {
    auto& sample = Sample::the();
    const auto of_bob = sample.get("/api/blogs?author_id=" + sample.bob);
    BOOST_TEST(titles_in(of_bob.body) == (Words{"Shared & quoted"}), boost::test_tools::per_element());
    for (const auto& answer : {of_bob, sample.get(sample.of_ada())})
        BOOST_TEST(blogs_in(answer.body).at(0).at("author_id").as_int64() == std::stoll(sample.bob));
}

BOOST_AUTO_TEST_CASE(the_second_answer_is_a_hit_and_asks_no_database) {
    auto& sample = Sample::the();
    (void)done(sample.service.recto({"cache", "invalidate", "post:author=" + sample.ada}));
    const auto before = sample.service.lines_with("Fetching blogs from database");
    const auto first = sample.get(sample.of_ada());
    BOOST_TEST(first.header("cache-status").ends_with("; stored"));
    for (int i = 0; i < 8; ++i) {  // from either worker
        const auto next = sample.get(sample.of_ada());
        BOOST_TEST(next.header("cache-status").starts_with("recto; hit"));
        BOOST_TEST(next.body == first.body);
        BOOST_TEST(next.header("etag") == first.header("etag"));
    }
    BOOST_TEST(sample.service.lines_with("Fetching blogs from database") == before + 1);
}

BOOST_AUTO_TEST_CASE(each_answer_logs_one_event_under_the_id_that_nginx_gave) {
    auto& sample = Sample::the();
    for (const std::string cache : {"miss", "hit"}) {
        if (cache == "miss") (void)done(sample.service.recto({"cache", "invalidate", "post:author=" + sample.ada}));
        const auto answer = sample.get(sample.of_ada());
        BOOST_TEST_CONTEXT(cache) {
            const auto id = answer.header("x-request-id");
            BOOST_TEST(id.size() == 32u);
            const auto events = events_of(sample.service, "get_blogs_by_author", answer);
            BOOST_TEST_REQUIRE(events.size() == 1u);
            const auto text = events[0].substr(events[0].find('{'));
            BOOST_TEST(text == R"({"ev":"get_blogs_by_author","data":{"author_id":")" + sample.ada + R"(","status":200,"cache":")" + cache +
                                   R"("},"txid":")" + id + "\"}");  // and no uid: nobody is logged in
            const auto access = sample.service.folder() / "logs/nginx-access.log";
            BOOST_TEST(eventually([&] { return lines_with(read_file(access), {"\"request_id\":\"" + id + '"'}).size() == 1; }));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_message_of_a_miss_has_the_id_too) {
    auto& sample = Sample::the();
    (void)done(sample.service.recto({"cache", "invalidate", "post:author=" + sample.ada}));
    const auto id = sample.get(sample.of_ada()).header("x-request-id");
    BOOST_TEST(lines_with(sample.service.log(), {"Fetching blogs from database", "txid=" + id}).size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_client_cannot_choose_its_request_id) {
    auto& sample = Sample::the();
    const std::string wish = "0123456789abcdef0123456789abcdef";
    const auto id = sample.get(sample.of_ada(), {{"X-Request-Id", wish}}).header("x-request-id");
    BOOST_TEST(id.size() == 32u);
    BOOST_TEST(id != wish);
    BOOST_TEST(lines_with(sample.service.log(), {wish}).empty());
}

BOOST_AUTO_TEST_CASE(head_has_the_headers_of_get_and_no_body) {
    auto& sample = Sample::the();
    const auto get = sample.get(sample.of_ada());
    auto client = sample.service.client();
    const auto head = client.request("HEAD", sample.of_ada());
    BOOST_TEST(head.status == 200);
    BOOST_TEST(head.body.empty());
    for (const auto* name : {"content-type", "etag", "cache-control", "allow"}) BOOST_TEST(head.header(name) == get.header(name), name);
    BOOST_TEST(head.header("content-length") == std::to_string(get.body.size()));
    BOOST_TEST(client.get(sample.of_ada()).body == get.body);  // nothing was left on the connection
}

BOOST_AUTO_TEST_CASE(who_has_the_answer_gets_304_without_a_body) {
    auto& sample = Sample::the();
    const auto etag = sample.get(sample.of_ada()).header("etag");
    auto client = sample.service.client();
    for (const auto& condition : {etag, "W/" + etag, "\"other\", " + etag, std::string("*")}) {
        BOOST_TEST_CONTEXT(condition) {
            const auto answer = client.get(sample.of_ada(), {{"If-None-Match", condition}});
            BOOST_TEST(answer.status == 304);
            BOOST_TEST(answer.body.empty());
            BOOST_TEST(answer.header("etag") == etag);
            BOOST_TEST(!answer.header("x-request-id").empty());
        }
    }
    BOOST_TEST(client.get(sample.of_ada(), {{"If-None-Match", "\"other\""}}).status == 200);
}

BOOST_AUTO_TEST_CASE(a_304_is_not_given_to_who_has_the_former_answer) {
    auto& sample = Sample::the();
    (void)done(sample.service.recto({"post", "set", "carols", "--title", "Before", "--author", "Bob", "--status", "draft"}));
    const auto target = "/api/blogs?author_id=" + sample.bob;
    const auto former = sample.get(target).header("etag");
    (void)done(sample.service.recto({"post", "publish", "carols"}));
    BOOST_TEST(sample.get(target, {{"If-None-Match", former}}).status == 200);
    (void)done(sample.service.recto({"post", "delete", "carols"}));
}

BOOST_AUTO_TEST_CASE(unknown_parameters_lead_to_the_same_entry) {
    auto& sample = Sample::the();
    const auto etag = sample.get(sample.of_ada()).header("etag");
    for (const auto& target : {sample.of_ada() + "&utm_source=x", "/api/blogs?x=1&author_id=" + sample.ada,
                               "/api/blogs/?author_id=" + sample.ada, "/api/blogs?author_id=999&author_id=" + sample.ada,
                               "/api//blogs?author%5fid=" + sample.ada, "/api/blogs?author_id=0" + sample.ada}) {
        BOOST_TEST_CONTEXT(target) {
            const auto answer = sample.get(target);
            BOOST_TEST(answer.header("cache-status").starts_with("recto; hit"));
            BOOST_TEST(answer.header("etag") == etag);
        }
    }
}

// As nginx hands them on, whichever version it is. Of If-None-Match and Host it takes only one itself.
BOOST_AUTO_TEST_CASE(a_header_in_several_lines_counts_as_a_whole) {
    auto& sample = Sample::the();
    auto client = sample.service.client();
    const auto coding = [&](const HttpLines& lines) { return client.get_with_lines(sample.of_ada(), lines).header("content-encoding"); };
    BOOST_TEST(coding({{"Accept-Encoding", "br"}}) == "");
    BOOST_TEST(coding({{"Accept-Encoding", "br"}, {"accept-encoding", "gzip"}}) == "gzip");
    BOOST_TEST(coding({{"Accept-Encoding", "gzip"}, {"Accept-Encoding", "br"}}) == "gzip");
    BOOST_TEST(coding({{"Accept-Encoding", "*"}, {"Accept-Encoding", "gzip;q=0"}}) == "");
    for (const auto* name : {"Authorization", "Host", "If-None-Match"})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(client.get_with_lines(sample.of_ada(), {{name, "a"}, {name, "b"}}).status == 400);
}

BOOST_AUTO_TEST_CASE(conditions_of_every_kind_come_through_nginx) {
    auto& sample = Sample::the();
    const auto etag = sample.get(sample.of_ada()).header("etag");
    const auto status = [&](const HttpHeaders& headers) { return sample.get(sample.of_ada(), headers).status; };
    BOOST_TEST(status({{"If-Match", "\"x\", " + etag}}) == 200);
    BOOST_TEST(status({{"If-Match", "\"x\""}, {"If-None-Match", etag}}) == 412);
    BOOST_TEST(status({{"If-Match", etag}, {"If-None-Match", "\"x\", W/" + etag}}) == 304);
    BOOST_TEST(sample.get("/healthz", {{"If-Match", "\"x\""}}).status == 412);
    BOOST_TEST(sample.get("/nowhere", {{"If-Match", "\"x\""}}).status == 404);
    for (const auto* target : {"/api/blogs", "/api/blogs?author_id=999999", "/api/blogs?author_id=x"})
        BOOST_TEST_CONTEXT(target) BOOST_TEST(sample.get(target).header("vary") == "accept-encoding");
}

BOOST_AUTO_TEST_CASE(a_missing_or_bad_author_id_is_the_client_s_mistake) {
    auto& sample = Sample::the();
    BOOST_TEST(sample.get("/api/blogs").body == R"({"author_id":["This field is required."]})");
    for (const auto* value : {"", "x", "1x", "1.5", "+1", "%201", "99999999999999999999", "1%00", "%FF"}) {
        BOOST_TEST_CONTEXT(value) {
            const auto answer = sample.get(std::string("/api/blogs?author_id=") + value);
            BOOST_TEST(answer.status == 400);
            BOOST_TEST(answer.body == R"({"author_id":["A valid integer is required."]})");
            BOOST_TEST(answer.header("cache-status").find("stored") == std::string::npos);
        }
    }
    BOOST_TEST(sample.get("/api/blogs").status == 400);
}

BOOST_AUTO_TEST_CASE(an_unknown_author_has_no_posts) {
    for (const auto* id : {"999999", "0", "-1"}) {
        const auto answer = Sample::the().get(std::string("/api/blogs?author_id=") + id);
        BOOST_TEST(answer.status == 200);
        BOOST_TEST(answer.body == R"({"blogs":[]})");
    }
}

BOOST_AUTO_TEST_CASE(a_scheduled_post_appears_when_it_is_due_although_the_answer_was_cached) {
    auto& sample = Sample::the();
    const auto& service = sample.service;
    const auto id = word(service.recto({"user", "add", "Sam"}));
    (void)done(service.recto({"post", "set", "later", "--title", "Later", "--author", "Sam"}));
    // As shells do: 2 s from now by the database's own clock.
    (void)done(
        service.sqlite("UPDATE post SET status = 'published', published_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) "
                       "* 1000 + 2000000 WHERE slug = 'later';"));
    const auto due = std::chrono::system_clock::time_point(
        std::chrono::microseconds(std::stoll(done(service.sqlite("SELECT published_at FROM post WHERE slug = 'later';")))));

    auto client = service.client();
    const auto target = "/api/blogs?author_id=" + id;
    bool was_hit_before = false;
    BOOST_TEST(eventually([&] {
        const auto answer = client.get(target);
        if (titles_in(answer.body).size() == 1) return true;
        was_hit_before = was_hit_before || answer.header("cache-status").starts_with("recto; hit");
        return false;
    }));
    const auto now = std::chrono::system_clock::now();
    BOOST_TEST(was_hit_before);
    BOOST_TEST((now >= due));
    BOOST_TEST((now < due + 1s));  // a loaded machine; the answer is right from `due` on
}

BOOST_AUTO_TEST_CASE(large_answers_come_whole_from_the_database_and_from_the_cache) {
    auto& sample = Sample::the();
    for (const unsigned count : {10u, 20u, 60u}) {  // 60: too large for one item of memcached
        const auto name = "Large" + std::to_string(count);
        Words bodies;
        for (unsigned i = 0; i < count; ++i) {
            bodies.insert(bodies.begin(), long_text(30'000, i));
            write_post(sample.service.folder() / name, name + '-' + std::to_string(i),
                       {.title = name,
                        .authors = {name},
                        .date = "2026-01-01 00:" + std::to_string(i / 10) + std::to_string(i % 10) + ":00",
                        .body = bodies[0]});
        }
        (void)done(sample.service.recto({"import", sample.service.folder() / name}));
        const auto target = "/api/blogs?author_id=" + author_id(sample.service, name);
        for (int i = 0; i < 4; ++i) {
            const auto blogs = blogs_in(sample.get(target).body);
            BOOST_TEST_REQUIRE(blogs.size() == bodies.size());
            for (std::size_t n = 0; n < bodies.size(); ++n)
                BOOST_TEST((blogs[n].at("body").as_string() == bodies[n]), count << " posts, " << n);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(routing)

BOOST_AUTO_TEST_CASE(an_unknown_path_is_not_found) {
    for (const auto* path : {"/", "/api", "/api/blog3", "/api/blogs/1", "/api/blogs//x", "/API/blogs", "/api/blogs%00"}) {
        BOOST_TEST_CONTEXT(path) {
            const auto answer = Sample::the().get(path);
            if (answer.status == 400) continue;  // nginx itself refuses a zero byte
            BOOST_TEST(answer.status == 404);
            BOOST_TEST(answer.body == R"({"detail":"Not found."})");
            BOOST_TEST(answer.header("x-request-id").size() == 32u);
        }
    }
}

BOOST_AUTO_TEST_CASE(another_method_is_refused_with_those_that_are_allowed) {
    for (const std::string method : {"POST", "PUT", "PATCH", "DELETE"}) {
        for (const auto& body : {std::string(), std::string(100'000, 'x')}) {
            BOOST_TEST_CONTEXT(method << ' ' << body.size()) {
                const auto answer = Sample::the().service.client().request(method, Sample::the().of_ada(), {}, body);
                BOOST_TEST(answer.status == 405);
                BOOST_TEST(answer.body == R"({"detail":"Method \")" + method + R"(\" not allowed."})");
                BOOST_TEST(answer.header("allow") == "GET, HEAD, OPTIONS");
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(options_describes_the_view) {
    const auto answer = Sample::the().service.client().request("OPTIONS", "/api/blogs");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("allow") == "GET, HEAD, OPTIONS");
    BOOST_TEST(json::parse(answer.body).at("name").as_string() == "blogs.by_author");
}

BOOST_AUTO_TEST_CASE(a_body_over_the_limit_is_too_large) {
    const auto answer = Sample::the().service.client().request("POST", "/api/blogs", {}, std::string(2u << 20, 'x'));
    BOOST_TEST(answer.status == 413);
}

BOOST_AUTO_TEST_CASE(a_slash_at_the_end_makes_no_difference) {
    auto& sample = Sample::the();
    BOOST_TEST(sample.get("/api/blogs/?author_id=" + sample.ada).body == sample.get(sample.of_ada()).body);
    for (const auto* path : {"/api/blog/", "/api/blog/detail/", "/api/blog2/"}) BOOST_TEST(sample.get(path).body == kPermitted);
}

BOOST_AUTO_TEST_CASE(the_status_views_permit_and_log_their_own_events) {
    auto& sample = Sample::the();
    const std::pair<const char*, const char*> views[] = {
        {"/api/blog", "get_blog"}, {"/api/blog/detail", "get_blog_detail"}, {"/api/blog2", "get_blog2"}};
    for (const auto& [path, event] : views) {
        BOOST_TEST_CONTEXT(path) {
            const auto answer = sample.get(path);
            BOOST_TEST(answer.status == 200);
            BOOST_TEST(answer.body == kPermitted);
            BOOST_TEST(answer.header("content-type") == "application/json");
            BOOST_TEST(events_of(sample.service, event, answer).size() == 1u);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(authentication)

BOOST_AUTO_TEST_CASE(bad_credentials_are_refused_with_what_is_wrong) {
    const std::pair<const char*, const char*> cases[] = {
        {"Token", "Invalid token header. No credentials provided."},
        {"Token a b", "Invalid token header. Token string should not contain spaces."},
        {"Token \xff\xfe", "Invalid token header. Token string should not contain invalid characters."},
        {"Token 0123456789012345678901234567890123456789", "Invalid token."},
        {"token nonsense", "Invalid token."},
    };
    for (const auto& [authorization, text] : cases) {
        BOOST_TEST_CONTEXT(authorization) {
            for (const std::string& path : {Sample::the().of_ada(), std::string("/api/blog")}) {
                const auto answer = Sample::the().get(path, {{"Authorization", authorization}});
                BOOST_TEST(answer.status == 401);
                BOOST_TEST(answer.body == std::string(R"({"detail":")") + text + "\"}");
                BOOST_TEST(answer.header("www-authenticate") == "Token");
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(other_schemes_are_not_ours) {
    BOOST_TEST(Sample::the().get("/api/blog", {{"Authorization", "Basic YTpi"}}).status == 200);
}

BOOST_AUTO_TEST_CASE(a_token_s_user_is_in_the_log) {
    auto& sample = Sample::the();
    const auto id = word(sample.service.recto({"user", "add", "Uma"}));
    const auto token = new_token(sample.service, "Uma");
    for (int i = 0; i < 3; ++i) {
        const auto answer = sample.get(sample.of_ada(), with_token(token));
        BOOST_TEST(answer.status == 200);
        const auto events = events_of(sample.service, "get_blogs_by_author", answer);
        BOOST_TEST_REQUIRE(events.size() == 1u);
        BOOST_TEST((events[0].ends_with(",\"uid\":" + id + '}') || events[0].ends_with(",\"uid\":\"" + id + "\"}")), events[0]);
        BOOST_TEST(events[0].find(token) == std::string::npos);
    }
    const auto anonymous = events_of(sample.service, "get_blogs_by_author", sample.get(sample.of_ada()));
    BOOST_TEST_REQUIRE(anonymous.size() == 1u);
    BOOST_TEST(anonymous[0].find("uid") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_revoked_token_is_refused_in_the_next_answer) {
    auto& sample = Sample::the();
    const auto& service = sample.service;
    (void)done(service.recto({"user", "add", "Rex"}));
    for (int round = 0; round < 5; ++round) {
        const auto token = new_token(service, "Rex");
        for (int i = 0; i < 6; ++i) BOOST_TEST(sample.get("/api/blog", with_token(token)).status == 200);  // both workers know it
        const auto id = std::string(trim(done(service.sqlite("SELECT max(id) FROM token;"))));
        (void)done(service.recto({"token", "revoke", id}));
        for (int i = 0; i < 6; ++i) BOOST_TEST(sample.get("/api/blog", with_token(token)).status == 401);
    }
}

BOOST_AUTO_TEST_CASE(a_token_made_after_it_was_refused_is_good_at_once) {
    auto& sample = Sample::the();
    (void)done(sample.service.recto({"user", "add", "Ned"}));
    const auto token = new_token(sample.service, "Ned");
    const auto row = done(sample.service.sqlite("SELECT hash, user FROM token ORDER BY id DESC LIMIT 1;"));
    const auto columns = split_list(row, '|');
    const auto id = std::string(trim(done(sample.service.sqlite("SELECT max(id) FROM token;"))));
    (void)done(sample.service.recto({"token", "revoke", id}));
    BOOST_TEST(sample.get("/api/blog", with_token(token)).status == 401);
    (void)done(
        sample.service.sqlite("INSERT INTO token (hash, user, created_at) VALUES ('" + columns.at(0) + "', " + columns.at(1) + ", 0);"));
    BOOST_TEST(eventually([&] { return sample.get("/api/blog", with_token(token)).status == 200; }, 2s));
}

BOOST_AUTO_TEST_CASE(an_inactive_user_is_refused) {
    auto& sample = Sample::the();
    (void)done(sample.service.recto({"user", "add", "Ina"}));
    const auto token = new_token(sample.service, "Ina");
    BOOST_TEST(sample.get("/api/blog", with_token(token)).status == 200);
    (void)done(sample.service.sqlite("UPDATE user SET active = 0 WHERE name = 'Ina';"));
    BOOST_TEST(eventually([&] { return sample.get("/api/blog", with_token(token)).status == 401; }, 2s));
    BOOST_TEST(sample.get("/api/blog", with_token(token)).body == R"({"detail":"User inactive or deleted."})");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(whole_blogs)

namespace {

// Each author's answer says what the database says, asked by somebody else.
void check_all_authors(const Service& service) {
    const auto users = split_list(done(service.sqlite("SELECT id FROM user;")), '\n');
    BOOST_TEST_REQUIRE(!users.empty());
    auto client = service.client();
    for (const auto& user : users) {
        const auto rows = done(service.sqlite(
            ".mode json\nSELECT id, title, slug, (SELECT user FROM post_author WHERE post = p.id ORDER BY position LIMIT 1) AS author_id, "
            "excerpt, body, strftime('%Y-%m-%dT%H:%M:%S', published_at / 1000000, 'unixepoch') AS published_at FROM post p "
            "WHERE id IN (SELECT post FROM post_author WHERE user = " +
            user +
            ") AND status = 'published' "
            "AND published_at <= strftime('%s', 'now') * 1000000 ORDER BY p.published_at DESC, id DESC;"));
        const auto expected = rows.empty() ? json::array() : json::parse(rows).as_array();
        for (int i = 0; i < 2; ++i) {
            const auto blogs = blogs_in(client.get("/api/blogs?author_id=" + user).body);
            BOOST_TEST_REQUIRE(blogs.size() == expected.size(), "author " << user);
            for (std::size_t n = 0; n < blogs.size(); ++n)
                for (const auto& [name, value] : expected[n].as_object()) {
                    const auto& shown = blogs[n].at(name);
                    const bool same = name == "published_at" ? shown.as_string().starts_with(value.as_string()) : shown == value;
                    BOOST_TEST(same, "author " << user << ", post " << n << ", " << name << ": " << shown << " instead of " << value);
                }
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(generated_posts_of_many_authors_come_as_the_database_has_them) {
    const Service service({.ini = std::string(kNoLimits)});
    for (unsigned i = 0; i < 120; ++i) {
        const auto date = "20" + std::to_string(10 + i % 23) + "-0" + std::to_string(1 + i % 9) + "-1" + std::to_string(i % 10);
        write_post(service.folder() / "posts", "post-" + std::to_string(i),
                   {.title = "\"Post " + std::to_string(i) + '"',
                    .authors = {"Author " + std::to_string(i % 7), "Author " + std::to_string(7 + i % 5)},
                    .date = date,
                    .body = long_text(i * 20, i),
                    .more = i % 6 == 0 ? "draft: true\n" : ""});
    }
    (void)done(service.recto({"import", service.folder() / "posts"}));
    check_all_authors(service);
}

BOOST_AUTO_TEST_CASE(a_real_corpus_comes_as_the_database_has_it) {
    const char* const corpus = std::getenv("CORPUS");
    if (corpus == nullptr || *corpus == '\0') return skip("CORPUS names no folder of posts");
    const Service service({.ini = std::string(kNoLimits)});
    const auto begin = std::chrono::steady_clock::now();
    const auto imported = service.recto({"import", corpus});
    const auto took = std::chrono::steady_clock::now() - begin;
    BOOST_TEST_MESSAGE(imported.output << imported.errors << std::chrono::duration<double>(took).count() << " s");
    BOOST_TEST((took < 10s));
    check_all_authors(service);
    BOOST_TEST(service.recto({"import", corpus}).output.starts_with("added 0, updated 0,"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
