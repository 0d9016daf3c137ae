#include "blog/blog.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "blog/post_json.hpp"
#include "blog/post_writer.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

constexpr std::array<std::pair<PostStatus, std::string_view>, 3> kStatusWords{
    {{PostStatus::draft, "draft"}, {PostStatus::published, "published"}, {PostStatus::archived, "archived"}}};

// What the public may see; its one `?` is now. Everything that shows posts to the public says it with this.
constexpr std::string_view kIsPublic = " post.status = 'published' AND post.published_at <= ? ";

// CROSS JOIN is SQLite's way to fix the order: the author's posts first. Without statistics it would walk all published posts of the blog
// and look for the author of each.
std::string published_by_author_sql() {
    return "SELECT post.id, post.title, post.slug, "
           "  (SELECT first.user FROM post_author AS first WHERE first.post = post.id ORDER BY first.position, first.user LIMIT 1), "
           "  post.excerpt, post.body, post.published_at, post.updated_at "
           "FROM post_author CROSS JOIN post ON post.id = post_author.post "
           "WHERE post_author.user = ? AND" +
           std::string(kIsPublic) + "ORDER BY post.published_at DESC, post.id DESC";
}

constexpr std::string_view kNextScheduledOfAuthor =
    "SELECT min(post.published_at) FROM post_author CROSS JOIN post ON post.id = post_author.post "
    "WHERE post_author.user = ? AND post.status = 'published' AND post.published_at > ?";

constexpr std::string_view kPostColumns = "SELECT id, title, slug, excerpt, status, published_at, created_at, updated_at, language, ";

TimePoint time_of(std::int64_t micros_since_epoch) { return TimePoint(std::chrono::microseconds(micros_since_epoch)); }

std::optional<TimePoint> maybe_time(std::optional<std::int64_t> micros_since_epoch) {
    if (!micros_since_epoch) return {};
    return time_of(*micros_since_epoch);
}

std::vector<std::string> names(Snapshot& snapshot, std::string_view sql, std::int64_t post) {
    std::vector<std::string> found;
    auto rows = snapshot.query(sql, {post});
    while (rows.next()) found.emplace_back(rows.text(0));
    return found;
}

Post post_of(const Rows& row) {
    Post post;
    post.id = row.integer(0);
    post.title = row.text(1);
    post.slug = row.text(2);
    post.excerpt = row.text(3);
    post.status = parse_status(row.text(4)).value_or(PostStatus::draft);
    post.published_at = maybe_time(row.maybe_integer(5));
    post.created_at = time_of(row.integer(6));
    post.updated_at = time_of(row.integer(7));
    post.language = row.text(8);
    post.body = row.text(9);
    return post;
}

void add_names(Snapshot& snapshot, Post& post) {
    post.authors = names(snapshot,
                         "SELECT user.name FROM post_author CROSS JOIN user ON user.id = post_author.user WHERE post_author.post = ? "
                         "ORDER BY post_author.position, post_author.user",
                         post.id);
    post.tags = names(snapshot, "SELECT tag.name FROM post_tag CROSS JOIN tag ON tag.id = post_tag.tag WHERE post_tag.post = ? ORDER BY tag.name",
                      post.id);
}

std::optional<Post> one_post(Snapshot& snapshot, Rows rows) {
    if (!rows.next()) return {};
    auto post = post_of(rows);
    add_names(snapshot, post);
    return post;
}

Result<Post> written(std::optional<Post> post) {
    if (!post) return Error{"the post has just been deleted"};
    return *std::move(post);
}

constexpr std::string_view kModel = "blog.post";

template <class Value>
std::optional<Post> fetch_post(Store& store, std::string_view column, const Value& value) {
    auto snapshot = store.read();
    return one_post(snapshot, snapshot.query(std::string(kPostColumns) + "body FROM post WHERE " + std::string(column) + " = ?", {value}));
}

// Without bodies.
std::vector<Post> fetch_list(Store& store, std::string_view status) {
    auto snapshot = store.read();
    std::vector<Post> posts;
    auto rows = snapshot.query(std::string(kPostColumns) +
                                   "'' FROM post WHERE ? = '' OR status = ? "
                                   "ORDER BY coalesce(published_at, created_at) DESC, id DESC",
                               {status, status});
    while (rows.next()) posts.push_back(post_of(rows));
    for (auto& post : posts) add_names(snapshot, post);
    return posts;
}

}  // namespace

Blog::Blog(Store& store, Cache& cache, const ModelRules& rules)
    : store_(store),
      by_id_(cached_query<std::optional<Post>(std::int64_t)>(cache, rules, kModel, ModelOp::get, "blog.post_by_id",
                                                             [&store](std::int64_t id) { return fetch_post(store, "id", id); })),
      by_slug_(cached_query<std::optional<Post>(std::string)>(
          cache, rules, kModel, ModelOp::get, "blog.post_by_slug",
          [&store](const std::string& slug) { return fetch_post(store, "slug", std::string_view(slug)); })),
      list_(cached_query<std::vector<Post>(std::string)>(cache, rules, kModel, ModelOp::fetch, "blog.posts",
                                                         [&store](const std::string& status) { return fetch_list(store, status); })),
      published_by_author_(cached_query<std::vector<PublishedPost>(std::int64_t)>(
          cache, rules, kModel, ModelOp::fetch, "blog.published_by_author",
          [this](std::int64_t author) { return published_by_author(author, time_now()); })) {}

std::vector<PublishedPost> Blog::published_by_author(std::int64_t author) { return published_by_author_(author); }

std::vector<PublishedPost> Blog::published_by_author(std::int64_t author, TimePoint now) {
    auto snapshot = store_.read();
    const auto tag = "post:author=" + std::to_string(author);

    std::vector<PublishedPost> posts;
    auto rows = snapshot.query(published_by_author_sql(), {author, micros(now)}, {tag});
    while (rows.next())
        posts.push_back({.id = rows.integer(0),
                         .title = std::string(rows.text(1)),
                         .slug = std::string(rows.text(2)),
                         .author_id = rows.maybe_integer(3),
                         .excerpt = std::string(rows.text(4)),
                         .body = std::string(rows.text(5)),
                         .published_at = time_of(rows.integer(6)),
                         .updated_at = time_of(rows.integer(7))});

    auto next = snapshot.query(kNextScheduledOfAuthor, {author, micros(now)}, {tag});
    if (next.next())
        if (const auto due = next.maybe_integer(0)) note_hard_end(time_of(*due));
    return posts;
}

std::vector<Post> Blog::list(std::optional<PostStatus> status) { return list_(std::string(status ? to_text(*status) : "")); }
std::optional<Post> Blog::find(std::int64_t id) { return by_id_(id); }
std::optional<Post> Blog::find(std::string_view slug) { return by_slug_(nfc(slug)); }

Result<Post> Blog::create(const PostChanges& content, TimePoint now) {
    const auto good = checked(content);
    if (!good) return Error{good.error()};
    auto transaction = store_.write();
    const auto id = insert_post(transaction, *good, now, MissingAuthors::refuse);
    if (!id) return Error{id.error()};
    transaction.commit();
    return written(find(*id));
}

Result<Post> Blog::change(std::int64_t id, const PostChanges& changes, TimePoint now) {
    const auto good = checked(changes);
    if (!good) return Error{good.error()};
    auto transaction = store_.write();
    const auto updated = update_post(transaction, id, *good, now, MissingAuthors::refuse);
    if (!updated) return Error{updated.error()};
    transaction.commit();
    return written(find(id));
}

bool Blog::remove(std::int64_t id) {
    auto transaction = store_.write();
    const bool existed = transaction.execute("DELETE FROM post WHERE id = ?", {id}) == 1;
    transaction.commit();
    return existed;
}

std::string_view to_text(PostStatus status) {
    return std::ranges::find(kStatusWords, status, &std::pair<PostStatus, std::string_view>::first)->second;
}

std::optional<PostStatus> parse_status(std::string_view word) {
    const auto found = std::ranges::find(kStatusWords, word, &std::pair<PostStatus, std::string_view>::second);
    if (found == kStatusWords.end()) return {};
    return found->first;
}

std::string rfc3339(TimePoint time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    char text[64];
    auto length =
        std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    std::string out(text, static_cast<std::size_t>(length));
    if (const auto fraction = clock.subseconds().count(); fraction != 0) {
        length = std::snprintf(text, sizeof text, ".%06d", static_cast<int>(fraction));
        out.append(text, static_cast<std::size_t>(length));
    }
    return out + 'Z';
}

}  // namespace recto
