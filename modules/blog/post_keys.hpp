// post_keys.hpp - the keys of a post's front matter, taken one after another by those that understand them.
//
// `lastMod`, `last_mod` and `Last-Mod` are one name here. Keys inside `extra`, `params`, `taxonomies`, `build` and YAML's `<<` count too,
// behind the others of their name; a value that is a map of them stays in rest().
//
// Threads:  one object a thread.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "blog/front_matter.hpp"

namespace recto {

// What the report says of a post beside that it was taken in. The reason is counted; the detail is the post's own.
struct Remark {
    std::string_view reason;
    std::string detail = {};
};

class PostKeys {
public:
    struct Key {
        std::string name;  // `extra.author`
        std::string word;  // `author`: lower case, without - _ and blanks
        json::value value;
        int line;
        bool nested;
        bool taken = false;
    };

    explicit PostKeys(std::vector<FrontMatterKey> keys);

    // All keys that have one of the names, in the order of the names; they count as understood, or at least told about.
    [[nodiscard]] std::vector<const Key*> take(std::initializer_list<std::string_view> words);

    // As take, but only those whose value passes.
    template <class Passes>
    [[nodiscard]] std::vector<const Key*> take_if(std::initializer_list<std::string_view> words, Passes passes) {
        std::vector<const Key*> found;
        for (const auto word : words)
            for (auto& key : keys_)
                if (!key.taken && key.word == word && passes(key)) {
                    key.taken = true;
                    found.push_back(&key);
                }
        return found;
    }

    // The first text that isn't empty. Keys of these names without a text are noted in remarks.
    [[nodiscard]] std::optional<std::string> take_text(std::initializer_list<std::string_view> words, std::vector<Remark>& remarks);

    // Keys that weren't taken, as they stand there.
    [[nodiscard]] json::object rest() const;

private:
    void add(const FrontMatterKey& key, bool nested);

    std::vector<Key> keys_;
};

// A scalar as text, trimmed: `true`, `7`, `Ann`. Empty for null, maps and lists.
[[nodiscard]] std::string scalar_text(const json::value& value);

// `status: private`, as the report shows a key.
[[nodiscard]] std::string shown(const PostKeys::Key& key);

inline constexpr std::string_view kNotUnderstood = "not understood";

}  // namespace recto
