#include "util/slug.hpp"

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

}  // namespace

std::string slug_of(std::string_view text) {
    const auto source = folded(text);
    icu::UnicodeString slug;
    bool gap = false;
    for (std::int32_t i = 0; i < source.length() && slug.countChar32() < kMaxCharacters; i = source.moveIndex32(i, 1)) {
        const auto c = source.char32At(i);
        if (!belongs_to_a_word(c)) {
            gap = !slug.isEmpty();
            continue;
        }
        if (gap) slug.append(static_cast<UChar32>('-'));
        gap = false;
        slug.append(c);
    }
    std::string out;
    return slug.toUTF8String(out);
}

std::string free_slug(std::string_view text, const std::function<bool(const std::string&)>& is_free) {
    auto base = slug_of(text);
    if (base.empty()) base = "untitled";
    if (base.find_first_not_of("0123456789") == std::string::npos) base.insert(0, "n-");
    auto slug = base;
    for (int number = 2; !is_free(slug); ++number) slug = base + '-' + std::to_string(number);
    return slug;
}

}  // namespace recto
