// What a client is told about its limits, byte by byte.
#define BOOST_TEST_MODULE view_throttle
#include "fcgi/view_throttle.hpp"

#include "fcgi/answers.hpp"
#include "tests/support/throttles.hpp"

using namespace recto;

namespace {

std::vector<ThrottlePolicy> all_policies() {
    auto watched = policy("watched", 1, 60s);
    watched.dry_run = true;
    return {policy("anon", 2, 86'400s, true), policy("user", 1000, 86'400s),          policy("burst", 3, 1s),
            policy("closed", 0, 60s),         policy("wrong_tokens", 2, 3600s, true), watched};
}

struct Limited : Table {
    FakeTicks clock;
    Throttle throttle;
    ViewThrottle view;

    explicit Limited(std::string_view told = "users", Exempt exempt = {}, std::vector<ThrottlePolicy> policies = all_policies())
        : Table(std::move(policies)), throttle(open(clock)), view(throttle, std::move(exempt), told) {}

    // What the client gets that would be given `answer`.
    Response ask(const std::vector<std::string>& scopes, const Client& client, Response answer = json_answer(200, "{}"),
                 std::uint32_t cost = 1) {
        std::vector<Throttle::Quota> quotas;
        if (auto refused = view.refusal(view.limits_of({.throttle = scopes, .cost = cost, .log = {}}), client, quotas))
            return *std::move(refused);
        view.tell(answer, quotas, client.user_id.has_value());
        return answer;
    }
};

std::string_view field(const Response& response, std::string_view name) { return response.header_value(name); }

Response with_cache_control(std::string value) {
    auto answer = json_answer(200, "{}");
    answer.set("Cache-Control", std::move(value));
    return answer;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_refusal_is_drfs_byte_by_byte_with_the_fields_of_the_draft) {
    Limited limited;
    for (int i = 0; i < 2; ++i) BOOST_TEST(limited.ask({"anon", "user"}, kSomeone).status == 200);
    limited.clock.tick += 100 * kSecond;
    const auto refused = limited.ask({"anon", "user"}, kSomeone);
    BOOST_TEST(refused.body() == R"({"detail":"Request was throttled. Expected available in 86300 seconds."})");
    BOOST_TEST(header_block(refused) ==
               "Status: 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 86300\r\nCache-Control: no-store\r\n"
               "RateLimit-Policy: \"anon\";q=2;w=86400, \"user\";q=1000;w=86400\r\n"
               "RateLimit: \"anon\";r=0;t=86300, \"user\";r=998;t=86300\r\nContent-Length: 72\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(a_second_is_singular_and_never_none) {
    Limited limited;
    for (int i = 0; i < 3; ++i) BOOST_TEST(limited.ask({"burst"}, kSomeone).status == 200);
    for (const auto late : {kSecond - 1, kSecond / 2, std::uint64_t{0}}) {
        limited.clock.tick += kSecond - 1 - late - (limited.clock.tick % kSecond);
        const auto refused = limited.ask({"burst"}, kSomeone);
        BOOST_TEST(refused.body() == R"({"detail":"Request was throttled. Expected available in 1 second."})");
        BOOST_TEST(field(refused, "Retry-After") == "1");
    }
    ++limited.clock.tick;
    BOOST_TEST(limited.ask({"burst"}, kSomeone).status == 200);
}

BOOST_AUTO_TEST_CASE(users_are_told_what_is_left_and_visitors_only_if_the_operator_says_so) {
    Limited limited;
    const auto told = limited.ask({"anon", "user", "burst"}, user(7));
    BOOST_TEST(field(told, "RateLimit-Policy") == R"("user";q=1000;w=86400, "burst";q=3;w=1)");
    BOOST_TEST(field(told, "RateLimit") == R"("user";r=999;t=86400, "burst";r=2;t=1)");
    BOOST_TEST(field(limited.ask({"burst"}, kSomeone), "RateLimit") == "");

    Limited open("all"), closed("off");
    const auto private_answer = with_cache_control("private, max-age=0");
    BOOST_TEST(field(open.ask({"anon"}, kSomeone, private_answer), "RateLimit") == R"("anon";r=1;t=86400)");
    BOOST_TEST(field(closed.ask({"user"}, user(7)), "RateLimit") == "");
}

BOOST_AUTO_TEST_CASE(an_answer_that_a_cache_may_give_to_others_carries_nobodys_numbers) {
    Limited limited("all");
    for (const auto* const control : {"max-age=60", "public", "no-cache", "s-maxage=9, must-revalidate"})
        BOOST_TEST_CONTEXT(control) BOOST_TEST(field(limited.ask({"user"}, user(7), with_cache_control(control)), "RateLimit") == "");
    for (const auto* const control : {"private", "no-store", "private, max-age=60"})
        BOOST_TEST_CONTEXT(control) BOOST_TEST(field(limited.ask({"user"}, user(7), with_cache_control(control)), "RateLimit") != "");
    BOOST_TEST(field(limited.ask({"anon"}, at("192.0.2.9")), "RateLimit") == "");  // no word about it: shared caches may (RFC 9111, 4.2.2)
    auto shared = Response{};
    shared.share("Cache-Control: max-age=60\r\nContent-Length: 0\r\n", "", nullptr);
    BOOST_TEST(field(limited.ask({"user"}, user(7), shared), "RateLimit") == "");
}

BOOST_AUTO_TEST_CASE(a_scope_that_takes_nobody_has_no_quota_to_tell) {
    Limited limited;
    const auto refused = limited.ask({"closed", "user"}, user(7));
    BOOST_TEST(refused.status == 429);
    BOOST_TEST(field(refused, "RateLimit") == R"("user";r=1000)");
    BOOST_TEST(field(limited.ask({"closed"}, user(7)), "RateLimit") == "");
}

BOOST_AUTO_TEST_CASE(a_scope_that_is_off_counts_nothing) {
    Limited limited;
    for (int i = 0; i < 10; ++i) BOOST_TEST(limited.ask({"not_there"}, kSomeone).status == 200);
}

BOOST_AUTO_TEST_CASE(a_request_may_cost_more_than_one) {
    Limited limited("all");
    const auto told = limited.ask({"user"}, user(7), json_answer(200, "{}"), 600);
    BOOST_TEST(field(told, "RateLimit") == R"("user";r=400;t=86400)");
    const auto refused = limited.ask({"user"}, user(7), json_answer(200, "{}"), 600);
    BOOST_TEST(refused.status == 429);
    BOOST_TEST(field(refused, "RateLimit") == R"("user";r=400;t=86400)");
    BOOST_TEST(limited.ask({"user"}, user(7), json_answer(200, "{}"), 400).status == 200);
}

BOOST_AUTO_TEST_CASE(a_dry_run_refuses_nobody) {
    Limited limited;
    for (int i = 0; i < 5; ++i) BOOST_TEST(limited.ask({"watched"}, kSomeone).status == 200);
    BOOST_TEST(limited.throttle.counters().would_refuse == 4u);
}

BOOST_AUTO_TEST_CASE(who_is_exempt_is_never_counted_nor_told) {
    Limited limited("all", Exempt({Network::parse("10.0.0.0/8").value()}, {7}));
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(limited.ask({"anon", "closed"}, at("10.1.2.3")).status == 200);
        BOOST_TEST(limited.ask({"anon", "closed"}, user(7)).status == 200);
        BOOST_TEST(limited.ask({"closed"}, at("local")).status == 200);  // the command line
        BOOST_TEST(!limited.view.refusal_after_wrong_token("10.1.2.3"));
    }
    BOOST_TEST(limited.throttle.counters().refused == 0u);
    BOOST_TEST(limited.ask({"closed"}, user(8)).status == 429);
}

BOOST_AUTO_TEST_CASE(wrong_tokens_are_counted_by_address_and_then_none_is_looked_at) {
    Limited limited;
    for (int i = 0; i < 2; ++i) {
        BOOST_TEST(!limited.view.refusal_of_guesses("192.0.2.7"));
        BOOST_TEST(!limited.view.refusal_after_wrong_token("192.0.2.7"));
    }
    const auto refused = limited.view.refusal_of_guesses("192.0.2.7");
    BOOST_REQUIRE(refused.has_value());
    BOOST_TEST(refused->body() == R"({"detail":"Request was throttled. Expected available in 3600 seconds."})");
    BOOST_TEST(!limited.view.refusal_of_guesses("192.0.2.8"));
    limited.clock.tick += 3600 * kSecond;
    for (int i = 0; i < 10; ++i) BOOST_TEST(!limited.view.refusal_of_guesses("192.0.2.7"));  // looking costs nothing
}

BOOST_AUTO_TEST_CASE(without_a_limit_of_wrong_tokens_none_is_refused) {
    Limited limited("users", {}, {policy("anon", 2, 86'400s, true)});
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(!limited.view.refusal_after_wrong_token("192.0.2.7"));
        BOOST_TEST(!limited.view.refusal_of_guesses("192.0.2.7"));
    }
}
