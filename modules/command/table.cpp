#include "command/table.hpp"

#include <algorithm>

#include "command/output.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
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
        print_line(line);
    }
}

}  // namespace recto
