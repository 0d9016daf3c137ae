// table.hpp - rows of text in aligned columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace recto {

using TableRow = std::vector<std::string>;

// With `?` for each control character and what isn't UTF-8: a title, or a foreign line of a log, must not move the operator's cursor.
[[nodiscard]] std::string printable(std::string_view text);

// The first row is the heading. The cells are made printable.
void print_table(const std::vector<TableRow>& rows);

}  // namespace recto
