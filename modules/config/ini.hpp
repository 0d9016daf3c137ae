// ini.hpp - the lines of an INI file: sections, names, values, each with its line. What they mean is not its business.
//
// Strict where inih is lenient. A mistake: a section without `]`, a line without `=`, a name or a section of more than 49 bytes, a
// line of more than 8,191 bytes, control characters (NUL too) and what isn't UTF-8. Fine: a byte order mark, CRLF, no newline at the
// end, blanks around names and values. A comment has a line of its own, because inih's ` ;` would cut `pw=abc ;def` silently.
//
// Errors:   IniText::mistakes. The lines below a broken section are left out rather than counted to the section before.
// Threads:  pure.
// Source:   inih 55, of which only ini_parse_stream is used: strings, no conversions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace recto {

struct IniEntry {
    std::string name;
    std::string value;
    int line = 0;
};

struct IniSection {
    std::string name;
    int line = 0;
    std::vector<IniEntry> entries;
};

struct IniMistake {
    int line = 0;
    std::string sentence;
};

struct IniText {
    std::vector<IniSection> sections;  // as often as they stand in the text
    std::vector<IniMistake> mistakes;
};

[[nodiscard]] IniText read_ini(std::string_view text);

// What no value may have: control characters, bytes that aren't UTF-8.
[[nodiscard]] std::optional<std::string> bad_bytes(std::string_view text);

// Whether a password may be meant, also by a name that isn't one of ours: what stands there is not for a message.
[[nodiscard]] bool may_be_secret(std::string_view text);

// At most 80 bytes of what an operator wrote, for a message.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace recto
