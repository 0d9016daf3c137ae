#define BOOST_TEST_MODULE model_rules
#include "cache/model_rules.hpp"

#include <boost/test/unit_test.hpp>

#include "auth/auth.hpp"
#include "blog/blog.hpp"
#include "site/models.hpp"
#include "tests/support/opened_store.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

ModelRules rules_of(std::map<std::string, ModelSection> models) {
    Config config;
    config.models = std::move(models);
    return model_rules(config);
}

ModelSection with_ops(std::vector<std::string> ops) { return {.ops = std::move(ops), .timeout = {}, .lock = {}}; }

std::string rule_for(const ModelRules& rules, std::string_view model) {
    const auto* const rule = rules.find(model);
    return rule == nullptr ? "(none)" : rule->first;
}

bool is_cached(const ModelRules& rules, std::string_view model, ModelOp op) { return rules.options(model, op, "name").ttl > 0ms; }

std::uint64_t hits(const Cache& cache) { return cache.counted(CacheEvent::memory_hit, Cache::kFunctions); }

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_of_name_app_and_all_holds_whole) {
    const ModelRules rules{
        {{"auth.user", {.ops = {ModelOp::get}}}, {"auth.*", {.ops = {ModelOp::fetch}}}, {"*.*", {.ops = {ModelOp::count}}}}};
    BOOST_TEST(rule_for(rules, "auth.user") == "auth.user");
    BOOST_TEST(rule_for(rules, "auth.token") == "auth.*");
    BOOST_TEST(rule_for(rules, "blog.post") == "*.*");
    BOOST_TEST(is_cached(rules, "auth.user", ModelOp::get));
    BOOST_TEST(!is_cached(rules, "auth.user", ModelOp::fetch));  // of auth.*: rules don't add up
    BOOST_TEST(is_cached(rules, "auth.token", ModelOp::fetch));
    BOOST_TEST(!is_cached(rules, "auth.token", ModelOp::count));
    BOOST_TEST(rule_for(ModelRules{{{"auth.*", {}}}}, "blog.post") == "(none)");
    BOOST_TEST(!is_cached(ModelRules{{}}, "blog.post", ModelOp::get));
}

BOOST_AUTO_TEST_CASE(words_become_a_rule) {
    constexpr ModelOp kAll[] = {ModelOp::get, ModelOp::fetch, ModelOp::count, ModelOp::aggregate, ModelOp::exists};
    const auto all = rules_of({{"blog.post", with_ops({"all"})}}), one_and_all = rules_of({{"blog.post", with_ops({"get", "all"})}}),
               none = rules_of({{"blog.post", with_ops({})}}), two = rules_of({{"blog.post", with_ops({"count", "exists"})}});
    for (const auto op : kAll) BOOST_TEST_CONTEXT(to_text(op)) {
            BOOST_TEST(is_cached(all, "blog.post", op));
            BOOST_TEST(is_cached(one_and_all, "blog.post", op));
            BOOST_TEST(!is_cached(none, "blog.post", op));
            BOOST_TEST(is_cached(two, "blog.post", op) == (op == ModelOp::count || op == ModelOp::exists));
        }
    const auto rules = rules_of({{"blog.post", {.ops = {{"get"}}, .timeout = 3min, .lock = "off"}}});
    BOOST_TEST((rules.options("blog.post", ModelOp::get, "n").ttl == 3min));
    BOOST_TEST(!rules.options("blog.post", ModelOp::get, "n").one_at_a_time);
    BOOST_TEST(two.options("blog.post", ModelOp::count, "n").one_at_a_time);
}

BOOST_AUTO_TEST_CASE(without_sections_who_a_token_stands_for_is_cached_and_nothing_else) {
    const auto rules = rules_of({});
    BOOST_TEST(is_cached(rules, "auth.user", ModelOp::get));
    for (const auto* model : {"auth.token", "blog.post"}) BOOST_TEST(!is_cached(rules, model, ModelOp::get));
    BOOST_TEST(!is_cached(rules_of({{"auth.user", with_ops({})}}), "auth.user", ModelOp::get));
}

BOOST_AUTO_TEST_CASE(what_the_operator_says_of_an_app_or_of_all_goes_before_the_rule_he_did_not_write) {
    for (const auto* name : {"auth.*", "*.*"}) BOOST_TEST_CONTEXT(name) {
            BOOST_TEST(!is_cached(rules_of({{name, with_ops({})}}), "auth.user", ModelOp::get));
            const auto rules = rules_of({{name, {.ops = {{"get"}}, .timeout = 1min, .lock = {}}}});
            BOOST_TEST((rules.options("auth.user", ModelOp::get, "n").ttl == 1min));
        }
    BOOST_TEST(is_cached(rules_of({{"blog.*", with_ops({})}}), "auth.user", ModelOp::get));
}

BOOST_AUTO_TEST_CASE(the_queries_of_a_blog_are_cached_as_its_rule_says_and_come_back_the_same) {
    OpenedStore opened;
    const ModelRules all{{{"*.*", {.ops = {ModelOp::get, ModelOp::fetch}}}}}, nothing{{}};
    Auth auth(opened.store, opened.cache, nothing);
    BOOST_REQUIRE(auth.add_user("Ann"));
    Blog cached_blog(opened.store, opened.cache, all), plain_blog(opened.store, opened.cache, nothing);
    const auto now = TimePoint(std::chrono::days(20'000));
    const auto post = plain_blog.create({.title = "Title",
                                         .slug = "slug",
                                         .body = "Text \"ä\"",
                                         .language = "en",
                                         .status = PostStatus::published,
                                         .published_at = now,
                                         .authors = {{"Ann"}},
                                         .tags = {{"one", "two"}}},
                                        now);
    BOOST_REQUIRE(post);
    const auto before = hits(opened.cache);
    for (int round = 0; round < 2; ++round)
        for (auto* blog : {&cached_blog, &plain_blog}) {
            const auto by_id = blog->find(post->id), by_slug = blog->find("slug");
            for (const auto* found : {&by_id, &by_slug}) {
                BOOST_REQUIRE(found->has_value());
                BOOST_TEST((*found)->title == "Title");
                BOOST_TEST((*found)->body == "Text \"ä\"");
                BOOST_TEST(((*found)->status == PostStatus::published));
                BOOST_TEST(((*found)->published_at == now));
                BOOST_TEST(((*found)->created_at == post->created_at));
                BOOST_TEST((*found)->authors == post->authors, boost::test_tools::per_element());
                BOOST_TEST((*found)->tags == post->tags, boost::test_tools::per_element());
            }
            BOOST_TEST(blog->list().size() == 1u);
            BOOST_TEST(blog->list(PostStatus::draft).empty());
            BOOST_TEST(blog->published_by_author(1).at(0).body == "Text \"ä\"");
            BOOST_TEST((blog->published_by_author(1).at(0).published_at == now));
        }
    BOOST_TEST(hits(opened.cache) == before + 7u);  // the second round of six, and the second published_by_author of the first

    BOOST_REQUIRE(cached_blog.change(post->id, {.title = "New"}, now));
    BOOST_TEST(cached_blog.find("slug")->title == "New");
    BOOST_TEST(cached_blog.published_by_author(1).at(0).title == "New");
    BOOST_TEST(!cached_blog.find("other").has_value());
    BOOST_TEST(cached_blog.remove(post->id));
    BOOST_TEST(!cached_blog.find(post->id).has_value());
}
