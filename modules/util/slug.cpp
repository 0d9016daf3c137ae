#include "util/slug.hpp"

#include <cctype>
#include <stdexcept>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace recto {
namespace {

constexpr int kMaxCharacters = 100;

icu::UnicodeString folded(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    const auto* const normalizer = icu::Normalizer2::getNFKCCasefoldInstance(status);
    auto folded = normalizer->normalize(icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())}), status);
    if (U_FAILURE(status)) throw std::runtime_error(std::string("cannot normalise a text: ") + u_errorName(status));
    return folded;
}

bool belongs_to_a_word(UChar32 c) {
    return u_isalnum(c) || u_charType(c) == U_NON_SPACING_MARK || u_charType(c) == U_COMBINING_SPACING_MARK;
}

icu::UnicodeString words_of(const icu::UnicodeString& source) {
    icu::UnicodeString words;
    bool gap = false;
    for (std::int32_t i = 0; i < source.length(); i = source.moveIndex32(i, 1)) {
        const auto c = source.char32At(i);
        if (!belongs_to_a_word(c)) {
            gap = !words.isEmpty();
            continue;
        }
        if (gap) words.append(static_cast<UChar32>('-'));
        gap = false;
        words.append(c);
    }
    return words;
}

// Between words, unless that would lose more than half.
icu::UnicodeString cut(const icu::UnicodeString& words, std::int32_t max_characters) {
    if (words.countChar32() <= max_characters) return words;
    const auto end = words.moveIndex32(0, max_characters);
    if (words.charAt(end) == '-') return {words, 0, end};
    const auto dash = words.lastIndexOf(static_cast<UChar32>('-'), 0, end);
    return {words, 0, dash >= end / 2 ? dash : end};
}

std::string to_utf8(const icu::UnicodeString& text) {
    std::string out;
    return text.toUTF8String(out);
}

std::string shortened(const std::string& slug, std::int32_t max_characters) {
    return to_utf8(cut(icu::UnicodeString::fromUTF8(slug), max_characters));
}

bool is_letter_or_digit_before(std::string_view text, std::size_t place) {
    return place > 0 && (static_cast<unsigned char>(text[place - 1]) >= 0x80 || std::isalnum(static_cast<unsigned char>(text[place - 1])));
}

// The signs that tell two names of programming languages apart, in words.
std::string with_signs_in_words(std::string_view name) {
    std::string out;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '#' && is_letter_or_digit_before(name, i))
            out += "-sharp ";
        else if (name.substr(i).starts_with("++") && is_letter_or_digit_before(name, i))
            out += "pp", ++i;
        else if (name[i] == '+')
            out += " plus ";
        else if (name[i] == '*' && is_letter_or_digit_before(name, i))
            out += "-star ";
        else if (name[i] == '.' && !is_letter_or_digit_before(name, i) && i + 1 < name.size() && name[i + 1] != ' ')
            out += " dot ";
        else
            out += name[i];
    }
    return out;
}

}  // namespace

std::string slug_of(std::string_view text) { return to_utf8(cut(words_of(folded(text)), kMaxCharacters)); }

bool is_longer_than_a_slug(std::string_view text) { return words_of(folded(text)).countChar32() > kMaxCharacters; }

std::string tag_slug_of(std::string_view name) { return slug_of(with_signs_in_words(name)); }

std::string free_slug(std::string_view text, const std::function<bool(const std::string&)>& is_free) {
    auto base = slug_of(text);
    if (base.empty()) base = "untitled";
    if (base.find_first_not_of("0123456789") == std::string::npos) base.insert(0, "n-");
    auto slug = shortened(base, kMaxCharacters);
    for (int number = 2; !is_free(slug); ++number) {
        const auto suffix = '-' + std::to_string(number);
        slug = shortened(base, kMaxCharacters - static_cast<std::int32_t>(suffix.size())) + suffix;
    }
    return slug;
}

}  // namespace recto
