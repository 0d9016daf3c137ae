#include "util/unicode.hpp"

#include <algorithm>
#include <stdexcept>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace recto {
namespace {

icu::UnicodeString from_utf8(std::string_view text) {
    return icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
}

std::string to_utf8(const icu::UnicodeString& text) {
    std::string out;
    return text.toUTF8String(out);
}

icu::UnicodeString composed(const icu::UnicodeString& text) {
    UErrorCode status = U_ZERO_ERROR;
    const auto* const normalizer = icu::Normalizer2::getNFCInstance(status);
    auto form_c = normalizer->normalize(text, status);
    if (U_FAILURE(status)) throw std::runtime_error(std::string("cannot normalise a text: ") + u_errorName(status));
    return form_c;
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_gap(UChar32 c) { return u_isUWhiteSpace(c) || u_charType(c) == U_CONTROL_CHAR; }
bool is_invisible(UChar32 c) { return c == 0x200B || c == 0x2060 || c == 0xFEFF; }

icu::UnicodeString without_invisible_ends(const icu::UnicodeString& text) {
    std::int32_t begin = 0, end = text.length();
    const auto goes = [](UChar32 c) { return is_gap(c) || is_invisible(c); };
    while (begin < end && goes(text.char32At(begin))) begin = text.moveIndex32(begin, 1);
    while (begin < end && goes(text.char32At(text.moveIndex32(end, -1)))) end = text.moveIndex32(end, -1);
    return {text, begin, end - begin};  // a copy: tempSubString would refer to `text`
}

}  // namespace

std::string nfc(std::string_view text) {
    if (is_ascii(text)) return std::string(text);
    return to_utf8(composed(from_utf8(text)));
}

std::string one_line(std::string_view text) {
    const auto source = without_invisible_ends(composed(from_utf8(text)));
    icu::UnicodeString line;
    bool gap = false;
    for (std::int32_t i = 0; i < source.length(); i = source.moveIndex32(i, 1)) {
        const auto c = source.char32At(i);
        if (gap && !is_gap(c)) line.append(static_cast<UChar32>(' '));
        gap = is_gap(c);
        if (!gap) line.append(c);
    }
    return to_utf8(line);
}

}  // namespace recto
