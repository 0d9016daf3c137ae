#define BOOST_TEST_MODULE record
#include "fcgi/record.hpp"

#include <boost/test/unit_test.hpp>
#include <random>

#include "tests/fuzz/record_fuzz.cpp"
#include "tests/support/fastcgi_client.hpp"

BOOST_TEST_DONT_PRINT_LOG_VALUE(recto::Arrival)

using namespace recto;

namespace {

constexpr int kBegin = 1;
constexpr int kParams = 4;
constexpr int kStdin = 5;

Arrival state_of(std::string_view bytes) { return look_at_request(bytes).state; }

std::string padded(std::string record, std::size_t bytes) {
    record[6] = static_cast<char>(bytes);
    return record + std::string(bytes, '\0');
}

std::string text(const auto& record) { return {record.data(), record.size()}; }

std::vector<std::string> params_of(const std::string& bytes) {
    const auto arrived = look_at_request(bytes);
    std::vector<std::string> all;
    auto rest = arrived.params();
    while (const auto param = take_param(rest)) all.push_back(std::string(param->name) + '=' + std::string(param->value));
    return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_request_is_complete_with_its_last_byte_and_not_before) {
    for (const auto& bytes : {fastcgi_request(get_params("/")), fastcgi_request(post_params("/", 300), std::string(300, 'x')),
                              fastcgi_request(get_params("/", std::string(5000, 'q')), {}, false, 65'535)}) {
        for (std::size_t size = 0; size < bytes.size(); ++size)
            BOOST_TEST_CONTEXT(size) BOOST_TEST(state_of(std::string_view(bytes).substr(0, size)) == Arrival::incomplete);
        BOOST_TEST(state_of(bytes) == Arrival::complete);
        BOOST_TEST(!look_at_request(bytes).more_follows);
        BOOST_TEST(look_at_request(bytes + "\1").more_follows);
    }
}

BOOST_AUTO_TEST_CASE(parameters_may_be_spread_over_records_and_padded) {
    const auto content = fastcgi_params(post_params("/", 5)).substr(8);
    const auto params = content.substr(0, content.size() - 8);
    std::string bytes = fastcgi_begin();
    for (std::size_t at = 0; at < params.size(); at += 7) bytes += padded(fastcgi_record(kParams, params.substr(at, 7)), at % 9);
    bytes += fastcgi_record(kParams, {}) + padded(fastcgi_record(kStdin, "12345"), 3) + fastcgi_record(kStdin, {});
    BOOST_TEST(state_of(bytes) == Arrival::complete);
    BOOST_TEST(look_at_request(bytes).content_length.value() == 5u);
    BOOST_TEST(params_of(bytes) == params_of(fastcgi_request(post_params("/", 5), "12345")), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_parameter_is_read_whatever_its_length) {
    const FastcgiParams params{{"", ""}, {"A", std::string(127, 'a')}, {"B", std::string(128, 'b')}, {std::string(300, 'C'), ""}};
    std::vector<std::string> expected;
    for (const auto& [name, value] : params) expected.push_back(name + '=' + value);
    BOOST_TEST(params_of(fastcgi_request(params)) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_connection_is_kept_if_the_request_says_so) {
    BOOST_TEST(look_at_request(fastcgi_request(get_params("/"), {}, true)).is_kept);
    BOOST_TEST(!look_at_request(fastcgi_request(get_params("/"), {}, false)).is_kept);
    // The other flags are not ours.
    for (int flags = 0; flags < 256; ++flags) {
        auto bytes = fastcgi_request(get_params("/"));
        bytes[kHeader + 2] = static_cast<char>(flags);
        BOOST_TEST(look_at_request(bytes).is_kept == (flags % 2 == 1));
    }
}

BOOST_AUTO_TEST_CASE(a_body_is_read_in_pieces_of_any_size) {
    const auto records = padded(fastcgi_record(kStdin, "12345"), 3) + fastcgi_record(kStdin, "6") + fastcgi_record(kStdin, {});
    for (std::size_t size = 1; size <= records.size(); ++size) BOOST_TEST_CONTEXT(size) {
            BodyReader reader(1);
            std::string body;
            for (std::size_t at = 0; at < records.size(); at += size) {
                BOOST_TEST(!reader.at_end());
                BOOST_TEST(reader.take(std::string_view(records).substr(at, size), body));
            }
            BOOST_TEST(reader.at_end());
            BOOST_TEST(!reader.more_follows());
            BOOST_TEST(body == "123456");
        }
}

BOOST_AUTO_TEST_CASE(a_body_ends_with_its_empty_record) {
    BodyReader reader(1);
    std::string body;
    BOOST_TEST(reader.take(fastcgi_record(kStdin, {}) + "x", body));
    BOOST_TEST(reader.at_end());
    BOOST_TEST(reader.more_follows());
    BOOST_TEST(body.empty());
}

BOOST_AUTO_TEST_CASE(other_records_in_a_body_are_malformed) {
    for (const auto& record : {fastcgi_record(2, {}), fastcgi_record(kParams, "x"), fastcgi_record(kStdin, "x", 2), std::string(8, '\0'),
                               padded(fastcgi_record(kStdin, {}), 8)}) {
        BodyReader reader(1);
        std::string body;
        BOOST_TEST(!reader.take(fastcgi_record(kStdin, "x") + record, body));
    }
}

BOOST_AUTO_TEST_CASE(an_answer_is_content_behind_a_header_and_then_an_end) {
    BOOST_TEST(text(content_header(0x0102, 0x0304)) == std::string("\1\6\1\2\3\4\0\0", 8));
    BOOST_TEST(text(end_of_answer(0x0102)) == std::string("\1\6\1\2\0\0\0\0"
                                                          "\1\3\1\2\0\10\0\0"
                                                          "\0\0\0\0\0\0\0\0",
                                                          24));
}

BOOST_AUTO_TEST_CASE(a_large_body_is_not_waited_for) {
    const auto head = fastcgi_begin() + fastcgi_params(post_params("/", kAwaitedBody + 1));
    BOOST_TEST(state_of(head) == Arrival::large_body);
    BOOST_TEST(state_of(head.substr(0, head.size() - 1)) == Arrival::incomplete);
    BOOST_TEST(state_of(fastcgi_begin() + fastcgi_params(post_params("/", kAwaitedBody))) == Arrival::incomplete);
    // One whose length nobody said is one when it turns out to be.
    const auto chunked = fastcgi_request(get_params("/"), std::string(kAwaitedBody + 1, 'x'));
    BOOST_TEST(state_of(std::string_view(chunked).substr(0, chunked.size() - 1)) == Arrival::large_body);
    BOOST_TEST(state_of(chunked) == Arrival::complete);
}

BOOST_AUTO_TEST_CASE(another_role_is_told_apart) {
    for (const int role : {0, 2, 3, 255}) BOOST_TEST_CONTEXT(role) BOOST_TEST(state_of(fastcgi_begin(true, role)) == Arrival::other_role);
    BOOST_TEST(look_at_request(fastcgi_begin(true, 2, 300)).id == 300);
    auto two_bytes = fastcgi_begin(true, 1);
    two_bytes[kHeader] = '\1';
    BOOST_TEST(state_of(two_bytes) == Arrival::other_role);  // 257
    BOOST_TEST(text(unknown_role_record(0x0102)) == std::string("\1\3\1\2\0\10\0\0\0\0\0\0\3\0\0\0", 16));
}

BOOST_AUTO_TEST_CASE(what_no_web_server_sends_is_malformed) {
    const auto begin = fastcgi_begin();
    const auto params = fastcgi_params(get_params("/"));
    using namespace std::string_literals;
    const std::pair<const char*, std::string> table[] = {
        {"version", "\2"},
        {"version of a whole header", "\0\1\0\1\0\10\0\0"s},
        {"parameters first", params},
        {"management record", fastcgi_record(9, "\x0f\0FCGI_MPXS_CONNS"s, 0)},
        {"begin with id 0", fastcgi_begin(true, 1, 0)},
        {"begin of another size", fastcgi_record(kBegin, "\0\1\0\0\0\0\0"s)},
        {"padded begin", padded(begin, 8)},
        {"begin twice", begin + begin},
        {"another request's begin", begin + fastcgi_begin(true, 1, 2)},
        {"another request's parameters", begin + fastcgi_params(get_params("/"), 2)},
        {"body before the parameters' end", begin + params.substr(0, params.size() - 8) + fastcgi_record(kStdin, {})},
        {"abort", begin + params + fastcgi_record(2, {})},
        {"padded end of parameters", begin + params.substr(0, params.size() - 8) + padded(fastcgi_record(kParams, {}), 8)},
        {"padded end of body", begin + params + padded(fastcgi_record(kStdin, {}), 8)},
        {"a name of 2 GB", begin + fastcgi_stream(kParams, "\xff\xff\xff\xff\xff\xff\xff\xffx"s)},
        {"a value longer than the rest", begin + fastcgi_stream(kParams, "\1\3Aab"s)},
        {"a length cut off", begin + fastcgi_stream(kParams, "\1\x80\0"s)},
        {"a name without a value's length", begin + fastcgi_stream(kParams, "\1"s)},
        {"a content length that is none", begin + fastcgi_params({{"CONTENT_LENGTH", "12a"}})},
        {"a negative content length", begin + fastcgi_params({{"CONTENT_LENGTH", "-1"}})},
        {"two content lengths", begin + fastcgi_params({{"CONTENT_LENGTH", "1"}, {"CONTENT_LENGTH", "2"}})},
        {"more parameters than fit", (begin + fastcgi_params({{"A", std::string(kWindow, 'x')}})).substr(0, kWindow)},
    };
    for (const auto& [name, bytes] : table) BOOST_TEST_CONTEXT(name) BOOST_TEST(state_of(bytes) == Arrival::malformed);
}

BOOST_AUTO_TEST_CASE(a_content_length_may_be_repeated_or_empty) {
    const auto arrived = look_at_request(
        fastcgi_request({{"CONTENT_LENGTH", ""}, {"CONTENT_LENGTH", "2"}, {"CONTENT_LENGTH", "2"}, {"CONTENT_LENGTH", ""}}, "ab"));
    BOOST_TEST(arrived.state == Arrival::complete);
    BOOST_TEST(arrived.content_length.value() == 2u);
}

BOOST_AUTO_TEST_CASE(nginx_largest_parameters_fit) {
    FastcgiParams params{{"A", std::string(65'535 - 1 - 5, 'x')}};
    BOOST_TEST(state_of(fastcgi_request(params)) == Arrival::complete);
}

BOOST_AUTO_TEST_CASE(no_bytes_at_all_are_read_out_of_bounds) {
    std::mt19937 random(7);
    const auto good = fastcgi_request(post_params("/", 40), std::string(40, 'b'));
    for (int round = 0; round < 200'000; ++round) {
        auto bytes = good.substr(0, random() % (good.size() + 1));
        for (auto flips = random() % 4; flips > 0 && !bytes.empty(); --flips) bytes[random() % bytes.size()] = static_cast<char>(random());
        (void)look_at_request(std::string(bytes));  // judged by the sanitisers
    }
}

// Its own rules too: more bytes don't take a verdict back, and what is said to be complete can be read to its end.
BOOST_AUTO_TEST_CASE(what_is_said_to_be_complete_is) {
    BOOST_TEST(replay(LLVMFuzzerTestOneInput, "tests/fuzz/seeds/record", 20'000) > 20'000u);
}
