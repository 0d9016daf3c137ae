#define BOOST_TEST_MODULE answers
#include "fcgi/answers.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(a_throttled_answer_has_drfs_bytes_and_a_retry_after) {
    const auto answer = throttled(86'400s);
    BOOST_TEST(answer.status == 429);
    BOOST_TEST(answer.body() == R"({"detail":"Request was throttled. Expected available in 86400 seconds."})");
    BOOST_TEST(*answer.header("Retry-After") == "86400");
    BOOST_TEST(*answer.header("Cache-Control") == "no-store");
}

BOOST_AUTO_TEST_CASE(one_second_is_singular) {
    BOOST_TEST(throttled(1s).body() == R"({"detail":"Request was throttled. Expected available in 1 second."})");
}

BOOST_AUTO_TEST_CASE(a_wrong_method_is_named_as_drf_names_it) {
    const auto answer = method_not_allowed("POST");
    BOOST_TEST(answer.status == 405);
    BOOST_TEST(answer.body() == R"({"detail":"Method \"POST\" not allowed."})");
    BOOST_TEST(method_not_allowed("A\"B").body() == R"({"detail":"Method \"A\"B\" not allowed."})");
}

BOOST_AUTO_TEST_CASE(the_other_shapes_are_drfs) {
    BOOST_TEST(invalid_field("author_id", "x").status == 400);
    BOOST_TEST(not_found().status == 404);
    BOOST_TEST(uri_too_long().status == 414);
    BOOST_TEST(precondition_failed().status == 412);
    BOOST_TEST(server_error().status == 500);
    BOOST_TEST(repeated_header("host").status == 400);
    BOOST_TEST(not_found().body() == R"({"detail":"Not found."})");
    BOOST_TEST(invalid_field("author_id", "This field is required.").body() == R"({"author_id":["This field is required."]})");
    const auto answer = unauthorized("Invalid token.");
    BOOST_TEST(answer.status == 401);
    BOOST_TEST(answer.body() == R"({"detail":"Invalid token."})");
    BOOST_TEST(*answer.header("WWW-Authenticate") == "Token");
}
