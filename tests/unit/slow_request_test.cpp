#define BOOST_TEST_MODULE slow_request
#include "fcgi/slow_request.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;
using namespace std::chrono_literals;

namespace {

const View kView{
    .name = "page", .methods = {"GET"}, .path = "/page", .parameters = {{"n", ParameterType::integer}, "q"}, .cookies = {"c"}, .event = ""};

std::string parameters(std::string_view query) {
    const std::vector<std::pair<std::string, std::string>> headers{{"cookie", "c=cookie-secret"}, {"authorization", "Token secret"}};
    return json::serialize(logged_parameters(kView, ViewRequest(kView, query, headers)));
}

}  // namespace

BOOST_AUTO_TEST_CASE(of_a_query_only_what_the_view_declares_is_logged) {
    BOOST_TEST(parameters("") == "{}");
    BOOST_TEST(parameters("n=007&token=secret&q=a%22b%0A") == R"({"n":"7","q":"a\"b\n"})");
    BOOST_TEST(parameters("q=") == R"({"q":""})");
}

BOOST_AUTO_TEST_CASE(a_long_value_is_cut_between_characters) {
    const std::string whole(kMaxLoggedValue, 'x');
    BOOST_TEST(parameters("q=" + whole) == "{\"q\":\"" + whole + "\"}");
    BOOST_TEST(parameters("q=" + whole + "y") == "{\"q\":\"" + whole + "…\"}");
    BOOST_TEST(parameters("q=" + whole.substr(1) + "é") == "{\"q\":\"" + whole.substr(1) + "…\"}");
}

BOOST_AUTO_TEST_CASE(the_time_it_waited_is_from_nginx_s_clock_to_ours) {
    constexpr TimePoint kRead(1'764'604'171s + 500ms);
    BOOST_TEST((time_waited("1764604171.123", kRead).value() >= 376ms));
    BOOST_TEST((time_waited("1764604171.123", kRead).value() <= 378ms));
    BOOST_TEST((time_waited("1764604171", kRead).value() == 500ms));
    BOOST_TEST((time_waited("1764604172.000", kRead).value() == 0ms));  // its clock is of another moment
    for (const auto* text :
         {"", "x", "1764604171.123x", "17646041", "1764604171123", "-1764604171.123", "nan", "inf", "1e300", " 1764604171.123"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!time_waited(text, kRead).has_value());
}

BOOST_AUTO_TEST_CASE(the_event_says_what_there_is_to_say) {
    RequestContext context{.txid = "t", .address = "192.0.2.1", .view = "page"};
    const auto full =
        slow_request_data(context, {.method = "GET", .status = 200, .parameters = {{"q", "1"}}, .waited = 1500us}).as_object();
    BOOST_TEST(full.at("parameters").at("q").as_string() == "1");
    BOOST_TEST(full.at("waited").as_int64() == 1500);
    BOOST_TEST(full.at("method").as_string() == "GET");
    BOOST_TEST(full.at("status").as_int64() == 200);
    const auto small = slow_request_data(context, {.method = "GET", .status = 200}).as_object();
    BOOST_TEST(!small.contains("parameters"));
    BOOST_TEST(!small.contains("waited"));
}
