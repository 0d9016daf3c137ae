#define BOOST_TEST_MODULE request
#include "fcgi/request.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;

namespace {

Request from(std::vector<const char*> environment) {
    environment.push_back(nullptr);
    return request_from_environment(environment.data());
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_part_comes_from_its_variable) {
    const auto request = from({"REQUEST_METHOD=POST", "PATH_INFO=/api/blogs", "QUERY_STRING=author_id=12&x=%20", "REMOTE_ADDR=192.0.2.7",
                               "REQUEST_ID=0123456789abcdef0123456789ABCDEF", "CONTENT_TYPE=application/json", "HTTP_IF_NONE_MATCH=\"a=b\"",
                               "REQUEST_SENT=1764604171.123", "SERVER_NAME=x", "no equals sign", "HTTP_X=", "FCGI_ROLE=RESPONDER"});
    BOOST_TEST(request.method == "POST");
    BOOST_TEST(request.path == "/api/blogs");
    BOOST_TEST(request.query == "author_id=12&x=%20");
    BOOST_TEST(request.address == "192.0.2.7");
    BOOST_TEST(request.request_id == "0123456789abcdef0123456789ABCDEF");
    BOOST_TEST(request.sent_at == "1764604171.123");
    BOOST_TEST(request.body.empty());
    BOOST_TEST(request.headers.size() == 3);
    BOOST_TEST(request.header("content-type").value() == "application/json");
    BOOST_TEST(request.header("if-none-match").value() == "\"a=b\"");
}

BOOST_AUTO_TEST_CASE(an_empty_header_is_not_an_absent_one) {
    const auto request = from({"HTTP_X=", "CONTENT_TYPE="});
    BOOST_TEST(request.header("x").has_value());
    BOOST_TEST(request.header("x").value() == "");
    BOOST_TEST(!request.header("y").has_value());
    BOOST_TEST(!request.header("content-type").has_value());
}

BOOST_AUTO_TEST_CASE(headers_that_lie_or_repeat_are_left_out) {
    const auto request =
        from({"HTTP_PROXY=http://evil.example/", "HTTP_CONTENT_LENGTH=5", "HTTP_CONTENT_TYPE=text/plain", "CONTENT_TYPE=text/html"});
    BOOST_TEST(request.headers.size() == 1);
    BOOST_TEST(!request.header("proxy").has_value());
    BOOST_TEST(request.header("content-type").value() == "text/html");
}

BOOST_AUTO_TEST_CASE(a_header_in_several_lines_is_one_list) {
    const auto request =
        from({"HTTP_IF_NONE_MATCH=\"a\", \"b\"", "HTTP_ACCEPT_ENCODING=br", "HTTP_IF_NONE_MATCH=W/\"c\"", "HTTP_COOKIE=a=1",
              "HTTP_ACCEPT_ENCODING=", "HTTP_COOKIE=b=2; c=3", "HTTP_ACCEPT_ENCODING=gzip", "HTTP_COOKIES=x"});
    BOOST_TEST(request.headers.size() == 4u);
    BOOST_TEST(request.header("if-none-match").value() == "\"a\", \"b\", W/\"c\"");
    BOOST_TEST(request.header("accept-encoding").value() == "br, , gzip");
    BOOST_TEST(request.header("cookie").value() == "a=1; b=2; c=3");
    BOOST_TEST(request.header("cookies").value() == "x");
    BOOST_TEST(request.repeated_header == "");
}

BOOST_AUTO_TEST_CASE(of_some_headers_there_may_be_only_one) {
    for (const auto& [name, variable] : {std::pair("authorization", "HTTP_AUTHORIZATION="), std::pair("host", "HTTP_HOST="),
                                         std::pair("content-type", "CONTENT_TYPE=text/")})
        for (const auto* second : {"a", "b", ""}) BOOST_TEST_CONTEXT(variable << second) {
                const auto one = std::string(variable) + "a", other = std::string(variable) + second;
                BOOST_TEST(from({one.c_str()}).repeated_header == "");
                BOOST_TEST(from({one.c_str(), "HTTP_X=1", "HTTP_X=2", other.c_str()}).repeated_header == name);
            }
}

BOOST_AUTO_TEST_CASE(without_path_info_the_script_name_is_the_path) {
    const std::pair<std::vector<const char*>, const char*> table[] = {{{"SCRIPT_NAME=/a"}, "/a"},
                                                                      {{"SCRIPT_NAME=/a", "PATH_INFO=/b"}, "/b"},
                                                                      {{"PATH_INFO=/b", "SCRIPT_NAME=/a"}, "/b"},
                                                                      {{"PATH_INFO=", "SCRIPT_NAME=/a"}, "/a"},
                                                                      {{}, ""}};
    for (const auto& [environment, path] : table) BOOST_TEST_CONTEXT(path) BOOST_TEST(from(environment).path == path);
}

BOOST_AUTO_TEST_CASE(only_a_missing_address_is_local) {
    BOOST_TEST(from({}).address == "local");
    BOOST_TEST(from({"REMOTE_ADDR="}).address == "unknown");
    BOOST_TEST(from({"REMOTE_ADDR=unix:"}).address == "unknown");
    BOOST_TEST(from({"REMOTE_ADDR=2001:db8::1"}).address == "2001:db8::1");
}

BOOST_AUTO_TEST_CASE(a_request_id_has_32_hexadecimal_digits) {
    for (const auto* id : {"REQUEST_ID=", "REQUEST_ID=0123456789abcdef0123456789abcde", "REQUEST_ID=0123456789abcdef0123456789abcdef0",
                           "REQUEST_ID=0123456789abcdef0123456789abcdeg", "REQUEST_ID=0123456789abcdef\n123456789abcdef"})
        BOOST_TEST_CONTEXT(id) BOOST_TEST(from({id}).request_id == "");
}
