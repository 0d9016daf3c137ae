// gzip.hpp - a body in gzip, made once when an answer is stored.
//
// Threads:  pure functions.
// Source:   RFC 1952; libdeflate.
#pragma once

#include <string>
#include <string_view>

namespace recto {

// Empty where it isn't worth it: a body that is small, or that gets less than a tenth smaller.
[[nodiscard]] std::string gzip_if_worth_it(std::string_view body);

}  // namespace recto
