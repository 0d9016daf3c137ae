// slug.hpp - the part of an address that names something: letters and digits of any script, in lower case, and dashes.
//
// Threads:  pure functions.
// Limits:   at most 100 characters; a longer one is cut between words.
// Source:   Unicode normalization form C and case folding, by ICU.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace recto {

// `Über C++ — Teil 2` -> `über-c-teil-2`. Empty when the text has no letter and no digit.
[[nodiscard]] std::string slug_of(std::string_view text);

// Whether slug_of cuts the text.
[[nodiscard]] bool is_longer_than_a_slug(std::string_view text);

// As slug_of, with the signs in words that tell names of programming languages apart: C, C++, C#, A*, .NET -> c, cpp, c-sharp, a-star,
// dot-net.
[[nodiscard]] std::string tag_slug_of(std::string_view name);

// The slug of the text, or with `-2`, `-3`, … behind it, the first that is free. `untitled` stands for an empty one, and `n-` comes before
// digits alone: those are ids.
[[nodiscard]] std::string free_slug(std::string_view text, const std::function<bool(const std::string&)>& is_free);

}  // namespace recto
