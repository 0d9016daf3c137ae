#define BOOST_TEST_MODULE exempt
#include "throttle/exempt.hpp"

#include "tests/support/throttles.hpp"

using namespace recto;

BOOST_AUTO_TEST_CASE(nobody_is_exempt_unless_named) {
    BOOST_TEST(!Exempt().covers(at("127.0.0.1")));
    BOOST_TEST(!Exempt().covers(user(1)));
}

BOOST_AUTO_TEST_CASE(a_user_is_by_id_and_anybody_by_network) {
    const Exempt exempt({Network::parse("10.0.0.0/8").value(), Network::parse("2001:db8::/32").value()}, {7});
    BOOST_TEST(exempt.covers(user(7)));
    BOOST_TEST(!exempt.covers(user(8)));
    BOOST_TEST(exempt.covers(at("10.1.2.3")));
    BOOST_TEST(exempt.covers(at("::ffff:10.1.2.3")));
    BOOST_TEST(exempt.covers(at("2001:db8:1::1")));
    BOOST_TEST(exempt.covers({.user_id = 8, .address = "10.1.2.3"}));
    for (const auto* const address : {"192.0.2.1", "", "unix:", "10", "7"})
        BOOST_TEST_CONTEXT(address) BOOST_TEST(!exempt.covers(at(address)));
}
