#define BOOST_TEST_MODULE units
#include "util/units.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(a_duration_is_a_number_and_a_unit_we_know) {
    const std::pair<const char*, std::chrono::milliseconds> good[] = {
        {"50ms", 50ms}, {"10s", 10s}, {"15min", 15min}, {"15m", 15min}, {"2h", 2h}, {"7d", 168h}, {"0s", 0s}, {"10000d", 240'000h}};
    for (const auto& [text, expected] : good) BOOST_TEST_CONTEXT(text) {
        const auto parsed = parse_duration(text);
        BOOST_REQUIRE(parsed);
        BOOST_TEST(parsed->count() == expected.count());
    }
    for (const auto* text : {"", "50", "50sm", "ms", "-1s", "1.5s", "1 s", " 1s", "1s ", "1S", "10001d", "99999999999999999999ms"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!parse_duration(text));
}

BOOST_AUTO_TEST_CASE(a_size_counts_in_powers_of_1024) {
    const std::pair<const char*, std::uint64_t> good[] = {
        {"0B", 0}, {"512B", 512}, {"1K", 1024}, {"64KB", 65536}, {"10MB", 10485760}, {"2G", 2147483648}};
    for (const auto& [text, expected] : good) BOOST_TEST_CONTEXT(text) {
        const auto parsed = parse_size(text);
        BOOST_REQUIRE(parsed);
        BOOST_TEST(parsed->bytes == expected);
    }
    for (const auto* text : {"", "10", "10mb", "10TB", "-1B", "1.5K", "9999999999999G"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!parse_size(text));
}

BOOST_AUTO_TEST_CASE(a_rate_refuses_the_words_that_drf_misreads) {
    const std::pair<const char*, Rate> good[] = {{"100/day", {100, 86'400s}}, {"5/second", {5, 1s}},       {"30/15minutes", {30, 900s}},
                                                 {"60/min", {60, 60s}},       {"0/day", {0, 86'400s}},     {"10/h", {10, 3'600s}},
                                                 {"1/2days", {1, 172'800s}},  {"1000/1hour", {1000, 3'600s}}};
    for (const auto& [text, expected] : good) BOOST_TEST_CONTEXT(text) {
        const auto parsed = parse_rate(text);
        BOOST_REQUIRE(parsed);
        BOOST_TEST((*parsed == expected));
    }
    for (const auto* text : {"", "100", "100/", "/day", "10/month", "10/ms", "10/Day", "10/ day", "10/d/x", "-5/day", "1e3/day", "10.5/day",
                             "1_0/day", " 10/day", "10/0days", "9999999999/day", "1/367days"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!parse_rate(text));
}

BOOST_AUTO_TEST_CASE(what_is_printed_parses_back_to_the_same) {
    for (const auto* text : {"50ms", "10s", "15min", "2h", "7d", "1500ms", "90s", "0ms"})
        BOOST_TEST(to_text(*parse_duration(text)) == text);
    for (const auto* text : {"512B", "64KB", "10MB", "3GB", "1536B", "0B"}) BOOST_TEST(to_text(*parse_size(text)) == text);
    for (const auto* text : {"100/day", "5/second", "30/15minutes", "1000/2days", "7/90seconds"})
        BOOST_TEST(to_text(*parse_rate(text)) == text);
    BOOST_TEST(to_text(*parse_rate("5/10seconds")) == "5/10seconds");
    BOOST_TEST(to_text(*parse_rate("5/11hours")) == "5/11hours");
}
