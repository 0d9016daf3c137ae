// Requests through the whole of the program but for FastCGI, with views made for the purpose; memcached and the database are real.
// The numbers are those of the rules in etc/doc/caching.md.
#define BOOST_TEST_MODULE view_exchange
#include "fcgi/view_exchange.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "fcgi/answers.hpp"
#include "log/log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/lease_keeper.hpp"
#include "tests/support/memcached_server.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/throttles.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::vector<View> test_views(std::chrono::milliseconds ttl) {
    const View page{.name = "page",
                    .methods = {"GET", "POST"},
                    .path = "/page",
                    .parameters = {"q"},
                    .headers = {{.name = "x-theme"}, {.name = "accept-language", .choices = {"en", "de"}}},
                    .cookies = {"theme"},
                    .event = "",
                    .cache = ttl};
    auto open = page, mine = page, plain = page;
    open.name = "open";
    open.path = "/open";
    open.audience = Audience::everyone;
    mine.name = "mine";
    mine.path = "/mine";
    mine.audience = Audience::each_user;
    plain.name = "plain";
    plain.path = "/plain";
    plain.cache = 0ms;
    auto told = page;
    told.name = "told";
    told.path = "/told";
    told.event = "get_told";
    const View bare{.name = "bare", .methods = {"GET"}, .path = "/bare", .event = "", .audience = Audience::everyone, .cache = ttl};
    return {page, open, mine, plain, told, bare};
}

std::vector<KnownView> known_test_views() {
    std::vector<KnownView> known;
    for (const auto& view : test_views(0ms)) known.push_back({.name = view.name});
    return known;
}

Config config_in(const TemporaryFolder& folder, const TemporaryFolder& runtime, const std::string& ini) {
    const auto path = folder.path().string();
    auto loaded = parse_config("[site]\ndata = " + path + "\n[server]\nruntime_dir = " + runtime.path().string() +
                                   "\n[cache]\nservers = unix:" + path + "/m\n" + ini,
                               "test.ini", {}, known_test_views());
    BOOST_TEST(loaded.mistakes.empty());
    return loaded.config;
}

struct Prepared {
    TemporaryFolder folder, runtime{in_memory()};
    MemcachedServer server{folder / "m"};
    Config config;

    explicit Prepared(const std::string& ini) : config(config_in(folder, runtime, ini)) { migrate(store_options(config)); }
};

struct Fixture : Prepared {
    Site site{config};
    LeaseKeeper keeper{site.store.clock()};
    Throttle throttle = Throttle::open(throttle_options(config));
    std::vector<View> views;
    std::atomic<int> computed = 0;
    std::function<Response(const ViewRequest&)> view = [this](const ViewRequest&) { return json_answer(200, title()); };
    Gate gate = Gate::open(config.runtime_dir);
    Application application{site, throttle, gate, views, handlers()};

    explicit Fixture(const std::string& ini = {}, std::chrono::milliseconds ttl = 10min) : Prepared(ini), views(test_views(ttl)) {
        auto write = site.store.write();
        write.insert("INSERT INTO post (slug, title, body, created_at, updated_at) VALUES ('first', '\"old title\"', '', 0, 0)");
        write.commit();
    }

    Handlers handlers() {
        Handlers all;
        for (const auto& one : views)
            all[one.name] = [this](const ViewRequest& request) {
                ++computed;
                return view(request);
            };
        return all;
    }

    std::string title() {
        auto snapshot = site.store.read();
        auto rows = snapshot.query("SELECT title FROM post WHERE id = 1", {}, {"post:id=1"});
        return rows.next() ? std::string(rows.text(0)) : "\"none\"";
    }
    void retitle(std::string_view title) {
        auto write = site.store.write();
        write.execute("UPDATE post SET title = ? WHERE id = 1", {title});
        write.commit();
    }

    static std::unique_ptr<Exchange> begin_at(const Application& process, const std::string& path, const Headers& headers,
                                              std::string method) {
        Request request;
        request.method = std::move(method);
        request.address = "192.0.2.1";
        request.headers = headers;
        const auto mark = std::min(path.find('?'), path.size());
        request.path = path.substr(0, mark);
        request.query = path.substr(std::min(mark + 1, path.size()));
        return process.begin(std::move(request));
    }
    std::unique_ptr<Exchange> begin(const std::string& path, const Headers& headers = {}, std::string method = "GET") {
        return begin_at(application, path, headers, std::move(method));
    }

    Response ask(const std::string& path, const Headers& headers = {}, std::string method = "GET") {
        return ask_of(application, path, headers, std::move(method));
    }
    static Response ask_of(const Application& process, const std::string& path, const Headers& headers = {}, std::string method = "GET") {
        return answer_of(begin_at(process, path, headers, std::move(method)));
    }
    static Response answer_of(const std::unique_ptr<Exchange>& exchange) {
        auto response = exchange->without_waiting();
        while (!response) {
            std::promise<void> woken;
            response = exchange->to_the_end([&] { woken.set_value(); });
            if (!response) woken.get_future().wait();
        }
        return std::move(*response);
    }
};

// The value of a header as it goes out.
std::string header_of(const Response& response, const std::string& name) {
    const auto block = "\r\n" + header_block(response);
    const auto at = block.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "(absent)";
    const auto begin = at + name.size() + 4;
    return block.substr(begin, block.find("\r\n", begin) - begin);
}

std::string status_of(const Response& response) {
    auto status = header_of(response, "Cache-Status");
    const auto ttl = status.find("; ttl=");  // tells the time
    return ttl == std::string::npos ? status : status.erase(ttl, std::min(status.find(';', ttl + 1), status.size()) - ttl);
}

constexpr auto kHit = "recto; hit";
constexpr auto kStored = "recto; fwd=uri-miss; stored";
constexpr auto kVariantStored = "recto; fwd=miss; stored";

}  // namespace

BOOST_FIXTURE_TEST_SUITE(rules, Fixture)

BOOST_AUTO_TEST_CASE(rule_1_head_is_answered_from_the_entry_of_get_and_fills_by_running_get) {
    const auto filled = ask("/page", {}, "HEAD");
    BOOST_TEST(status_of(filled) == kVariantStored);
    BOOST_TEST(status_of(ask("/page")) == kHit);
    const auto hit = ask("/page", {}, "HEAD");
    BOOST_TEST(status_of(hit) == kHit);
    BOOST_TEST(header_of(hit, "Content-Length") == header_of(filled, "Content-Length"));
    BOOST_TEST(header_of(hit, "ETag") == header_of(filled, "ETag"));
    BOOST_TEST(computed == 1);
}

BOOST_AUTO_TEST_CASE(rule_5_a_request_with_credentials_goes_by_the_cache_unless_the_view_is_for_all_or_each) {
    const auto token = [&](const std::string& name) {
        BOOST_REQUIRE(site.auth.add_user(name));
        return "Token " + site.auth.create_token(name, "").value();
    };
    const Headers ann{{"authorization", token("ann")}}, bob{{"authorization", token("bob")}}, other{{"authorization", "Basic eDp5"}};

    for (const auto& headers : {ann, other}) {
        BOOST_TEST(status_of(ask("/page", headers)) == "recto; fwd=bypass");
        BOOST_TEST(status_of(ask("/page", headers)) == "recto; fwd=bypass");
    }
    BOOST_TEST(status_of(ask("/page")) == kVariantStored);  // nothing of theirs was kept
    BOOST_TEST(status_of(ask("/page", ann)) == "recto; fwd=bypass");

    BOOST_TEST(status_of(ask("/open", ann)) == kVariantStored);
    BOOST_TEST(status_of(ask("/open", bob)) == kHit);
    BOOST_TEST(status_of(ask("/open")) == kHit);

    view = [](const ViewRequest& request) { return json_answer(200, request.user() ? std::to_string(*request.user()) : "0"); };
    const auto of_ann = ask("/mine", ann), of_bob = ask("/mine", bob), of_nobody = ask("/mine");
    for (const auto* answer : {&of_ann, &of_bob, &of_nobody}) BOOST_TEST(status_of(*answer) == kVariantStored);
    BOOST_TEST(of_ann.body() != of_bob.body());
    for (const auto& [headers, first] : {std::pair(ann, &of_ann), {bob, &of_bob}, {Headers{}, &of_nobody}}) {
        const auto again = ask("/mine", headers);
        BOOST_TEST(status_of(again) == kHit);
        BOOST_TEST(again.body() == first->body());
    }
}

BOOST_AUTO_TEST_CASE(rule_7_only_declared_cookies_matter) {
    BOOST_TEST(status_of(ask("/page")) == kVariantStored);
    BOOST_TEST(status_of(ask("/page", {{"cookie", "_ga=1; session=2"}})) == kHit);
    BOOST_TEST(status_of(ask("/page", {{"cookie", "_ga=1; theme=dark"}})) == kVariantStored);
    BOOST_TEST(status_of(ask("/page", {{"cookie", "theme=dark; _ga=77"}})) == kHit);
    BOOST_TEST(status_of(ask("/page", {{"cookie", "theme=light"}})) == kVariantStored);
}

BOOST_AUTO_TEST_CASE(rule_9_an_absent_header_is_not_an_empty_one) {
    BOOST_TEST(status_of(ask("/page")) == kVariantStored);
    BOOST_TEST(status_of(ask("/page", {{"x-theme", ""}})) == kVariantStored);
    BOOST_TEST(status_of(ask("/page", {{"x-theme", "a"}})) == kVariantStored);
    BOOST_TEST(status_of(ask("/page", {{"x-theme", ""}})) == kHit);
    BOOST_TEST(status_of(ask("/page", {{"x-other", "a"}})) == kHit);
}

BOOST_AUTO_TEST_CASE(rule_10_languages_that_mean_the_same_share_an_entry) {
    for (const auto* first : {"de", "fr"}) BOOST_TEST(status_of(ask("/page", {{"accept-language", first}})) == kVariantStored);
    for (const auto* same : {"de-AT", "DE", "de;q=0.9, en;q=0.8", "en", "", "en-GB,en;q=0.5", "ja"})
        BOOST_TEST_CONTEXT(same) BOOST_TEST(status_of(ask("/page", {{"accept-language", same}})) == kHit);
}

BOOST_AUTO_TEST_CASE(rule_11_each_view_and_each_query_has_its_entry) {
    for (const auto* path : {"/page", "/open", "/page?q=", "/page?q=1", "/page?q=1%0A", "/page?q=2"})
        BOOST_TEST_CONTEXT(path) BOOST_TEST(status_of(ask(path)) == kVariantStored);
    for (const auto* path : {"/page/", "/open", "/page?q=%31", "/page/?q=2&q=1"})
        BOOST_TEST_CONTEXT(path) BOOST_TEST(status_of(ask(path)) == kHit);
}

BOOST_AUTO_TEST_CASE(rule_12_undeclared_parameters_are_dropped_and_a_query_without_end_is_refused) {
    BOOST_TEST(status_of(ask("/page?q=1")) == kVariantStored);
    BOOST_TEST(status_of(ask("/page?utm_source=x&q=1&fbclid=y")) == kHit);
    BOOST_TEST(ask("/page?q=" + std::string(5000, 'x')).status == 414);
    BOOST_TEST(computed == 1);
}

BOOST_AUTO_TEST_CASE(rule_17_what_is_not_stored_is_told_to_caches_too) {
    view = [](const ViewRequest&) {
        auto response = json_answer(200, "{}");
        response.set("Set-Cookie", "a=b");
        return response;
    };
    for (const auto* method : {"GET", "HEAD", "POST", "OPTIONS", "PUT"}) BOOST_TEST_CONTEXT(method) {
            const auto answer = ask("/page", {}, method);
            BOOST_TEST(header_of(answer, "Cache-Control") == "no-cache");
            BOOST_TEST(header_of(answer, "Vary") == "accept-encoding, accept-language, authorization, cookie, x-theme");
        }
    for (const auto* path : {"/plain", "/nowhere", "/page?q=1"})
        BOOST_TEST_CONTEXT(path) BOOST_TEST(header_of(ask(path), "Cache-Control") == "no-cache");
}

// A cache looks for an address by the Vary of the last answer that it stored of it.
BOOST_AUTO_TEST_CASE(rule_17_all_answers_of_an_address_have_the_same_vary) {
    constexpr auto kVary = "accept-encoding, accept-language, authorization, cookie, x-theme";
    const std::string large = '"' + std::string(1000, 'x') + '"';
    for (const auto& body : {std::string("{}"), large}) {
        view = [&](const ViewRequest&) { return json_answer(200, body); };
        site.cache.invalidate(tag_of_view(views[0]));
        for (const auto* coding : {"gzip", ""}) {
            const auto miss = ask("/page", {{"accept-encoding", coding}}), hit = ask("/page", {{"accept-encoding", coding}});
            const auto known = ask("/page", {{"accept-encoding", coding}, {"if-none-match", header_of(hit, "ETag")}});
            const auto failed = ask("/page", {{"accept-encoding", coding}, {"if-match", "\"x\""}});
            BOOST_TEST(known.status == 304);
            BOOST_TEST(failed.status == 412);
            for (const auto* answer : {&miss, &hit, &known, &failed}) BOOST_TEST(header_of(*answer, "Vary") == kVary);
        }
    }
    for (const int status : {404, 301, 400, 500, 503}) BOOST_TEST_CONTEXT(status) {
            view = [&](const ViewRequest&) { return json_answer(status, "{}"); };
            site.cache.invalidate(tag_of_view(views[0]));
            for (int i = 0; i < 2; ++i) BOOST_TEST(header_of(ask("/page"), "Vary") == kVary);
        }
    BOOST_TEST(header_of(ask("/page", {{"authorization", "Token x"}}), "Vary") == kVary);
    BOOST_TEST(header_of(ask("/page?q=" + std::string(5000, 'x')), "Vary") == kVary);
    BOOST_TEST(header_of(ask("/bare"), "Vary") == "accept-encoding");
}

BOOST_AUTO_TEST_CASE(rule_15_a_304_carries_what_belongs_to_its_200) {
    const auto miss = ask("/page"), hit = ask("/page");
    const auto known = ask("/page", {{"if-none-match", header_of(hit, "ETag")}});
    BOOST_TEST(known.status == 304);
    BOOST_TEST(header_of(known, "Allow") == "GET, HEAD, POST, OPTIONS");
    for (const auto* name : {"Allow", "Cache-Control", "ETag", "Vary"})
        for (const auto* whole : {&miss, &hit}) BOOST_TEST_CONTEXT(name) BOOST_TEST(header_of(known, name) == header_of(*whole, name));
    for (const auto* name : {"Content-Type", "Content-Length"}) BOOST_TEST_CONTEXT(name) BOOST_TEST(header_of(known, name) == "(absent)");
}

BOOST_AUTO_TEST_CASE(rule_15_conditions_count_whether_the_answer_is_cached_or_not) {
    view = [this](const ViewRequest& request) { return request.parameter("q") ? not_found() : json_answer(200, title()); };
    const auto status = [&](const char* path, const char* name, const std::string& value, const char* method = "GET") {
        return ask(path, {{name, value}}, method).status;
    };
    for (const auto* path : {"/page", "/plain"})
        for (const auto* method : {"GET", "HEAD"})
            for (int i = 0; i < 2; ++i) BOOST_TEST_CONTEXT(path << ' ' << method << ' ' << i) {
                    BOOST_TEST(status(path, "if-match", "\"x\"", method) == 412);
                    BOOST_TEST(status(path, "if-match", "*", method) == 200);
                    BOOST_TEST(status(path, "if-unmodified-since", "Sat, 21 Nov 2026 23:00:00 GMT", method) == 200);  // it has no date
                }
    for (const auto* path : {"/page?q=1", "/nowhere"}) BOOST_TEST_CONTEXT(path) BOOST_TEST(status(path, "if-match", "\"x\"") == 404);
    BOOST_TEST(status("/page", "if-match", "\"x\"", "PUT") == 405);

    const auto etag = header_of(ask("/page"), "ETag");
    BOOST_TEST(status("/page", "if-match", "\"x\", " + etag) == 200);
    BOOST_TEST(status("/page", "if-match", "W/" + etag) == 412);
    BOOST_TEST(ask("/page", {{"if-match", etag}, {"if-none-match", etag}}).status == 304);
    const auto refused = ask("/page", {{"if-match", "\"x\""}, {"if-none-match", etag}});
    BOOST_TEST(refused.status == 412);
    BOOST_TEST(header_of(refused, "Cache-Control") == "no-cache");
    BOOST_TEST(header_of(refused, "Allow") == "GET, HEAD, POST, OPTIONS");
    BOOST_TEST(header_of(refused, "Age") == "(absent)");
    BOOST_TEST(status_of(refused) == kHit);
    retitle("\"new title\"");
    BOOST_TEST(status("/page", "if-match", etag) == 412);
}

BOOST_AUTO_TEST_CASE(what_may_not_be_stored_has_conditions_too) {
    view = [](const ViewRequest&) {
        auto response = json_answer(200, "{}");
        response.set("Set-Cookie", "a=b");
        response.set("ETag", "\"own\"");
        return response;
    };
    BOOST_TEST(ask("/page", {{"if-match", "\"x\""}}).status == 412);
    BOOST_TEST(ask("/page", {{"if-match", "\"own\""}}).status == 200);
    const auto known = ask("/page", {{"if-none-match", "\"own\""}});
    BOOST_TEST(known.status == 304);
    BOOST_TEST(known.body().empty());
    BOOST_TEST(header_of(known, "Set-Cookie") == "a=b");
}

BOOST_AUTO_TEST_CASE(rule_19_a_view_without_variants_has_missed_an_address) {
    BOOST_TEST(status_of(ask("/bare")) == kStored);
    BOOST_TEST(status_of(ask("/bare", {{"x-theme", "a"}, {"cookie", "theme=a"}})) == kHit);
}

BOOST_AUTO_TEST_CASE(a_header_in_several_lines_is_in_the_key_and_the_view_sees_all_of_it) {
    std::string theme, cookie;
    view = [&](const ViewRequest& request) {
        theme = request.header("x-theme").value_or("(absent)");
        cookie = request.cookie("theme").value_or("(absent)");
        return json_answer(200, "{}");
    };
    const auto ask_with = [&](std::initializer_list<std::pair<const char*, const char*>> variables) {
        RequestMaker maker;
        for (const auto& [name, value] : {std::pair("REQUEST_METHOD", "GET"), std::pair("PATH_INFO", "/page")}) maker.take(name, value);
        for (const auto& [name, value] : variables) maker.take(name, value);
        return answer_of(application.begin(std::move(maker).made()));
    };
    BOOST_TEST(status_of(ask_with({{"HTTP_X_THEME", "a"}})) == kVariantStored);
    BOOST_TEST(status_of(ask_with({{"HTTP_X_THEME", "a"}, {"HTTP_X_THEME", "b"}})) == kVariantStored);
    BOOST_TEST(theme == "a, b");
    BOOST_TEST(status_of(ask_with({{"HTTP_X_THEME", "a, b"}})) == kHit);
    BOOST_TEST(status_of(ask_with({{"HTTP_COOKIE", "a=1"}, {"HTTP_COOKIE", "theme=dark"}, {"HTTP_COOKIE", "b=2"}})) == kVariantStored);
    BOOST_TEST(cookie == "dark");
    BOOST_TEST(status_of(ask_with({{"HTTP_COOKIE", "theme=dark"}})) == kHit);
    BOOST_TEST(status_of(ask_with({{"HTTP_ACCEPT_LANGUAGE", "fr"}, {"HTTP_ACCEPT_LANGUAGE", "de"}})) == kVariantStored);
    BOOST_TEST(status_of(ask_with({{"HTTP_ACCEPT_LANGUAGE", "de"}})) == kHit);
    const auto etag = header_of(ask_with({{"HTTP_ACCEPT_LANGUAGE", "de"}}), "ETag");
    BOOST_TEST(ask_with({{"HTTP_ACCEPT_LANGUAGE", "de"}, {"HTTP_IF_NONE_MATCH", "\"x\""}, {"HTTP_IF_NONE_MATCH", etag.c_str()}}).status ==
               304);
}

// Which of them is meant?
BOOST_AUTO_TEST_CASE(a_header_that_may_be_given_once_is_refused_when_it_is_given_twice) {
    for (const auto* path : {"/page", "/plain", "/nowhere"})
        for (const auto* name : {"HTTP_AUTHORIZATION", "HTTP_HOST"}) BOOST_TEST_CONTEXT(path << ' ' << name) {
                RequestMaker maker;
                maker.take("REQUEST_METHOD", "GET");
                maker.take("PATH_INFO", path);
                for (const auto* value : {"Basic x", "Token y"}) maker.take(name, value);
                const auto answer = answer_of(application.begin(std::move(maker).made()));
                BOOST_TEST(answer.status == 400);
                BOOST_TEST(answer.body().ends_with("may be given only once.\"}"));
                BOOST_TEST(header_of(answer, "Cache-Control") == "no-cache");
            }
    BOOST_TEST(computed == 0);
}

BOOST_AUTO_TEST_CASE(rule_20_a_client_cannot_force_the_view_to_run) {
    (void)ask("/page");
    for (const auto* text : {"no-cache", "no-store", "max-age=0"})
        BOOST_TEST(status_of(ask("/page", {{"cache-control", text}, {"pragma", "no-cache"}})) == kHit);
    BOOST_TEST(computed == 1);
}

BOOST_AUTO_TEST_CASE(rule_21_a_method_that_changes_something_is_neither_cached_nor_answered_from_the_cache) {
    (void)ask("/page");
    for (int i = 0; i < 2; ++i) BOOST_TEST(status_of(ask("/page", {}, "POST")) == "recto; fwd=method");
    BOOST_TEST(computed == 3);
}

BOOST_AUTO_TEST_CASE(rule_22_an_answer_ends_when_the_next_scheduled_thing_it_left_out_is_due) {
    view = [](const ViewRequest&) { return note_hard_end(time_now() + 1s), json_answer(200, "{}"); };
    BOOST_TEST(status_of(ask("/page")) == kVariantStored);
    BOOST_TEST(status_of(ask("/page")) == kHit);
    std::this_thread::sleep_for(1050ms);
    BOOST_TEST(status_of(ask("/page")) == "recto; fwd=stale; stored");
}

BOOST_AUTO_TEST_CASE(a_view_that_is_not_cached_says_nothing_of_the_cache) {
    for (int i = 0; i < 2; ++i) BOOST_TEST(status_of(ask("/plain")) == "(absent)");
    BOOST_TEST(computed == 2);
}

BOOST_AUTO_TEST_CASE(what_may_not_be_stored_is_given_as_it_is_each_time) {
    view = [](const ViewRequest&) {
        auto response = json_answer(200, "{}");
        response.set("Set-Cookie", "a=b");
        return response;
    };
    for (int i = 0; i < 2; ++i) {
        const auto answer = ask("/page");
        BOOST_TEST(status_of(answer) == "recto; fwd=miss");
        BOOST_TEST(header_of(answer, "Set-Cookie") == "a=b");
    }
    BOOST_TEST(computed == 2);
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_remembered_here_until_it_is) {
    view = [this](const ViewRequest&) { return title() == "\"none\"" ? not_found() : json_answer(200, title()); };
    auto write = site.store.write();
    write.execute("DELETE FROM post");
    write.commit();
    BOOST_TEST(ask("/page").status == 404);
    const auto again = ask("/page");
    BOOST_TEST(again.status == 404);
    BOOST_TEST(status_of(again) == kHit);
    BOOST_TEST(server.keys().empty());
    auto insert = site.store.write();
    insert.execute("INSERT INTO post (id, slug, title, body, created_at, updated_at) VALUES (1, 'new', '\"new\"', '', 0, 0)");
    insert.commit();
    BOOST_TEST(ask("/page").body() == "\"new\"");
}

BOOST_AUTO_TEST_CASE(rule_19_a_change_is_in_the_next_answer_and_the_status_says_why) {
    BOOST_TEST(ask("/page").body() == "\"old title\"");
    retitle("\"new title\"");
    const auto answer = ask("/page");
    BOOST_TEST(answer.body() == "\"new title\"");
    BOOST_TEST(status_of(answer) == "recto; fwd=stale; stored");
}

BOOST_AUTO_TEST_CASE(the_operator_ends_a_view_or_one_answer_by_name) {
    const auto& page = views[0];
    (void)ask("/page?q=1");
    (void)ask("/page?q=2");
    (void)ask("/open");
    site.cache.invalidate(tag_of_answer(page, ViewRequest(page, "q=1").cache_key()));
    BOOST_TEST(status_of(ask("/page?q=1")) == "recto; fwd=stale; stored");
    BOOST_TEST(status_of(ask("/page?q=2")) == kHit);
    site.cache.invalidate(tag_of_view(page));
    BOOST_TEST(status_of(ask("/page?q=2")) == "recto; fwd=stale; stored");
    BOOST_TEST(status_of(ask("/open")) == kHit);
}

BOOST_AUTO_TEST_CASE(rule_16_and_19_age_and_ttl_tell_the_time) {
    const auto first = ask("/page");
    BOOST_TEST(header_of(first, "Age") == "(absent)");
    const auto hit = ask("/page");
    BOOST_TEST(header_of(hit, "Age") == "0");
    BOOST_TEST(header_of(hit, "Cache-Status") == "recto; hit; ttl=600");
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct ShortLived : Fixture {
    ShortLived() : Fixture("stale_while_revalidate = 1min\nstale_if_error = 1h\n", 100ms) {}
};

// Starts many requests at once; gives how many were answered, by status.
std::map<std::string, int> ask_together(Fixture& fixture, int clients, const std::string& path) {
    std::vector<std::future<std::string>> answers;
    std::promise<void> go;
    const auto started = go.get_future().share();
    for (int i = 0; i < clients; ++i)
        answers.push_back(std::async(std::launch::async, [&, started] {
            started.wait();
            return status_of(fixture.ask(path));
        }));
    go.set_value();
    std::map<std::string, int> counts;
    for (auto& answer : answers) ++counts[answer.get()];
    return counts;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(one_computation)

BOOST_FIXTURE_TEST_CASE(of_many_who_miss_one_computes_and_the_others_get_it, Fixture) {
    view = [this](const ViewRequest&) { return std::this_thread::sleep_for(200ms), json_answer(200, title()); };
    const auto counts = ask_together(*this, 64, "/page");
    BOOST_TEST(computed == 1);
    BOOST_TEST(counts.at(kVariantStored) == 1);
    BOOST_TEST(counts.at("recto; fwd=miss; collapsed") + (counts.contains(kHit) ? counts.at(kHit) : 0) == 63);
    BOOST_TEST(site.cache.counted(CacheEvent::collapsed, 0) > 0u);
}

namespace {

// Another worker of the host.
struct Second {
    Site site;
    Application application;
    explicit Second(Fixture& first) : site(first.config), application(site, first.throttle, first.gate, first.views, first.handlers()) {}
};

std::uint64_t gets_of_memcached(Site& site) {
    const auto servers = site.cache.server_stats();
    for (const auto& [name, value] : servers.front().values)
        if (name == "cmd_get") return std::stoull(value);
    throw std::runtime_error("no cmd_get");
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_memcached_has_costs_one_round_trip, Fixture) {
    (void)ask("/page");
    Second second(*this);
    const auto before = gets_of_memcached(site);
    BOOST_TEST(status_of(ask_of(second.application, "/page")) == kHit);
    BOOST_TEST(gets_of_memcached(site) == before + 1);
    for (int i = 0; i < 10; ++i) BOOST_TEST(status_of(ask_of(second.application, "/page")) == kHit);
    BOOST_TEST(gets_of_memcached(site) == before + 1);  // in its own memory now
    BOOST_TEST(computed == 1);
}

// With the old answer for those who come meanwhile, and without.
BOOST_AUTO_TEST_CASE(of_64_clients_on_an_expired_answer_one_makes_the_whole_host_compute) {
    for (const auto* stale : {"1min", "off"}) BOOST_TEST_CONTEXT(stale) {
            Fixture first("stale_while_revalidate = " + std::string(stale) + "\n");
            Second second(first);
            first.view = [&first](const ViewRequest&) {
                auto answer = json_answer(200, first.title());
                if (first.computed == 1) answer.set("Cache-Control", "max-age=1");
                if (first.computed > 1) std::this_thread::sleep_for(100ms);
                return answer;
            };
            (void)first.ask("/bare");
            (void)Fixture::ask_of(second.application, "/bare");
            const auto key = ViewRequest(first.views.back(), "").cache_key();
            BOOST_TEST(eventually([&] { return !first.site.cache.look_in_memory(key, time_now()).is_fresh(); }));

            std::vector<std::future<int>> answers;
            std::latch together(64);
            for (int i = 0; i < 64; ++i)
                answers.push_back(std::async(std::launch::async, [&, i] {
                    together.arrive_and_wait();
                    return Fixture::ask_of(i % 2 == 0 ? first.application : second.application, "/bare").status;
                }));
            for (auto& answer : answers) BOOST_TEST(answer.get() == 200);
            BOOST_TEST(first.computed == 2);
        }
}

BOOST_FIXTURE_TEST_CASE(rule_18_when_only_time_ran_out_the_others_get_the_old_answer_meanwhile, ShortLived) {
    (void)ask("/page");
    std::this_thread::sleep_for(120ms);
    std::promise<void> asked;
    view = [&, until = asked.get_future().share()](const ViewRequest&) { return until.wait(), json_answer(200, title()); };
    const auto begun = computed.load();
    auto leader = std::async(std::launch::async, [&] { return status_of(ask("/page")); });
    BOOST_TEST(eventually([&] { return computed > begun; }));
    for (int i = 0; i < 10; ++i) BOOST_TEST(status_of(ask("/page")) == "recto; hit; detail=stale-while-revalidate");
    asked.set_value();
    BOOST_TEST(leader.get() == "recto; fwd=stale; stored");
    BOOST_TEST(computed == begun + 1);
    BOOST_TEST(site.cache.counted(CacheEvent::stale, 0) == 10u);
}

BOOST_FIXTURE_TEST_CASE(rule_18_after_a_change_nobody_gets_the_old_answer, ShortLived) {
    (void)ask("/page");
    retitle("\"new title\"");
    view = [this](const ViewRequest&) { return std::this_thread::sleep_for(100ms), json_answer(200, title()); };
    std::vector<std::future<std::string>> bodies;
    for (int i = 0; i < 16; ++i) bodies.push_back(std::async(std::launch::async, [&] { return std::string(ask("/page").body()); }));
    for (auto& body : bodies) BOOST_TEST(body.get() == "\"new title\"");
}

// A leader stores what it has made and then hands it to those who wait. A write that is acknowledged between the two is the trap: so the
// test leads itself, and hands out what was good until the write.
struct OneThatWaits : Fixture {
    const std::string key = ViewRequest(views[0], "").cache_key();
    CacheHit old;
    std::optional<Flights::Lead> lead;
    std::unique_ptr<Exchange> waiter;
    std::promise<void> woken;

    OneThatWaits() {
        (void)ask("/page");
        old = site.cache.look_in_memory(key, time_now()).entry;
        BOOST_REQUIRE(old);
        retitle("\"newer title\"");  // so it misses, and nothing else is stored
        auto joined = site.cache.flights().join(key, nullptr);
        BOOST_REQUIRE(joined.lead.has_value());
        lead.emplace(std::move(*joined.lead));
    }
    // Good until the next write.
    CacheHit stored() {
        const auto clock = site.store.fresh_reading();
        const CollectReads collected(clock->epoch(), clock->synced());
        note_read(clock->epoch(), clock->synced(), {{std::string("post:id=1")}});
        const auto now = time_now();
        return site.cache.put({.key = key, .bytes = old->bytes, .reads = collected.reads(), .ttl = 1min, .begun = now, .ended = now});
    }
    void begin_to_wait() {
        waiter = begin("/page");
        BOOST_REQUIRE(!waiter->without_waiting());
        BOOST_REQUIRE(!waiter->to_the_end([this] { woken.set_value(); }));
    }
    Response landed(const CacheHit& entry) {
        lead->land(entry);
        woken.get_future().wait();
        return waiter->to_the_end([] {}).value();
    }
};

BOOST_FIXTURE_TEST_CASE(a_waiter_never_gets_what_is_older_than_a_write_acknowledged_before_it_came, OneThatWaits) {
    begin_to_wait();
    const auto answer = landed(old);
    BOOST_TEST(answer.body() == "\"newer title\"");
    BOOST_TEST(status_of(answer).find("collapsed") == std::string::npos);
    BOOST_TEST(computed == 2);
    BOOST_TEST(ask("/page").body() == "\"newer title\"");
}

BOOST_FIXTURE_TEST_CASE(a_waiter_computes_if_what_it_waited_for_changed_since_it_came, OneThatWaits) {
    begin_to_wait();
    const auto made = stored();
    BOOST_REQUIRE(made);
    retitle("\"newest title\"");
    BOOST_TEST(landed(made).body() == "\"newest title\"");
    BOOST_TEST(computed == 2);
}

BOOST_FIXTURE_TEST_CASE(a_waiter_whose_leader_made_nothing_computes, OneThatWaits) {
    begin_to_wait();
    const auto answer = landed(nullptr);
    BOOST_TEST(answer.body() == "\"newer title\"");
    BOOST_TEST(status_of(answer).find("collapsed") == std::string::npos);
}

// Whoever else leads by then may have just as little to hand on.
BOOST_FIXTURE_TEST_CASE(a_waiter_whose_leader_made_nothing_waits_for_no_other, OneThatWaits) {
    begin_to_wait();
    lead->land(nullptr);
    woken.get_future().wait();
    const auto next = site.cache.flights().join(key, nullptr);
    BOOST_REQUIRE(next.lead.has_value());
    const auto answer = waiter->to_the_end([] {});
    BOOST_REQUIRE(answer.has_value());
    BOOST_TEST(answer->body() == "\"newer title\"");
}

BOOST_FIXTURE_TEST_CASE(a_waiter_waits_twice_and_then_computes, OneThatWaits) {
    begin_to_wait();
    lead->land(old);
    woken.get_future().wait();
    auto next = site.cache.flights().join(key, nullptr);
    BOOST_REQUIRE(next.lead.has_value());
    std::promise<void> again;
    BOOST_REQUIRE(!waiter->to_the_end([&] { again.set_value(); }));
    next.lead->land(old);
    again.get_future().wait();
    const auto last = site.cache.flights().join(key, nullptr);
    BOOST_REQUIRE(last.lead.has_value());
    const auto answer = waiter->to_the_end([] {});
    BOOST_REQUIRE(answer.has_value());
    BOOST_TEST(answer->body() == "\"newer title\"");
}

// The second time it is made while it is still good: the old one costs 1 s, so that the chance to be made early is great from the
// beginning. Others are given the old one meanwhile.
BOOST_AUTO_TEST_CASE(a_hot_answer_that_was_dear_is_made_anew_before_its_time_runs_out) {
    Fixture fixture({}, 15s);
    std::string meanwhile, meanwhile_body;
    fixture.view = [&](const ViewRequest&) {
        if (fixture.computed == 1) std::this_thread::sleep_for(1s);
        if (fixture.computed == 2) {
            const auto other = fixture.ask("/page");
            meanwhile = status_of(other);
            meanwhile_body = other.body();
        }
        return json_answer(200, std::to_string(fixture.computed));
    };
    (void)fixture.ask("/page");
    const auto key = ViewRequest(fixture.views[0], "").cache_key();
    const auto first = fixture.site.cache.look_in_memory(key, time_now()).entry;
    BOOST_REQUIRE(first);
    std::string status;
    while (fixture.computed == 1 && time_now() < first->expires) status = status_of(fixture.ask("/page"));
    BOOST_TEST((time_now() < first->expires));
    BOOST_TEST(fixture.computed == 2);
    BOOST_TEST(status == "recto; fwd=stale; stored");
    BOOST_TEST(meanwhile == kHit);
    BOOST_TEST(meanwhile_body == "1");
    const auto next = fixture.ask("/page");
    BOOST_TEST(status_of(next) == kHit);
    BOOST_TEST(next.body() == "2");
}

BOOST_FIXTURE_TEST_CASE(what_may_not_be_stored_keeps_nobody_waiting_twice, Fixture) {
    view = [](const ViewRequest&) { return std::this_thread::sleep_for(50ms), json_answer(500, "{}"); };
    const auto begin = std::chrono::steady_clock::now();
    const auto counts = ask_together(*this, 16, "/page");
    BOOST_TEST(counts.at("recto; fwd=miss") == 16);
    BOOST_TEST(computed == 16);
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 5s));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(failing)

BOOST_FIXTURE_TEST_CASE(rule_18_while_the_database_fails_the_old_answer_is_given_unless_something_changed, ShortLived) {
    (void)ask("/page");
    std::this_thread::sleep_for(120ms);
    view = [](const ViewRequest&) -> Response { throw DatabaseError(10, "disk I/O error"); };  // SQLITE_IOERR
    const auto answer = ask("/page");
    BOOST_TEST(answer.body() == "\"old title\"");
    BOOST_TEST(status_of(answer) == "recto; hit; detail=stale-if-error");
    BOOST_TEST(site.cache.counted(CacheEvent::error, 0) == 1u);
    retitle("\"new title\"");
    const auto refused = ask("/page");
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(header_of(refused, "Retry-After") == "1");
    BOOST_TEST(header_of(refused, "Cache-Control") == "no-store");
}

BOOST_FIXTURE_TEST_CASE(an_error_of_the_program_is_not_taken_for_one_of_the_database, Fixture) {
    view = [](const ViewRequest&) -> Response { throw DatabaseError(1, "no such column"); };  // SQLITE_ERROR
    BOOST_CHECK_THROW(ask("/page"), DatabaseError);
    view = [](const ViewRequest&) -> Response { throw std::logic_error("a bug"); };
    BOOST_CHECK_THROW(ask("/page"), std::logic_error);
    view = [](const ViewRequest&) { return json_answer(200, "{}"); };
    BOOST_TEST(status_of(ask("/page")) == kVariantStored);  // nobody is taken to be computing any more
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(crowded)

struct TwoAtOnce : Fixture {
    std::promise<void> open;
    TwoAtOnce() : Fixture("[view plain]\nat_once = 2\n[view page]\nat_once = 1\n") {
        view = [this, opened = open.get_future().share()](const ViewRequest&) { return opened.wait(), json_answer(200, "{}"); };
    }
    std::future<int> ask_aside(const std::string& path) {
        return std::async(std::launch::async, [this, path] { return ask(path).status; });
    }
};

BOOST_FIXTURE_TEST_CASE(one_more_than_may_be_made_at_once_is_told_to_come_again, TwoAtOnce) {
    auto first = ask_aside("/plain"), second = ask_aside("/plain");
    BOOST_REQUIRE(eventually([&] { return computed == 2; }));
    const auto refused = ask("/plain");
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(header_of(refused, "Retry-After") == "1");
    BOOST_TEST(header_of(refused, "Cache-Control") == "no-store");
    open.set_value();
    BOOST_TEST(first.get() == 200);
    BOOST_TEST(second.get() == 200);
    BOOST_TEST(ask("/plain").status == 200);
}

BOOST_FIXTURE_TEST_CASE(what_is_cached_is_given_however_many_are_being_made, TwoAtOnce) {
    open.set_value();
    BOOST_TEST(ask("/page?q=1").status == 200);
    std::promise<void> again;
    view = [opened = again.get_future().share()](const ViewRequest&) { return opened.wait(), json_answer(200, "{}"); };
    auto other = ask_aside("/page?q=2");
    BOOST_REQUIRE(eventually([&] { return computed == 2; }));
    BOOST_TEST(ask("/page?q=1").status == 200);
    BOOST_TEST(ask("/page?q=3").status == 503);
    again.set_value();
    BOOST_TEST(other.get() == 200);
    BOOST_TEST(ask("/page?q=3").status == 200);  // a refusal is never stored
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

// The data of the lines of an event, as they stand in the log.
std::vector<std::string> logged(const std::filesystem::path& file, const std::string& event) {
    std::vector<std::string> found;
    const auto begin = "{\"ev\":\"" + event + "\",\"data\":";
    for (const auto& line : split_list(read_file(file), '\n')) {
        const auto at = line.find(begin);
        if (at == std::string::npos) continue;
        const auto data = line.substr(at + begin.size());
        found.push_back(data.substr(0, data.find('}') + 1));
    }
    return found;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(each_answer_of_a_view_with_an_event_is_logged_with_how_it_came_about, Fixture) {
    const auto file = folder / "recto.log";
    const LogSession session(log_to({.file = file}));
    const auto ask_and_log = [&](const std::string& path, const char* method = "GET") {
        const auto exchange = begin(path, {}, method);
        exchange->answered(answer_of(exchange));
    };
    for (int i = 0; i < 2; ++i) ask_and_log("/told?q=1&secret=2");
    ask_and_log("/told", "POST");
    for (const auto* method : {"PUT", "OPTIONS"}) ask_and_log("/told", method);  // not the view's
    for (const auto* path : {"/page", "/nowhere"}) ask_and_log(path);
    BOOST_TEST(logged(file, "get_told") == (std::vector<std::string>{R"({"q":"1","status":200,"cache":"miss"})",
                                                                     R"({"q":"1","status":200,"cache":"hit"})", R"({"status":200})"}),
               boost::test_tools::per_element());
    BOOST_TEST(logged(file, "").empty());
    BOOST_TEST(read_file(file).find("secret") == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_token_seen_for_the_first_time_stands_for_its_user_at_once, Fixture) {
    view = [](const ViewRequest& request) { return json_answer(200, request.user() ? std::to_string(*request.user()) : "0"); };
    for (const auto* name : {"ann", "bob"}) {
        const auto user = site.auth.add_user(name).value().id;
        const auto answer = ask("/mine", {{"authorization", "Token " + site.auth.create_token(name, "").value()}});
        BOOST_TEST(answer.body() == std::to_string(user));
    }
    BOOST_TEST(ask("/mine").body() == "0");
}

// Its response may be kept by a cache on the way, and then another client would read these numbers.
BOOST_AUTO_TEST_CASE(what_is_left_is_told_on_an_answer_for_one_client_alone) {
    Fixture fixture("[view plain]\nthrottle = user\n[throttle]\nuser = 9/hour\nheaders = all\n");
    BOOST_REQUIRE(fixture.site.auth.add_user("ann"));
    const auto token = "Token " + fixture.site.auth.create_token("ann", "").value();
    BOOST_TEST(header_of(fixture.ask("/plain"), "RateLimit") == "(absent)");
    BOOST_TEST(header_of(fixture.ask("/plain", {{"authorization", token}}), "RateLimit").starts_with("\"user\";r=8"));
}

BOOST_AUTO_TEST_CASE(a_client_over_its_limit_is_refused_before_anything_else_is_done) {
    Fixture fixture("[view page]\nthrottle = few\n[view plain]\nthrottle = few\n[throttle]\nfew = 2/hour\n");
    BOOST_TEST(fixture.ask("/page").status == 200);
    BOOST_TEST(fixture.ask("/plain", {}, "PUT").status == 405);  // counts too
    for (const auto* path : {"/page", "/plain"}) BOOST_TEST_CONTEXT(path) {
            const auto refused = fixture.ask(path);
            BOOST_TEST(refused.status == 429);
            BOOST_TEST(std::stoi(header_of(refused, "Retry-After")) > 3000);
            BOOST_TEST(header_of(refused, "Allow") == "GET, HEAD, POST, OPTIONS");
            BOOST_TEST(header_of(refused, "Vary") == "accept-encoding, accept-language, authorization, cookie, x-theme");
            BOOST_TEST(header_of(refused, "X-Request-Id") != "(absent)");
        }
    BOOST_TEST(fixture.ask("/bare").status == 200);
    BOOST_TEST(fixture.computed == 2);
}

// A process that has every client's lock for a while: where the table has one stripe of addresses, or by the client's own address.
BOOST_AUTO_TEST_CASE(an_event_thread_waits_for_no_lock_and_passes_the_request_on) {
    Fixture fixture("[view plain]\nthrottle = anon\n[throttle]\nanon = 3/day\n");
    std::atomic<int>& state = *shared_memory<std::atomic<int>>();
    const auto child = in_child([&] {
        const HookedTicks hold([&] {
            for (state = 1; state != 2;) ::usleep(1000);
        });
        auto throttle = Throttle::open(throttle_options(fixture.config), hold);
        (void)throttle.check(Scopes{*throttle.find("anon")}, {.user_id = {}, .address = "192.0.2.1"});
    });
    while (state != 1) ::usleep(1000);
    const auto exchange = fixture.begin("/plain");
    const auto begun = std::chrono::steady_clock::now();
    BOOST_TEST(!exchange->without_waiting());
    BOOST_TEST((std::chrono::steady_clock::now() - begun < 50ms));
    BOOST_TEST(fixture.computed == 0);
    BOOST_TEST(exchange->to_the_end([] {}).value().status == 503);  // after its patience
    BOOST_TEST(fixture.throttle.counters().late_locks == 1U);
    BOOST_TEST(fixture.throttle.counters().stalls == 0U);

    const auto patient = fixture.begin("/plain");
    BOOST_TEST(!patient->without_waiting());
    state = 2;
    BOOST_TEST(ended_well(child));
    BOOST_TEST(patient->to_the_end([] {}).value().status == 200);
    BOOST_TEST(fixture.computed == 1);
    const Client client{.user_id = {}, .address = "192.0.2.1"};
    BOOST_TEST(fixture.throttle.usage(client).at(*fixture.throttle.find("anon")).used == 2U);  // that of the child, and one of ours
}

BOOST_AUTO_TEST_CASE(a_token_that_waited_for_its_turn_is_not_looked_at_once_others_were_wrong_too_often) {
    Fixture fixture("[throttle]\nwrong_tokens = 2/hour\n");
    BOOST_REQUIRE(fixture.site.auth.add_user("ann"));
    const Headers right{{"authorization", "Token " + fixture.site.auth.create_token("ann", "").value()}};
    const auto waiting = fixture.begin("/plain", right);
    BOOST_REQUIRE(!waiting->without_waiting());
    for (const char guess : {'a', 'b'})
        BOOST_TEST(fixture.ask("/plain", {{"authorization", "Token " + std::string(40, guess)}}).status == 401);
    BOOST_TEST(waiting->to_the_end([] {}).value().status == 429);
    BOOST_TEST(fixture.computed == 0);
}

namespace {

std::size_t private_bytes() {
    for (const auto& line : split_list(read_file("/proc/self/status"), '\n'))
        if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8)) * 1024;
    throw std::runtime_error("no RssAnon");
}

std::size_t open_descriptors() {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()));
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_million_requests_leave_nothing_behind, Fixture) {
    const auto ask_many = [&](int count) {
        for (int i = 0; i < count; ++i) (void)ask("/page?q=" + std::to_string(i % 100), {{"accept-encoding", "gzip"}});
    };
    ask_many(100'000);
    const auto bytes = private_bytes();
    const auto descriptors = open_descriptors();
    ask_many(900'000);
    BOOST_TEST(open_descriptors() == descriptors);
    if (!kSanitized) BOOST_TEST(private_bytes() < bytes + (1u << 20));  // a sanitizer keeps what was freed
    BOOST_TEST(computed == 100);
}
