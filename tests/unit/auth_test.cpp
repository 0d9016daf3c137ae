#define BOOST_TEST_MODULE auth
#include "auth/auth.hpp"

#include <boost/test/unit_test.hpp>

#include <random>

#include "tests/support/lease_keeper.hpp"
#include "tests/support/opened_store.hpp"
#include "tests/support/service.hpp"
#include "util/crypto.hpp"
#include "util/text.hpp"

using namespace recto;

namespace {

struct OpenedAuth : OpenedStore {
    ModelRules rules{{{"auth.user", {.ops = {ModelOp::get}}}}};
    Auth auth{store, cache, rules};
    LeaseKeeper keeper{store.clock()};

    std::string token_for(std::string_view user) {
        BOOST_REQUIRE(auth.add_user(user));
        return auth.create_token(user, "test").value();
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_authorization_header_is_read_as_drf_reads_it) {
    const auto token_of = [](std::string_view header) { return Auth::token_of(header); };
    for (const auto* header : {"Token abc", "token abc", "TOKEN  abc", " Token abc ", "Token\tabc", "\ttOkEn \v\f abc\r\n"})
        BOOST_TEST_CONTEXT(header) BOOST_TEST(token_of(header).value().value() == "abc");
    for (const auto* header : {"", " ", "\t", "Basic abc", "Bearer abc", "Tokenabc", "Token,abc",
                               "Token\xc2\xa0"
                               "abc",
                               "Token\x1f"
                               "abc"})
        BOOST_TEST_CONTEXT(header) BOOST_TEST(!token_of(header).value().has_value());
    BOOST_TEST(token_of("Token").error() == "Invalid token header. No credentials provided.");
    BOOST_TEST(token_of("token\t").error() == "Invalid token header. No credentials provided.");
    for (const auto* header : {"Token a b", "Token a\tb", "Token\ta\vb", "Token a b c", "Token a \xff"})
        BOOST_TEST_CONTEXT(header) BOOST_TEST(token_of(header).error() == "Invalid token header. Token string should not contain spaces.");
    BOOST_TEST(token_of("Token \xff").error() == "Invalid token header. Token string should not contain invalid characters.");
}

namespace {

std::string hex_of(std::string_view text) { return hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); }

}  // namespace

// What is made of pieces that mean something, in any order.
BOOST_AUTO_TEST_CASE(any_authorization_header_means_what_it_means_to_drf) {
    const std::vector<std::string> pieces{"Token",
                                          "token",
                                          "TOKEN",
                                          "Basic",
                                          "abc",
                                          "0123456789abcdef",
                                          " ",
                                          "  ",
                                          "\t",
                                          "\n",
                                          "\v",
                                          "\f",
                                          "\r",
                                          ",",
                                          "\xff",
                                          "\xc3\xa9",
                                          "\xed\xa0\x80",
                                          "\xc0\x80",
                                          "\xc2\xa0",
                                          "\x1c",
                                          std::string(1, '\0')};
    std::mt19937 random(24);
    std::string headers, ours;
    for (int i = 0; i < 3000; ++i) {
        std::string header = random() % 3 == 0 ? "" : "Token";
        for (auto count = random() % 6; count > 0; --count) header += pieces[random() % pieces.size()];
        headers += hex_of(header) + '\n';
        const auto token = Auth::token_of(header);
        ours += !token ? token.error() : !*token ? "anonymous" : "token " + hex_of(**token);
        ours += '\n';
    }
    const auto theirs = done(run_command({"/usr/bin/python3", "tests/support/drf_token.py"}, headers));
    BOOST_TEST(split_list(theirs, '\n') == split_list(ours, '\n'), boost::test_tools::per_element());
    for (const auto* outcome : {"anonymous", "token 616263", "No credentials", "contain spaces", "invalid characters"})
        BOOST_TEST_CONTEXT(outcome) BOOST_TEST(ours.find(outcome) != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_token_with_any_one_digit_changed_is_wrong, OpenedAuth) {
    const auto token = token_for("ada");
    BOOST_TEST(auth.user_of(token).value() > 0);
    for (std::size_t i = 0; i < token.size(); ++i) BOOST_TEST_CONTEXT(i) {
            auto other = token;
            other[i] = other[i] == '0' ? '1' : '0';
            BOOST_TEST(auth.user_of(other).error() == "Invalid token.");
            BOOST_TEST(!auth.user_in_memory(other).has_value());
        }
    for (const auto& other : {token.substr(0, 39), token.substr(1), token + '0', token + ' ', std::string()})
        BOOST_TEST_CONTEXT(other) BOOST_TEST(auth.user_of(other).error() == "Invalid token.");
    BOOST_TEST(auth.user_of(token).value() > 0);
}

BOOST_FIXTURE_TEST_CASE(a_token_stands_for_its_user, OpenedAuth) {
    const auto token = token_for("ada");
    BOOST_TEST(token.size() == 40u);
    BOOST_TEST(token.find_first_not_of("0123456789abcdef") == std::string::npos);
    BOOST_TEST(auth.user_of(token).value() == auth.users().at(0).id);
    BOOST_TEST(auth.user_of("0000").error() == "Invalid token.");
}

BOOST_FIXTURE_TEST_CASE(a_token_is_nowhere_in_the_database, OpenedAuth) {
    const auto token = token_for("ada");
    auto snapshot = store.read();
    auto rows = snapshot.query("SELECT hash FROM token");
    BOOST_REQUIRE(rows.next());
    BOOST_TEST(rows.text(0) != token);
    BOOST_TEST(rows.text(0).find(token) == std::string_view::npos);
}

BOOST_FIXTURE_TEST_CASE(a_user_is_known_in_memory_after_the_first_look_up_and_never_after_the_token_ended, OpenedAuth) {
    const auto token = token_for("ada");
    BOOST_TEST(!auth.user_in_memory(token).has_value());
    const auto user = auth.user_of(token).value();
    BOOST_TEST(auth.user_in_memory(token).value() == user);

    BOOST_TEST(auth.revoke_token(auth.tokens().at(0).id));
    BOOST_TEST(!auth.user_in_memory(token).has_value());
    BOOST_TEST(auth.user_of(token).error() == "Invalid token.");
}

BOOST_FIXTURE_TEST_CASE(an_inactive_user_is_refused_at_once, OpenedAuth) {
    const auto token = token_for("ada");
    BOOST_TEST(auth.user_of(token).value() > 0);
    auto transaction = store.write();
    transaction.execute("UPDATE user SET active = 0");
    transaction.commit();
    BOOST_TEST(!auth.user_in_memory(token).has_value());
    BOOST_TEST(auth.user_of(token).error() == "User inactive or deleted.");
}

BOOST_FIXTURE_TEST_CASE(wrong_tokens_leave_nothing_in_the_cache, OpenedAuth) {
    BOOST_TEST(auth.user_of("nobody's").error() == "Invalid token.");
    BOOST_TEST(!auth.user_in_memory("nobody's").has_value());
}

BOOST_FIXTURE_TEST_CASE(users_get_slugs_of_their_own_and_names_are_checked, OpenedAuth) {
    BOOST_TEST(auth.add_user("Ada Lovelace").value().slug == "ada-lovelace");
    BOOST_TEST(auth.add_user("ada lovelace").value().slug == "ada-lovelace-2");
    BOOST_TEST(auth.add_user("Ada Lovelace").error() == "there is already a user Ada Lovelace");
    for (const auto& name : {std::string(), std::string("  "), std::string("a\nb"), std::string("\xff"), std::string(151, 'x')})
        BOOST_TEST_CONTEXT(name) BOOST_TEST(!auth.add_user(name));
    BOOST_TEST(auth.users().size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(names_equal_but_for_unicodes_form_are_one_user, OpenedAuth) {
    BOOST_TEST(auth.add_user("Jose\u0301").value().name == "Jos\u00e9");
    BOOST_TEST(auth.add_user("Jos\u00e9").error() == "there is already a user Jos\u00e9");
    for (const auto* name : {"Jose\u0301", "Jos\u00e9"}) BOOST_TEST(static_cast<bool>(auth.create_token(name, "")));
    BOOST_TEST(auth.users().size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_label_is_a_name_or_nothing, OpenedAuth) {
    BOOST_REQUIRE(auth.add_user("ada"));
    for (const auto& label : {std::string(), std::string("laptop"), std::string(150, 'x')})
        BOOST_TEST_CONTEXT(label) BOOST_TEST(auth.create_token("ada", label).value().size() == 40u);
    for (const auto& label : {std::string(" "), std::string("a\x1b[31m"), std::string("\xff"), std::string(151, 'x')})
        BOOST_TEST_CONTEXT(label) BOOST_TEST(!auth.create_token("ada", label));
    BOOST_TEST(auth.tokens().size() == 3u);
}

BOOST_FIXTURE_TEST_CASE(a_token_for_nobody_is_refused, OpenedAuth) {
    BOOST_TEST(auth.create_token("bob", "").error() == "there is no user bob; see `recto user list`");
    BOOST_TEST(!auth.revoke_token(7));
    BOOST_TEST(auth.tokens().empty());
}
