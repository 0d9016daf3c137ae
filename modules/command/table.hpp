// table.hpp - rows of text in aligned columns.
#pragma once

#include <string>
#include <vector>

namespace recto {

using TableRow = std::vector<std::string>;

// The first row is the heading. The cells are made printable (util/text.hpp): a title, or a foreign line of a log, must not move the
// cursor.
void print_table(const std::vector<TableRow>& rows);

}  // namespace recto
