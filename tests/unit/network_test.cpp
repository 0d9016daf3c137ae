#define BOOST_TEST_MODULE network
#include "util/network.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;

namespace {

bool is_in(std::string_view network, std::string_view address) {
    return Network::parse(network).value().contains(parse_address(address).value());
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_address_is_found_whatever_a_server_adds_to_it) {
    const auto four = parse_address("192.0.2.1");
    const auto six = parse_address("2001:db8::1");
    BOOST_REQUIRE((four && six));
    BOOST_TEST(four->is_v4());
    BOOST_TEST(!six->is_v4());
    for (const auto* const text : {"192.0.2.1:80", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80", "::FFFF:c000:0201"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST((parse_address(text) == four));
    for (const auto* const text : {"[2001:db8::1]", "[2001:db8::1]:80", "2001:DB8:0:0::1", "2001:db8::1%eth0"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST((parse_address(text) == six));
    for (const auto* const text :
         {"", "localhost", "unix:", "192.0.2", "192.0.2.1.1", "192.0.2.256", "1", ":::", "2001:db8::g", " 192.0.2.1"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(!parse_address(text));
    BOOST_TEST(!parse_address(std::string_view("192.0.2.1\0x", 11)));
    BOOST_TEST(!parse_address(std::string(10'000, '1')));
}

BOOST_AUTO_TEST_CASE(a_network_holds_what_begins_as_it_does) {
    BOOST_TEST(is_in("10.0.0.0/8", "10.255.255.255"));
    BOOST_TEST(!is_in("10.0.0.0/8", "11.0.0.0"));
    BOOST_TEST(is_in("192.0.2.128/25", "192.0.2.128"));
    BOOST_TEST(!is_in("192.0.2.128/25", "192.0.2.127"));
    BOOST_TEST(is_in("192.0.2.1", "::ffff:192.0.2.1"));
    BOOST_TEST(!is_in("192.0.2.1", "192.0.2.2"));
    BOOST_TEST(is_in("2001:db8::/33", "2001:db8:7fff::1"));
    BOOST_TEST(!is_in("2001:db8::/33", "2001:db8:8000::1"));
    BOOST_TEST(is_in("::1", "::1"));
    BOOST_TEST(is_in("0.0.0.0/0", "192.0.2.1"));
    BOOST_TEST(!is_in("0.0.0.0/0", "2001:db8::1"));
    BOOST_TEST(is_in("::/0", "192.0.2.1"));
    BOOST_TEST(is_in("::ffff:10.0.0.0/104", "10.1.2.3"));
}

BOOST_AUTO_TEST_CASE(what_may_be_a_slip_is_refused) {
    for (const auto* const text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8", "10/8", "10.0.0.0:80",
                                   "::/129", "[::1]", "fe80::%1/64", "example.org/8"})
        BOOST_TEST_CONTEXT(text)
    BOOST_TEST(Network::parse(text).error() == "expected an address or a network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32");
    for (const auto* const text : {"10.0.0.1/8", "192.0.2.1/31", "2001:db8::1/64", "::1/0"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(Network::parse(text).error() == "has bits set behind its prefix");
}
