// front_matter_formats.hpp - one function a language of front matter, for front_matter.cpp alone.
//
// Errors:   a Result with line and reason; lines count from `line`, the file's line where the text begins.
// Threads:  pure functions.
#pragma once

#include "blog/front_matter.hpp"

namespace recto {

inline constexpr std::size_t kMaxFrontMatterDepth = 16;
inline constexpr int kMaxFrontMatterValues = 10'000;

using FrontMatterKeys = Result<std::vector<FrontMatterKey>>;

[[nodiscard]] FrontMatterKeys parse_yaml(std::string_view text, int line);
[[nodiscard]] FrontMatterKeys parse_toml(std::string_view text, int line);

}  // namespace recto
