#include "util/json.hpp"

#include <array>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

void append_unicode_escape(std::string& out, std::uint32_t code_point) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kHex[(code_point >> shift) & 0xF];
}

void append_ascii(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: append_unicode_escape(out, static_cast<unsigned char>(c)); return;
    }
}

// A table, because this is asked of each character that is logged.
constexpr auto kPlain = [] {
    std::array<bool, 256> plain{};
    for (std::size_t c = 0x20; c < 0x7F; ++c) plain[c] = c != '"' && c != '\\';
    return plain;
}();
bool is_plain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

bool must_be_escaped(std::uint32_t code_point) {
    return (code_point >= 0x80 && code_point <= 0x9F) || code_point == 0x2028 || code_point == 0x2029;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t i = 0;
    while (i < text.size()) {
        auto run = i;
        while (run < text.size() && is_plain(text[run])) ++run;
        out.append(text, i, run - i);
        if (run == text.size()) break;
        i = run;

        if (static_cast<unsigned char>(text[i]) < 0x80) {
            append_ascii(out, text[i++]);
            continue;
        }
        const auto decoded = decode_utf8(text.substr(i));
        if (!decoded.valid) out += "\\ufffd";
        else if (must_be_escaped(decoded.code_point)) append_unicode_escape(out, decoded.code_point);
        else out.append(text, i, decoded.length);
        i += decoded.length;
    }
    out += '"';
}

std::string json_string(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    append_json_string(out, text);
    return out;
}

}  // namespace recto
