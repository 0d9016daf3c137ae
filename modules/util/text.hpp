// text.hpp - small functions on text that several modules need.
//
// Threads:  pure functions. A returned string_view points into its argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace recto {

[[nodiscard]] std::string_view trim(std::string_view text);                                      // spaces, tabs, CR, LF at both ends
[[nodiscard]] std::vector<std::string> split_list(std::string_view text, char separator = ',');  // trimmed parts, empty ones left out
[[nodiscard]] std::string lower_ascii(std::string_view text);
[[nodiscard]] std::string join(std::span<const std::string> parts, std::string_view separator);

// The first code point of `text`. Of text that isn't UTF-8: valid = false and the number of bytes to skip (at least 1).
struct Utf8 {
    bool valid;
    std::uint32_t code_point;
    std::size_t length;
};
[[nodiscard]] Utf8 decode_utf8(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

// 1 to `max_bytes` bytes of UTF-8 without control characters, no blanks at the ends: what a user or a tag may be called.
[[nodiscard]] bool is_name(std::string_view text, std::size_t max_bytes);

// At most `max_bytes` of `text`, cut where a code point begins.
[[nodiscard]] std::string_view cut_utf8(std::string_view text, std::size_t max_bytes);

// The text with an escape (`\n`, `\x1b`, `\u202e`) in place of each character that a terminal or a line of text would obey: C0, DEL, C1,
// the controls of the order of text (Unicode, Bidi_Control), the ends of a line or paragraph, and bytes that aren't UTF-8. A backslash
// stays as it is, so printable(printable(text)) == printable(text).
[[nodiscard]] std::string printable(std::string_view text);

// The candidate that a typing mistake of at most two letters (edit distance, Levenshtein) made `word` of; empty when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace recto
