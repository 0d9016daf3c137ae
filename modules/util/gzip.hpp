// gzip.hpp - bytes in gzip.
//
// Errors:   std::bad_alloc; gunzip's are an empty optional.
// Threads:  pure functions.
// Source:   RFC 1952; libdeflate.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace recto {

[[nodiscard]] std::string gzip(std::string_view bytes);

// Empty where it isn't worth it: a body that is small, or that gets less than a tenth smaller.
[[nodiscard]] std::string gzip_if_worth_it(std::string_view body);

// What gzip() made, or several of them one behind the other (RFC 1952 section 2.2). Empty when it isn't that, whole, or is more than
// `max_bytes`.
[[nodiscard]] std::optional<std::string> gunzip(std::string_view bytes, std::size_t max_bytes);

// The first of such members, into `out`; how many bytes of `bytes` it took. For files that are too large to be unpacked as a whole.
[[nodiscard]] std::optional<std::size_t> gunzip_member(std::string_view bytes, std::string& out, std::size_t max_bytes);

}  // namespace recto
