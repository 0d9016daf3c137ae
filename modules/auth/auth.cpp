#include "auth/auth.hpp"

#include <array>
#include <chrono>

#include "util/crypto.hpp"
#include "util/slug.hpp"
#include "util/text.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kTokenBytes = 20;  // 40 hexadecimal digits, as DRF's
constexpr std::size_t kMaxUserNameBytes = 150;

std::string hash_of(std::string_view token) { return hex(hash256(token)); }

std::optional<std::int64_t> fetch_user(Store& store, const std::string& token_hash) {
    auto snapshot = store.read();
    auto rows = snapshot.query("SELECT token.user, user.active FROM token CROSS JOIN user ON user.id = token.user WHERE token.hash = ?",
                               {token_hash}, {"token:hash=" + token_hash});
    if (!rows.next()) return {};
    // An inactive user is told apart by its own query, which isn't cached.
    return rows.integer(1) != 0 ? std::optional(rows.integer(0)) : std::nullopt;
}

bool token_exists(Store& store, const std::string& token_hash) {
    auto snapshot = store.read();
    return snapshot.query("SELECT 1 FROM token WHERE hash = ?", {token_hash}).next();
}

template <class Transaction>
std::optional<std::int64_t> user_id(Transaction&& transaction, std::string_view name) {
    auto rows = transaction.query("SELECT id FROM user WHERE name = ?", {name});
    if (!rows.next()) return {};
    return rows.integer(0);
}

// Separated by any of the bytes that are white space to DRF (Python's bytes.split()). Three are enough: there are too many then.
std::vector<std::string_view> first_words(std::string_view text) {
    constexpr std::string_view kSpaces = " \t\n\v\f\r";
    std::vector<std::string_view> words;
    while (words.size() < 3) {
        const auto begin = text.find_first_not_of(kSpaces);
        if (begin == std::string_view::npos) break;
        text.remove_prefix(begin);
        words.push_back(text.substr(0, text.find_first_of(kSpaces)));
        text.remove_prefix(words.back().size());
    }
    return words;
}

// As it is stored: names that are equal but for Unicode's form are one.
std::string known_name(std::string_view name) { return is_utf8(name) ? nfc(name) : std::string(name); }

Result<std::string> checked_name(std::string_view name) {
    auto known = known_name(trim(name));
    if (!is_name(known, kMaxUserNameBytes)) return Error{"a user's name has 1 to 150 bytes of UTF-8 without control characters"};
    return known;
}

}  // namespace

Auth::Auth(Store& store, Cache& cache, const ModelRules& rules)
    : store_(store),
      user_by_token_(
          cached_query<std::optional<std::int64_t>(std::string)>(cache, rules, "auth.user", ModelOp::get, "auth.user_by_token",
                                                                 [&store](const std::string& hash) { return fetch_user(store, hash); })),
      token_exists_(cached_query<bool(std::string)>(cache, rules, "auth.token", ModelOp::exists, "auth.token_exists",
                                                    [&store](const std::string& hash) { return token_exists(store, hash); })) {}

Result<std::optional<std::string>> Auth::token_of(std::string_view authorization) {
    const auto words = first_words(authorization);
    if (words.empty() || lower_ascii(words[0]) != "token") return std::optional<std::string>();
    if (words.size() == 1) return Error{"Invalid token header. No credentials provided."};
    if (words.size() > 2) return Error{"Invalid token header. Token string should not contain spaces."};
    if (!is_utf8(words[1])) return Error{"Invalid token header. Token string should not contain invalid characters."};
    return std::optional(std::string(words[1]));
}

std::optional<std::int64_t> Auth::user_in_memory(const std::string& token) {
    return user_by_token_.find_in_memory(hash_of(token)).value_or(std::nullopt);
}

Result<std::int64_t> Auth::user_of(const std::string& token) {
    const auto hash = hash_of(token);
    if (const auto user = user_by_token_(hash)) return *user;
    return Error{token_exists_(hash) ? "User inactive or deleted." : "Invalid token."};
}

Result<User> Auth::add_user(std::string_view name) {
    const auto checked = checked_name(name);
    if (!checked) return Error{checked.error()};
    auto transaction = store_.write();
    if (user_id(transaction, *checked)) return Error{"there is already a user " + *checked};

    const auto slug = free_slug(*checked, [&](const std::string& candidate) {
        return !transaction.query("SELECT 1 FROM user WHERE slug = ?", {candidate}).next();
    });
    const auto id =
        transaction.insert("INSERT INTO user (name, slug, active, created_at) VALUES (?, ?, 1, ?)", {*checked, slug, micros(time_now())});
    transaction.commit();
    return User{.id = id, .name = *checked, .slug = slug, .active = true};
}

std::vector<User> Auth::users() {
    std::vector<User> users;
    auto snapshot = store_.read();
    auto rows = snapshot.query("SELECT id, name, slug, active FROM user ORDER BY name");
    while (rows.next()) users.push_back({rows.integer(0), std::string(rows.text(1)), std::string(rows.text(2)), rows.integer(3) != 0});
    return users;
}

Result<std::string> Auth::create_token(std::string_view user, std::string_view label, const ShowToken& show) {
    if (!label.empty() && !is_name(label, kMaxUserNameBytes))
        return Error{"a label has at most 150 bytes of UTF-8 without control characters"};
    const auto id = user_id(store_.read(), known_name(user));
    if (!id) return Error{"there is no user " + std::string(user) + "; see `recto user list`"};

    std::array<std::uint8_t, kTokenBytes> bytes;
    random_bytes(bytes);
    const auto token = hex(bytes);
    if (show) show(token);
    auto transaction = store_.write();
    transaction.execute("INSERT INTO token (hash, user, label, created_at) VALUES (?, ?, ?, ?)",
                        {hash_of(token), *id, label, micros(time_now())});
    transaction.commit();
    return token;
}

std::vector<TokenInfo> Auth::tokens() {
    std::vector<TokenInfo> tokens;
    auto snapshot = store_.read();
    auto rows = snapshot.query(
        "SELECT token.id, user.name, token.label, token.created_at FROM token JOIN user ON user.id = token.user "
        "ORDER BY token.id");
    while (rows.next())
        tokens.push_back(
            {rows.integer(0), std::string(rows.text(1)), std::string(rows.text(2)), TimePoint(std::chrono::microseconds(rows.integer(3)))});
    return tokens;
}

bool Auth::revoke_token(std::int64_t id) {
    auto transaction = store_.write();
    const bool existed = transaction.execute("DELETE FROM token WHERE id = ?", {id}) == 1;
    transaction.commit();
    return existed;
}

}  // namespace recto
