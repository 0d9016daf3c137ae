// table.hpp - rows of text in aligned columns.
#pragma once

#include <string>
#include <vector>

namespace recto {

using TableRow = std::vector<std::string>;

// The first row is the heading. Control characters are shown as `?`: a title must not move the operator's cursor.
void print_table(const std::vector<TableRow>& rows);

}  // namespace recto
