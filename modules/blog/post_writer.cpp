#include "blog/post_writer.hpp"

#include <algorithm>

#include "util/slug.hpp"
#include "util/text.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxTitleBytes = 1200;  // 300 characters of 4 bytes
constexpr std::size_t kMaxBodyBytes = 1u << 20;
constexpr std::size_t kMaxExcerptBytes = 64u << 10;
constexpr std::size_t kMaxLanguageBytes = 35;  // RFC 5646 section 4.4.1

std::optional<Error> wrong_text(std::string_view what, const std::optional<std::string>& text, std::size_t max_bytes) {
    if (!text) return {};
    if (!is_utf8(*text)) return Error{"the " + std::string(what) + " is not valid UTF-8"};
    if (text->size() > max_bytes)
        return Error{"the " + std::string(what) + " has " + std::to_string(text->size()) + " bytes; at most " + std::to_string(max_bytes) +
                     " are taken"};
    return {};
}

Value time_or_null(std::optional<TimePoint> time) { return time ? Value(micros(*time)) : Value(nullptr); }

bool exists(WriteTransaction& transaction, std::string_view sql, std::initializer_list<Value> values) {
    return transaction.query(sql, values).next();
}

std::optional<std::int64_t> find_id(WriteTransaction& transaction, std::string_view sql, std::string_view name) {
    auto rows = transaction.query(sql, {name});
    if (!rows.next()) return {};
    return rows.integer(0);
}

Result<std::int64_t> author_id(WriteTransaction& transaction, const std::string& name, TimePoint now, MissingAuthors missing) {
    if (const auto id = find_id(transaction, "SELECT id FROM user WHERE name = ?", name)) return *id;
    if (missing == MissingAuthors::refuse) return Error{"there is no user " + name + "; `recto user add` makes one"};
    const auto slug = free_slug(
        name, [&](const std::string& candidate) { return !exists(transaction, "SELECT 1 FROM user WHERE slug = ?", {candidate}); });
    return transaction.insert("INSERT INTO user (name, slug, active, created_at) VALUES (?, ?, 1, ?)", {name, slug, micros(now)});
}

std::int64_t tag_id(WriteTransaction& transaction, const std::string& name) {
    if (const auto id = find_id(transaction, "SELECT id FROM tag WHERE name = ?", name)) return *id;
    const auto slug = free_slug(tag_slug_of(name), [&](const std::string& candidate) {
        return !exists(transaction, "SELECT 1 FROM tag WHERE slug = ?", {candidate});
    });
    return transaction.insert("INSERT INTO tag (name, slug) VALUES (?, ?)", {name, slug});
}

std::optional<Error> write_authors(WriteTransaction& transaction, std::int64_t post, const std::vector<std::string>& names, TimePoint now,
                                   MissingAuthors missing) {
    transaction.execute("DELETE FROM post_author WHERE post = ?", {post});
    std::int64_t position = 0;
    for (const auto& name : names) {
        const auto author = author_id(transaction, name, now, missing);
        if (!author) return Error{author.error()};
        transaction.execute("INSERT INTO post_author (post, user, position) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                            {post, *author, position++});
    }
    return {};
}

void write_tags(WriteTransaction& transaction, std::int64_t post, const std::vector<std::string>& names) {
    transaction.execute("DELETE FROM post_tag WHERE post = ?", {post});
    for (const auto& name : names)
        transaction.execute("INSERT INTO post_tag (post, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", {post, tag_id(transaction, name)});
}

std::optional<Error> write_lists(WriteTransaction& transaction, std::int64_t post, const PostChanges& changes, TimePoint now,
                                 MissingAuthors missing) {
    if (changes.authors)
        if (auto problem = write_authors(transaction, post, *changes.authors, now, missing)) return problem;
    if (changes.tags) write_tags(transaction, post, *changes.tags);
    return {};
}

Result<std::string> slug_for_new(WriteTransaction& transaction, const PostChanges& content) {
    const auto is_free = [&](const std::string& slug) { return !exists(transaction, "SELECT 1 FROM post WHERE slug = ?", {slug}); };
    if (!content.slug) return free_slug(*content.title, is_free);
    if (!is_free(*content.slug)) return Error{"there is already a post with the slug " + *content.slug};
    return *content.slug;
}

bool is_digits(std::string_view text) { return text.find_first_not_of("0123456789") == std::string_view::npos; }

std::optional<Error> wrong_slug(const std::optional<std::string>& slug) {
    if (!slug) return {};
    if (is_digits(*slug)) return Error{"the slug " + *slug + " is of digits alone; that is an id"};
    if (slug_of(*slug) == *slug) return {};
    return Error{"the slug " + *slug + " must be of letters, digits and single dashes in lower case, such as " + slug_of(*slug)};
}

std::optional<Error> wrong_names(std::string_view what, const std::optional<std::vector<std::string>>& names, std::size_t most) {
    if (!names) return {};
    if (names->size() > most)
        return Error{std::to_string(names->size()) + " " + std::string(what) + "s; at most " + std::to_string(most) + " are taken"};
    for (const auto& name : *names)
        if (!is_name(name, kMaxNameBytes))
            return Error{"a " + std::string(what) + " has 1 to 150 bytes of UTF-8 without control characters"};
    return {};
}

// Texts that are equal but for their form are one slug, one author, one tag. What isn't UTF-8 is left for the checks.
void normalise(PostChanges& changes) {
    const auto compose = [](std::string& text) {
        if (is_utf8(text)) text = nfc(text);
    };
    if (changes.title && is_utf8(*changes.title)) changes.title = one_line(*changes.title);
    if (changes.slug) compose(*changes.slug);
    for (auto* const names : {&changes.authors, &changes.tags})
        if (*names) std::ranges::for_each(**names, compose);
}

}  // namespace

Result<PostChanges> checked(PostChanges changes) {
    normalise(changes);
    if (changes.title && changes.title->empty()) return Error{"the title is empty"};
    const std::optional<Error> problems[] = {
        wrong_text("title", changes.title, kMaxTitleBytes),
        wrong_text("body", changes.body, kMaxBodyBytes),
        wrong_text("excerpt", changes.excerpt, kMaxExcerptBytes),
        wrong_text("language", changes.language, kMaxLanguageBytes),
        wrong_slug(changes.slug),
        wrong_names("author", changes.authors, kMaxAuthors),
        wrong_names("tag", changes.tags, kMaxTags),
    };
    for (const auto& problem : problems)
        if (problem) return *problem;
    return changes;
}

Result<std::int64_t> insert_post(WriteTransaction& transaction, const PostChanges& content, TimePoint now, MissingAuthors missing) {
    if (!content.title) return Error{"a post needs a title"};
    const auto slug = slug_for_new(transaction, content);
    if (!slug) return Error{slug.error()};

    const auto status = content.status.value_or(PostStatus::draft);
    auto published_at = content.published_at;
    if (status == PostStatus::published && !published_at) published_at = now;
    const auto id = transaction.insert(
        "INSERT INTO post (slug, title, body, excerpt, status, published_at, created_at, updated_at, language) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {*slug, *content.title, content.body.value_or(""), content.excerpt.value_or(""), to_text(status), time_or_null(published_at),
         micros(now), micros(content.updated_at.value_or(now)), content.language.value_or("")});
    if (auto problem = write_lists(transaction, id, content, now, missing)) return *problem;
    return id;
}

Result<std::int64_t> update_post(WriteTransaction& transaction, std::int64_t id, const PostChanges& changes, TimePoint now,
                                 MissingAuthors missing) {
    if (changes.slug && exists(transaction, "SELECT 1 FROM post WHERE slug = ? AND id <> ?", {*changes.slug, id}))
        return Error{"there is already a post with the slug " + *changes.slug};
    const auto status = changes.status ? Value(to_text(*changes.status)) : Value(nullptr);
    const auto published_at = time_or_null(changes.published_at);
    // Publishing without a date means now, unless it is public already.
    const auto at_the_latest = changes.status == PostStatus::published ? Value(micros(now)) : Value(nullptr);

    const auto changed = transaction.execute(
        "UPDATE post SET title = coalesce(?, title), slug = coalesce(?, slug), body = coalesce(?, body), excerpt = coalesce(?, excerpt), "
        "language = coalesce(?, language), status = coalesce(?, status), "
        "published_at = coalesce(?, min(published_at, ?), ?, published_at), updated_at = max(?, updated_at + 1) WHERE id = ?",
        {value_or_null(changes.title), value_or_null(changes.slug), value_or_null(changes.body), value_or_null(changes.excerpt),
         value_or_null(changes.language), status, published_at, at_the_latest, at_the_latest, micros(changes.updated_at.value_or(now)),
         id});
    if (changed == 0) return Error{"there is no post " + std::to_string(id)};
    if (auto problem = write_lists(transaction, id, changes, now, missing)) return *problem;
    return id;
}

}  // namespace recto
