// line.hpp - the text of one line: what is in it, what is masked, escaped and cut.
//
// Nothing from outside can end a line or a JSON string early, move a terminal's cursor or make a line longer than `max_bytes`. What
// is too long is cut where a character begins; then data is a string with the beginning of its JSON, followed by `"cut":n`, the bytes
// left out (in text ` cut=n`). A value whose key looks like a secret (password, token, cookie…), at any depth, is `********`.
//
// Threads:  safe to call from any thread; pid and tid are the caller's, also after fork().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "util/context.hpp"
#include "util/json.hpp"

namespace recto {

// `context` may be null.
[[nodiscard]] std::string event_line(std::string_view event, const json::value& data, const RequestContext* context, std::size_t max_bytes);
[[nodiscard]] std::string message_line(std::string_view text, const RequestContext* context, std::size_t max_bytes);

}  // namespace recto
