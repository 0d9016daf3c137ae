#define BOOST_TEST_MODULE text
#include "util/text.hpp"

#include <boost/test/unit_test.hpp>

using namespace recto;
using namespace std::string_literals;

BOOST_AUTO_TEST_CASE(what_a_terminal_would_obey_is_escaped) {
    const std::pair<std::string, std::string> table[] = {
        {"", ""},
        {"plain ~", "plain ~"},
        {"a\x1b]0;x\x07", "a\\x1b]0;x\\x07"},
        {"\0\x01\x1f\x20"s, "\\x00\\x01\\x1f "},
        {"\x7e\x7f", "~\\x7f"},
        {"a\nb\rc\td", "a\\nb\\rc\\td"},
        {"\u0080\u009b\u009f\u00a0", "\\u0080\\u009b\\u009f\u00a0"},
        {"\u061b\u061c\u061d", "\u061b\\u061c\u061d"},
        {"\u200d\u200e\u200f\u2010", "\u200d\\u200e\\u200f\u2010"},
        {"\u2027\u2028\u2029\u202a\u202e\u202f", "\u2027\\u2028\\u2029\\u202a\\u202e\u202f"},
        {"\u2065\u2066\u2069\u206a", "\u2065\\u2066\\u2069\u206a"},
        {"\x9b"
         "31m",
         "\\x9b31m"},
        {"\xc3\x28", "\\xc3("},
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"C:\\x1b \\", "C:\\x1b \\"},
        {"Gr\u00fc\u00dfe \u65e5\u672c \U0001f600", "Gr\u00fc\u00dfe \u65e5\u672c \U0001f600"},
    };
    for (const auto& [text, expected] : table) {
        BOOST_TEST_CONTEXT(expected) {
            BOOST_TEST(printable(text) == expected);
            BOOST_TEST(printable(expected) == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(each_byte_alone_comes_out_as_printable_ascii_or_its_escape) {
    for (int byte = 0; byte < 256; ++byte) {
        const auto shown = printable(std::string(1, static_cast<char>(byte)));
        const bool is_plain = byte >= 0x20 && byte < 0x7f;
        BOOST_TEST_CONTEXT(byte) {
            BOOST_TEST(shown.size() == (is_plain ? 1u : byte == '\n' || byte == '\r' || byte == '\t' ? 2u : 4u));
            for (const char c : shown) BOOST_TEST((c >= 0x20 && c < 0x7f));
        }
    }
}
