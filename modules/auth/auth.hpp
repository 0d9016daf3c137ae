// auth.hpp - users and tokens.
//
// A token is 40 hexadecimal digits, random, shown once and kept as a hash (BLAKE2b, 256 bits).
//
// Errors:   what a client sends wrong is a Result with DRF's sentence; DatabaseError from the store.
// Threads:  safe to call from any thread.
// Source:   DRF rest_framework/authentication.py (TokenAuthentication) for the texts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.hpp"
#include "cache/model_rules.hpp"
#include "util/result.hpp"

namespace recto {

struct User {
    std::int64_t id = 0;
    std::string name;  // unique, for logging in
    std::string slug;  // unique, for addresses
    bool active = true;
};

struct TokenInfo {
    std::int64_t id = 0;
    std::string user;
    std::string label;
    TimePoint created;
};

class Auth {
public:
    // Queries are cached by the rules of the models auth.user and auth.token. Store and cache must outlive it.
    Auth(Store& store, Cache& cache, const ModelRules& rules);

    // The token of `Token …` in an Authorization header; empty for another scheme (which is then anonymous, as in DRF).
    [[nodiscard]] static Result<std::optional<std::string>> token_of(std::string_view authorization);

    // The user a token stands for. `in_memory` makes no system call: outer empty means not known there, ask user_of.
    [[nodiscard]] std::optional<std::int64_t> user_in_memory(const std::string& token);
    [[nodiscard]] Result<std::int64_t> user_of(const std::string& token);  // `Invalid token.`, `User inactive or deleted.`

    [[nodiscard]] Result<User> add_user(std::string_view name);  // the slug is made from the name
    [[nodiscard]] std::vector<User> users();

    // The only time a token is seen. `show` gets it before it is stored, with no transaction open: what `show` throws passes through, and a
    // token that could not be shown isn't made.
    using ShowToken = std::function<void(const std::string& token)>;
    [[nodiscard]] Result<std::string> create_token(std::string_view user, std::string_view label, const ShowToken& show = {});

    [[nodiscard]] std::vector<TokenInfo> tokens();
    [[nodiscard]] bool revoke_token(std::int64_t id);

private:
    Store& store_;
    CachedFunction<std::optional<std::int64_t>(std::string)> user_by_token_;
    CachedFunction<bool(std::string)> token_exists_;
};

}  // namespace recto
