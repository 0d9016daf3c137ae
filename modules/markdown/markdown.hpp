// markdown.hpp - Markdown as authors write it, read with cmark-gfm.
//
// Errors:   none: any text is Markdown.
// Threads:  safe to call from any thread.
// Source:   GitHub Flavored Markdown 0.29. The library in Debian 12 needs quadratic time for some inputs (CVE-2023-22483 to -22486):
//           only the beginning of a text is ever given to it here.
#pragma once

#include <string>
#include <string_view>

namespace recto {

// The first paragraph that has text, as plain text on one line, at most `max_bytes`, whole words, `…` where it was cut. Pictures and tables
// have none. Empty when there is none.
[[nodiscard]] std::string first_paragraph(std::string_view markdown, std::size_t max_bytes);

// The first heading, as plain text of at most 300 bytes. Empty when the first 4 KiB have none.
[[nodiscard]] std::string first_heading(std::string_view markdown);

// What stands before `<!-- more -->`, also as `<!--more-->` or with words behind it; all of the text when there is none.
[[nodiscard]] std::string_view before_more(std::string_view markdown);

}  // namespace recto
