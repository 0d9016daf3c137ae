#define BOOST_TEST_MODULE response
#include "fcgi/response.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;
using namespace std::string_literals;

namespace {

Response with_body(int status, std::string body) {
    Response response;
    response.status = status;
    response.set_body(std::move(body));
    return response;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_block_is_status_headers_length_and_an_empty_line) {
    auto response = with_body(200, "hello");
    response.set("Content-Type", "text/plain");
    response.set("ETag", "\"1\"");
    BOOST_TEST(header_block(response) == "Status: 200 OK\r\nContent-Type: text/plain\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\n");
    BOOST_TEST(header_block(Response{}) == "Status: 200 OK\r\nContent-Length: 0\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(a_line_end_in_a_value_begins_no_header) {
    Response response;
    response.set("Location", "/a\r\nSet-Cookie: evil\0x"s);
    BOOST_TEST(header_block(response) == "Status: 200 OK\r\nLocation: /a  Set-Cookie: evil x\r\nContent-Length: 0\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(the_length_is_counted_not_believed) {
    auto response = with_body(200, "hello");
    response.set("content-length", "99");
    BOOST_TEST(header_block(response) == "Status: 200 OK\r\nContent-Length: 5\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(where_no_body_may_be_no_length_is_said) {
    for (const int status : {100, 101, 204, 304}) BOOST_TEST_CONTEXT(status) {
            BOOST_TEST(!may_have_body(status));
            BOOST_TEST(header_block(with_body(status, "x")).find("Content-Length") == std::string::npos);
        }
    for (const int status : {200, 201, 404, 500}) BOOST_TEST_CONTEXT(status) BOOST_TEST(may_have_body(status));
}

BOOST_AUTO_TEST_CASE(setting_a_header_replaces_it_whatever_its_case) {
    Response response;
    response.set("Retry-After", "1");
    response.set("retry-after", "2");
    BOOST_TEST(response.headers.size() == 1);
    BOOST_REQUIRE(response.header("RETRY-AFTER") != nullptr);
    BOOST_TEST(*response.header("RETRY-AFTER") == "2");
    BOOST_TEST(response.header("Retry") == nullptr);
}

BOOST_AUTO_TEST_CASE(a_header_has_its_value_whether_it_is_its_own_or_shared) {
    Response response;
    response.share("Content-Type: text/plain\r\nCache-Control:  max-age=60\r\n", "", nullptr);
    response.set("Age", "7");
    BOOST_TEST(response.header_value("cache-control") == "max-age=60");
    BOOST_TEST(response.header_value("Content-Type") == "text/plain");
    BOOST_TEST(response.header_value("AGE") == "7");
    BOOST_TEST(response.header_value("Cache") == "");
    BOOST_TEST(response.header_value("ETag") == "");
}

BOOST_AUTO_TEST_CASE(shared_lines_have_their_own_length) {
    Response response;
    response.share("Content-Length: 5\r\n", "hello", nullptr);
    BOOST_TEST(header_block(response) == "Status: 200 OK\r\nContent-Length: 5\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(every_status_has_a_phrase) {
    BOOST_TEST(reason_phrase(429) == "Too Many Requests");
    BOOST_TEST(reason_phrase(503) == "Service Unavailable");
    BOOST_TEST(!reason_phrase(599).empty());
}
