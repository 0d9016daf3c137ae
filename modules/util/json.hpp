// json.hpp - Boost.JSON, and the one escaper that everything we print goes through.
//
// Threads:  pure functions.
// Source:   RFC 8259 section 7; CWE-117 for the characters that could forge a line of a log or move a terminal's cursor.
#pragma once

#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace recto {

namespace json = boost::json;

// Appends `text` with its quotes. Escaped: `"`, `\`, U+0000 to U+001F, DEL, U+0080 to U+009F, U+2028, U+2029. Bytes that are not UTF-8
// become U+FFFD, so that what we print is always valid JSON.
void append_json_string(std::string& out, std::string_view text);

[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace recto
