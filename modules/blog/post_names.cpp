#include "blog/post_names.hpp"

#include <algorithm>
#include <array>

#include "blog/blog.hpp"
#include "util/text.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

constexpr std::array<std::string_view, 8> kNameKeys{"displayname", "name", "title", "label", "login", "username", "slug", "id"};

bool is_suffix(std::string_view text) {
    constexpr std::array<std::string_view, 12> kSuffixes{"jr", "sr", "ii", "iii", "iv", "phd", "md", "esq", "dds", "cpa", "rn", "mba"};
    auto word = lower_ascii(text);
    std::erase(word, '.');
    return std::ranges::find(kSuffixes, word) != kSuffixes.end();
}

std::vector<std::string> split_names(std::string_view text) {
    const char separator = text.find(';') != std::string_view::npos ? ';' : ',';
    std::vector<std::string> names;
    for (auto& part : split_list(text, separator)) {
        if (separator == ',' && !names.empty() && is_suffix(part))
            names.back() += ", " + part;
        else
            names.push_back(std::move(part));
    }
    return names;
}

class Names {
public:
    Names(std::size_t most, std::vector<Remark>& remarks) : most_(most), remarks_(remarks) {}

    void add_all_of(const PostKeys::Key& key) {
        key_ = &key;
        const auto text = scalar_text(key.value);
        if (!text.empty()) {
            for (const auto& name : split_names(text)) add(name);
        } else if (!add_value(key.value)) {
            remarks_.push_back({kNotUnderstood, shown(key)});
        }
    }

    std::vector<std::string> names;

private:
    // False: it's neither empty nor names.
    bool add_value(const json::value& value) {
        if (value.is_array()) return add_items(value.as_array());
        if (value.is_object()) return add_map(value.as_object());
        add(scalar_text(value));
        return true;
    }

    bool add_items(const json::array& items) {
        bool good = true;
        for (const auto& item : items) good = add_value(item) && good;
        return good;
    }

    bool add_map(const json::object& map) {
        if (map.empty()) return true;
        if (const auto name = name_in(map); !name.empty()) {
            add(name);
            return true;
        }
        return add_by_key(map);
    }

    static std::string name_in(const json::object& map) {
        for (const auto wanted : kNameKeys)
            for (const auto& [key, value] : map) {
                auto word = lower_ascii(key);
                std::erase(word, '_');
                if (word == wanted)
                    if (auto text = scalar_text(value); !text.empty()) return text;
            }
        return {};
    }

    // `ann: {name: Ann}` or `ann: {twitter: x}`
    bool add_by_key(const json::object& map) {
        if (!std::ranges::all_of(map, [](const auto& item) { return item.value().is_object(); })) return false;
        for (const auto& [key, value] : map) {
            const auto name = name_in(value.as_object());
            add(name.empty() ? std::string_view(key) : std::string_view(name));
        }
        return true;
    }

    void add(std::string_view text) {
        auto name = one_line(text);
        if (name.empty() || std::ranges::find(names, name) != names.end()) return;
        if (!is_name(name, kMaxNameBytes) || names.size() == most_)
            return remarks_.push_back({"a name left out: too long, or one too many", key_->name + ": " + std::string(cut_utf8(name, 60))});
        names.push_back(std::move(name));
    }

    const std::size_t most_;
    std::vector<Remark>& remarks_;
    const PostKeys::Key* key_ = nullptr;
};

}  // namespace

std::vector<std::string> take_authors(PostKeys& keys, std::vector<Remark>& remarks) {
    Names authors(kMaxAuthors, remarks);
    for (const auto* const word : {"authors", "author", "by", "byline", "writer", "creator"}) {
        for (const auto* key : keys.take({word})) authors.add_all_of(*key);
        if (!authors.names.empty()) break;  // the same people under another name
    }
    return authors.names;
}

std::vector<std::string> take_tags(PostKeys& keys, std::vector<Remark>& remarks) {
    Names tags(kMaxTags, remarks);
    for (const auto* key : keys.take({"tags", "tag", "categories", "category"})) tags.add_all_of(*key);
    return tags.names;
}

}  // namespace recto
