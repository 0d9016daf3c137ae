// fuzzing.hpp - what the targets of tests/fuzz share, and how `make test` runs them without libFuzzer.
//
// Threads:  one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace recto {

using FuzzTarget = int (*)(const std::uint8_t* bytes, std::size_t size);  // LLVMFuzzerTestOneInput

// Aborts with the sentence: libFuzzer keeps the input then, and a test that runs the target ends.
void require(bool holds, const char* what);

// Runs the target on each file of the folder, then on `rounds` inputs that are made from those by changing some of their bytes; the same
// ones each time. Gives how many inputs it ran; throws std::runtime_error for a folder without files.
std::size_t replay(FuzzTarget target, const std::filesystem::path& seeds, int rounds);

}  // namespace recto
