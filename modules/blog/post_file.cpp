#include "blog/post_file.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>

#include "blog/date.hpp"
#include "blog/post_dates.hpp"
#include "blog/post_names.hpp"
#include "blog/post_status.hpp"
#include "markdown/markdown.hpp"
#include "util/slug.hpp"
#include "util/text.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

constexpr std::size_t kExcerptBytes = 300;

constexpr std::array<std::string_view, 7> kExtensions{".md", ".markdown", ".mkd", ".mkdn", ".mdown", ".mdwn", ".mdx"};

bool ends_with_word(std::string_view name, std::string_view end) {
    return name.size() > end.size() && lower_ascii(name.substr(name.size() - end.size())) == end;
}

std::string_view without_extension(std::string_view name) {
    for (const auto extension : kExtensions)
        if (ends_with_word(name, extension)) return name.substr(0, name.size() - extension.size());
    return name;
}

struct NameParts {
    std::string date;  // `2015-03-17`, or empty
    std::string slug;
    std::string language;
};

bool is_digits(std::string_view text, std::size_t least, std::size_t most) {
    return text.size() >= least && text.size() <= most && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// `2015-03-17-a-slug`, `2015-03-17`.
NameParts split_date(std::string_view name) {
    const auto dash = [&](std::size_t from) { return std::min(name.find('-', from), name.size()); };
    const auto first = dash(0), second = dash(std::min(first + 1, name.size())), third = dash(std::min(second + 1, name.size()));
    const auto part = [&](std::size_t from, std::size_t to) { return from < to ? name.substr(from, to - from) : std::string_view(); };
    if (!is_digits(part(0, first), 4, 4) || !is_digits(part(first + 1, second), 1, 2) || !is_digits(part(second + 1, third), 1, 2))
        return {{}, std::string(name), {}};
    const auto date = name.substr(0, third);
    if (!parse_date(date)) return {{}, std::string(name), {}};
    return {std::string(date), std::string(name.substr(std::min(third + 1, name.size()))), {}};
}

// `index.fr` -> `fr`; empty for a name that isn't an index.
std::optional<std::string> index_language(std::string_view stem) {
    if (lower_ascii(stem) == "index") return "";
    if (!lower_ascii(stem).starts_with("index.")) return {};
    const auto language = stem.substr(6);
    const bool good = language.size() >= 2 && language.size() <= 7 &&
                      std::ranges::all_of(language, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
    return good ? std::optional(std::string(language)) : std::nullopt;
}

// `2015/03/17/` above the file.
std::string date_of_folders(std::span<const std::string> folders) {
    if (folders.size() < 3) return {};
    const auto last = folders.last(3);
    if (!is_digits(last[0], 4, 4) || !is_digits(last[1], 1, 2) || !is_digits(last[2], 1, 2)) return {};
    const auto date = last[0] + '-' + last[1] + '-' + last[2];
    return parse_date(date) ? date : std::string();
}

NameParts parts_of(std::string_view path) {
    auto names = split_list(path, '/');
    if (names.empty()) return {};
    auto stem = std::string(without_extension(names.back()));
    names.pop_back();
    std::string language;
    if (const auto of_index = index_language(stem); of_index && !names.empty()) {  // a page bundle: the folder's name is the post's
        language = *of_index;
        stem = names.back();
        names.pop_back();
    }
    auto parts = split_date(stem);
    parts.language = language;
    if (parts.date.empty()) parts.date = date_of_folders(names);
    return parts;
}

// The last part of `/2015/03/a-slug/`.
std::string last_part(const std::string& slug) {
    const auto parts = split_list(slug, '/');
    return parts.empty() ? std::string() : parts.back();
}

std::string title_from(std::string_view body, const NameParts& name) {
    if (auto heading = one_line(first_heading(body)); !heading.empty()) return heading;
    auto words = one_line(name.slug);
    std::ranges::replace(words, '-', ' ');
    std::ranges::replace(words, '_', ' ');
    if (words = one_line(words); !words.empty()) return words;
    return "Untitled";
}

std::string take_title(PostKeys& keys, std::string_view body, const NameParts& name, std::vector<Remark>& remarks) {
    if (const auto title = keys.take_text({"title"}, remarks))
        if (auto line = one_line(*title); !line.empty()) return line;
    auto title = title_from(body, name);
    remarks.push_back({"no title: from the first heading or the file's name", title});
    return title;
}

void set_slug(ImportedPost& post, PostKeys& keys, const NameParts& name) {
    auto wish = last_part(keys.take_text({"slug"}, post.remarks).value_or(""));
    if (slug_of(wish).empty()) wish = name.slug;
    post.slug_is_of_title = slug_of(wish).empty();
    if (post.slug_is_of_title) wish = *post.content.title;
    post.content.slug = free_slug(wish, [](const std::string&) { return true; });
    if (is_longer_than_a_slug(wish)) post.remarks.push_back({"a slug of more than 100 characters was cut", *post.content.slug});
}

std::string excerpt_of(std::string_view body) {
    auto excerpt = first_paragraph(before_more(body), kExcerptBytes);
    return excerpt.empty() ? first_paragraph(body, kExcerptBytes) : excerpt;
}

void set_texts(ImportedPost& post, PostKeys& keys, std::string_view body, const NameParts& name) {
    post.content.title = take_title(keys, body, name, post.remarks);
    set_slug(post, keys, name);
    post.content.body = std::string(body);
    post.content.excerpt = excerpt_of(body);
    for (const auto* const word : {"excerpt", "description", "summary"})
        if (auto text = keys.take_text({word}, post.remarks)) {
            post.content.excerpt = std::move(text);
            break;
        }
    post.content.language = keys.take_text({"lang", "language", "locale"}, post.remarks).value_or(name.language);
}

void set_names(ImportedPost& post, PostKeys& keys) {
    post.content.authors = take_authors(keys, post.remarks);
    if (post.content.authors->empty()) post.remarks.push_back({"no author"});
    post.content.tags = take_tags(keys, post.remarks);
}

}  // namespace

bool is_post_file_name(std::string_view name) {
    return std::ranges::any_of(kExtensions, [&](auto extension) { return ends_with_word(name, extension); });
}

Result<ImportedPost> parse_post_file(std::string_view text, const PostFileName& name) {
    if (!is_utf8(text)) return Error{"1: not valid UTF-8"};
    auto front_matter = parse_front_matter(text);
    if (!front_matter) return Error{front_matter.error()};

    PostKeys keys(std::move(front_matter->keys));
    const auto parts = parts_of(name.path);
    ImportedPost post;
    const auto dates = take_dates(keys, parts.date, name.time_zone, post.remarks);
    if (!dates) return Error{dates.error()};
    post.content.status = take_status(keys, name.path, *dates, name.now, post.remarks);
    if (post.content.status == PostStatus::published && !dates->published)
        return Error{"1: no date: neither a date in the front matter nor YYYY-MM-DD in the file's name"};
    post.content.published_at = dates->published;
    post.content.updated_at = dates->updated;
    set_texts(post, keys, front_matter->body, parts);
    set_names(post, keys);
    post.extra = keys.rest();
    return post;
}

}  // namespace recto
