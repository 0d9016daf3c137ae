// negotiation.hpp - what a client would rather have: lists of choices with weights.
//
// Allocates nothing; what is malformed in a list counts as not there.
//
// Threads:  pure functions.
// Source:   RFC 9110 sections 12.4.2 (weights), 12.5.3 (Accept-Encoding), 12.5.4 (Accept-Language) and RFC 4647 section 3.4 (lookup).
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace recto {

// Whether a gzip body may be sent: it is named with a weight above 0, or `*` is and gzip isn't named.
[[nodiscard]] bool accepts_gzip(std::optional<std::string_view> accept_encoding);

// The choice that the client weighs most, by the longest prefix (`de-AT` takes `de`); the first one if it names none.
[[nodiscard]] std::string_view best_choice(std::optional<std::string_view> accept, std::span<const std::string_view> choices);

}  // namespace recto
