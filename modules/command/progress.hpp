// progress.hpp - how far a long command is. Written by output.cpp, as all that `recto` prints.
//
// Threads:  for the one thread of the program.
#pragma once

#include <string_view>

namespace recto {

// On a terminal: a line on standard error that the next one replaces; an empty one clears it. Elsewhere nothing.
void show_progress(std::string_view line);

}  // namespace recto
