// tokens.hpp - users and their tokens, as the operator makes them.
#pragma once

#include <string>

#include "tests/support/service.hpp"
#include "util/text.hpp"

namespace recto {

inline std::string new_token(const Service& service, const std::string& user) {
    return std::string(trim(done(service.recto({"token", "create", user}))));
}

inline HttpHeaders with_token(const std::string& token) { return {{"Authorization", "Token " + token}}; }

}  // namespace recto
