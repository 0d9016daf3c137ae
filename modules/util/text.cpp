#include "util/text.hpp"

#include <algorithm>
#include <numeric>

namespace recto {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row.back();
}

bool is_control(std::uint32_t c) {
    const bool turns_order = c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || turns_order || c == 0x2028 || c == 0x2029;
}

// With as many hexadecimal digits as the kind of escape has.
std::string escape(std::string_view kind, std::uint32_t number, int digits) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out(kind);
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kDigits[number >> shift & 0xF];
    return out;
}

std::string escape_of(const Utf8& character, std::string_view bytes) {
    const auto c = character.code_point;
    if (character.valid && c >= 0x80) return escape("\\u", c, 4);
    if (character.valid && c == '\n') return "\\n";
    if (character.valid && c == '\r') return "\\r";
    if (character.valid && c == '\t') return "\\t";
    std::string out;
    for (const char byte : bytes) out += escape("\\x", static_cast<unsigned char>(byte), 2);
    return out;
}

}  // namespace

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string> split_list(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const auto end = std::min(text.find(separator), text.size());
        if (const auto part = trim(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

std::string lower_ascii(std::string_view text) {
    std::string lower(text);
    for (auto& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
    std::string joined;
    for (const auto& part : parts) {
        if (!joined.empty()) joined += separator;
        joined += part;
    }
    return joined;
}

Utf8 decode_utf8(std::string_view text) {
    constexpr Utf8 kBroken{false, 0, 1};
    const auto lead = static_cast<unsigned char>(text.front());
    if (lead < 0x80) return {true, lead, 1};

    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return kBroken;

    std::uint32_t code_point = lead & (0x7Fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0) != 0x80) return {false, 0, i};
        code_point = code_point << 6 | (next & 0x3F);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    if (code_point < kSmallest[length] || code_point > 0x10FFFF || surrogate) return kBroken;
    return {true, code_point, length};
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto decoded = decode_utf8(text);
        if (!decoded.valid) return false;
        text.remove_prefix(decoded.length);
    }
    return true;
}

bool is_name(std::string_view text, std::size_t max_bytes) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    return !text.empty() && text.size() <= max_bytes && is_utf8(text) && trim(text) == text && std::ranges::none_of(text, is_control);
}

std::string_view cut_utf8(std::string_view text, std::size_t max_bytes) {
    if (text.size() <= max_bytes) return text;
    auto end = max_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end);
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto character = decode_utf8(text);
        const auto bytes = text.substr(0, character.length);
        if (character.valid && !is_control(character.code_point))
            out += bytes;
        else
            out += escape_of(character, bytes);
        text.remove_prefix(character.length);
    }
    return out;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    std::string_view best;
    std::size_t best_distance = 3;
    for (const auto candidate : candidates) {
        const auto distance = edit_distance(word, candidate);
        // A distance as long as the word itself means that nothing of it is left.
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

}  // namespace recto
