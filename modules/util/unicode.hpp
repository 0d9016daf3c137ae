// unicode.hpp - text as Unicode compares it.
//
// Errors:   std::runtime_error if ICU can't load its data. Bytes that are not UTF-8 become U+FFFD.
// Threads:  pure functions.
// Source:   Unicode Standard Annex 15 (normalization form C), by ICU; the property White_Space.
#pragma once

#include <string>
#include <string_view>

namespace recto {

// Normalization form C: texts that are equal but for their form become equal bytes. Names and slugs are compared and stored in it.
[[nodiscard]] std::string nfc(std::string_view text);

// A name or a title on one line: form C, each run of white space (no-break spaces, ends of lines) and control characters one blank, none at
// the ends. Zero-width spaces and byte order marks at the ends go too.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace recto
