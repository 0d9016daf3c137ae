#include "blog/post_keys.hpp"

#include <algorithm>
#include <array>

#include "util/text.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxShown = 60;

std::string word_of(std::string_view name) {
    auto word = lower_ascii(one_line(name));
    std::erase_if(word, [](char c) { return c == '-' || c == '_' || c == ' '; });
    return word;
}

bool holds_keys(std::string_view word) {
    constexpr std::array<std::string_view, 5> kMaps{"extra", "params", "taxonomies", "build", "<<"};
    return std::ranges::find(kMaps, word) != kMaps.end();
}

}  // namespace

PostKeys::PostKeys(std::vector<FrontMatterKey> keys) {
    for (const auto& key : keys) add(key, false);
    for (const auto& key : keys) {
        if (!holds_keys(word_of(key.name)) || !key.value.is_object()) continue;
        for (const auto& [name, value] : key.value.as_object()) add({key.name + '.' + std::string(name), value, key.line}, true);
    }
}

// What `build` holds says something about its own only.
void PostKeys::add(const FrontMatterKey& key, bool nested) {
    const auto parent = word_of(key.name.substr(0, nested ? key.name.find('.') : 0));
    const auto own = word_of(nested ? key.name.substr(key.name.find('.') + 1) : key.name);
    keys_.push_back(
        {.name = key.name, .word = parent == "build" ? parent + '.' + own : own, .value = key.value, .line = key.line, .nested = nested});
}

std::vector<const PostKeys::Key*> PostKeys::take(std::initializer_list<std::string_view> words) {
    return take_if(words, [](const Key&) { return true; });
}

std::optional<std::string> PostKeys::take_text(std::initializer_list<std::string_view> words, std::vector<Remark>& remarks) {
    std::optional<std::string> found;
    for (const auto* key : take(words)) {
        auto text = scalar_text(key->value);
        if (text.empty() && (key->value.is_object() || key->value.is_array())) remarks.push_back({kNotUnderstood, shown(*key)});
        if (!found && !text.empty()) found = std::move(text);
    }
    return found;
}

json::object PostKeys::rest() const {
    json::object rest;
    for (const auto& key : keys_)
        if (!key.taken && !key.nested) rest[key.name] = key.value;
    return rest;
}

std::string scalar_text(const json::value& value) {
    if (value.is_string()) return std::string(trim(value.as_string()));
    if (value.is_object() || value.is_array() || value.is_null()) return {};
    return json::serialize(value);
}

std::string shown(const PostKeys::Key& key) {
    const auto text = key.value.is_object() || key.value.is_array() ? json::serialize(key.value) : scalar_text(key.value);
    const auto cut = cut_utf8(text, kMaxShown);
    return key.name + ": " + (cut.empty() ? "(nothing)" : std::string(cut)) + (cut.size() < text.size() ? "\u2026" : "");
}

}  // namespace recto
