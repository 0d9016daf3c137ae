// build_id.hpp - names this very build, so that it doesn't read what another one has cached.
//
// Threads:  immutable.
// Source:   the Makefile hashes the libraries that both programs are linked from, and writes it into each.
#pragma once

namespace recto {

extern const char* const kBuildId;  // 40 hexadecimal digits

}  // namespace recto
