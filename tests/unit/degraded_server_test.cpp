#define BOOST_TEST_MODULE degraded_server
#include "fcgi/degraded_server.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/fastcgi_client.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(a_reason_is_said_when_it_begins_when_it_changes_and_each_minute) {
    LastingReason reason;
    const LastingReason::Clock::time_point begin{};
    BOOST_TEST(reason.is_due("a", begin));
    for (auto later = 5s; later < 60s; later += 5s) BOOST_TEST(!reason.is_due("a", begin + later));
    BOOST_TEST(reason.is_due("a", begin + 60s));
    BOOST_TEST(!reason.is_due("a", begin + 119s));
    BOOST_TEST(reason.is_due("b", begin + 119s));
    BOOST_TEST(!reason.is_due("b", begin + 178s));
    BOOST_TEST(reason.is_due("b", begin + 179s));
}

BOOST_AUTO_TEST_CASE(the_random_name_of_a_temporary_file_makes_no_other_reason_but_a_number_of_the_operator_s_does) {
    LastingReason reason;
    const LastingReason::Clock::time_point now{};
    BOOST_TEST(reason.is_due("no room in /run/recto/table.1234567890123", now));
    BOOST_TEST(!reason.is_due("no room in /run/recto/table.98765432109876543", now));
    BOOST_TEST(reason.is_due("recto.ini:2: pool = 900", now));
    BOOST_TEST(reason.is_due("recto.ini:3: pool = 900", now));
    BOOST_TEST(reason.is_due("recto.ini:3: pool = 9000", now));
    BOOST_TEST(!reason.is_due("recto.ini:3: pool = 9000", now));
}

BOOST_AUTO_TEST_CASE(it_answers_503_between_begin_and_end_and_leaves_the_socket_to_the_next) {
    const TemporaryFolder folder;
    const auto path = folder / "recto.sock";
    const auto socket = listen_unix(path);
    DegradedServer server(socket.get());
    for (int round = 0; round < 3; ++round) {
        BOOST_TEST(!server.has_begun());
        server.begin("a reason");
        server.begin("a reason");
        BOOST_TEST(server.has_begun());
        FastcgiClient kept(path);
        for (int i = 0; i < 3; ++i) {
            const auto answer = kept.get("/api/blogs");
            BOOST_REQUIRE(answer);
            BOOST_TEST(answer->status == 503);
            BOOST_TEST(answer->header("retry-after") == "5");
        }
        server.end();
        server.end();
        BOOST_TEST(kept.is_closed_within(5s));
    }
    FastcgiClient waiting(path, 100ms);  // in the backlog, for the server that comes next
    BOOST_TEST(waiting.send(fastcgi_request(get_params("/api/blogs"))));
    BOOST_TEST(!waiting.receive());
}

BOOST_AUTO_TEST_CASE(a_refusal_has_the_request_s_id_or_a_new_one) {
    Request request;
    request.request_id = "abc";
    auto exchange = begin_refusal(std::move(request));
    BOOST_TEST(exchange->without_waiting()->header_value("X-Request-Id") == "abc");
    exchange = begin_refusal({});
    BOOST_TEST(exchange->without_waiting()->header_value("X-Request-Id").size() >= 32u);
}
