#include "command/table.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "util/text.hpp"

namespace recto {
namespace {

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// A control character: of a terminal (C0, DEL, C1), of the order of text (Unicode, Bidi_Control), or the end of a line.
bool is_control(std::uint32_t c) {
    const bool turns_order = c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || turns_order || c == 0x2028 || c == 0x2029;
}

std::vector<std::size_t> widths_of(const std::vector<TableRow>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], characters(row[i]));
    }
    return widths;
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto decoded = decode_utf8(text);
        out += decoded.valid && !is_control(decoded.code_point) ? text.substr(0, decoded.length) : "?";
        text.remove_prefix(decoded.length);
    }
    return out;
}

void print_table(const std::vector<TableRow>& rows) {
    auto clean = rows;
    for (auto& row : clean)
        for (auto& cell : row) cell = printable(cell);
    const auto widths = widths_of(clean);
    for (const auto& row : clean) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - characters(row[i]) + 2, ' ');
        }
        line.resize(line.find_last_not_of(' ') + 1);
        std::puts(line.c_str());
    }
}

}  // namespace recto
