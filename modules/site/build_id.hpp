// build_id.hpp - names this very build of the program, so that it doesn't read what another build has cached.
//
// Threads:  safe to call from any thread.
// Source:   the GNU build id that the linker writes (ld --build-id); dl_iterate_phdr(3).
#pragma once

#include <string>

namespace recto {

// 40 hexadecimal digits; empty if the program was linked without one.
[[nodiscard]] std::string build_id();

}  // namespace recto
