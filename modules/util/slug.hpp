// slug.hpp - the part of an address that names something: letters and digits of any script, in lower case, and dashes.
//
// Threads:  pure functions.
// Limits:   at most 100 characters.
// Source:   Unicode normalization form C and case folding, by ICU.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace recto {

// `Über C++ — Teil 2` -> `über-c-teil-2`. Empty when the text has no letter and no digit.
[[nodiscard]] std::string slug_of(std::string_view text);

// The slug of the text, or with `-2`, `-3`, … behind it, the first that is free. `untitled` stands for an empty one, and `n-` comes before
// digits alone: those are ids.
[[nodiscard]] std::string free_slug(std::string_view text, const std::function<bool(const std::string&)>& is_free);

}  // namespace recto
