// blog.hpp - posts, their authors and tags.
//
// What the public may see is said once, in kIsPublic of blog.cpp: status published and published_at not after now.
//
// Errors:   Result with a sentence for what a person gave wrong; DatabaseError from the store.
// Threads:  safe to call from any thread.
// Limits:   a body of 1 MiB, an excerpt of 64 KiB, a title of 1,200 bytes, a slug of 100 characters that are not all digits (those are
//           ids), 100 authors and 1,000 tags of 150 bytes. A post may have no author.
// Source:   Unicode's normalization form C for slugs and names of authors and tags, in which they are stored and looked up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/model_rules.hpp"
#include "store/store.hpp"
#include "util/result.hpp"

namespace recto {

inline constexpr std::size_t kMaxAuthors = 100;
inline constexpr std::size_t kMaxTags = 1000;
inline constexpr std::size_t kMaxNameBytes = 150;

enum class PostStatus { draft, published, archived };

struct Post {
    std::int64_t id = 0;
    std::string title;
    std::string slug;
    std::string excerpt;
    std::string body;  // Markdown
    PostStatus status = PostStatus::draft;
    std::optional<TimePoint> published_at;
    TimePoint created_at;
    TimePoint updated_at;
    std::string language;
    std::vector<std::string> authors;  // names, in order; may be none
    std::vector<std::string> tags;
};

// A post as `{"blogs":[…]}` shows it; author_id is its first author's, empty for a post without authors.
struct PublishedPost {
    std::int64_t id = 0;
    std::string title;
    std::string slug;
    std::optional<std::int64_t> author_id = {};
    std::string excerpt;
    std::string body;
    TimePoint published_at;
    TimePoint updated_at;
};

struct PostChanges {  // what is absent stays as it is
    std::optional<std::string> title = {}, slug = {}, body = {}, excerpt = {}, language = {};
    std::optional<PostStatus> status = {};
    std::optional<TimePoint> published_at = {};
    std::optional<TimePoint> updated_at = {};  // empty: now; never before the one it had
    std::optional<std::vector<std::string>> authors = {}, tags = {};
};

class Blog {
public:
    // Queries of one post or a list are cached by the rules of the model blog.post. Store and cache must outlive it.
    Blog(Store& store, Cache& cache, const ModelRules& rules);

    // All published posts that have the author among theirs, newest first. Notes when the next scheduled one is due as the hard end.
    [[nodiscard]] std::vector<PublishedPost> published_by_author(std::int64_t author, TimePoint now);  // not cached
    [[nodiscard]] std::vector<PublishedPost> published_by_author(std::int64_t author);                 // now

    // For the operator.
    [[nodiscard]] std::vector<Post> list(std::optional<PostStatus> status = {});  // without bodies, newest first
    [[nodiscard]] std::optional<Post> find(std::int64_t id);
    [[nodiscard]] std::optional<Post> find(std::string_view slug);
    [[nodiscard]] Result<Post> create(const PostChanges& content, TimePoint now);
    [[nodiscard]] Result<Post> change(std::int64_t id, const PostChanges& changes, TimePoint now);
    [[nodiscard]] bool remove(std::int64_t id);

private:
    Store& store_;
    CachedFunction<std::optional<Post>(std::int64_t)> by_id_;
    CachedFunction<std::optional<Post>(std::string)> by_slug_;
    CachedFunction<std::vector<Post>(std::string)> list_;
    CachedFunction<std::vector<PublishedPost>(std::int64_t)> published_by_author_;
};

[[nodiscard]] std::string_view to_text(PostStatus status);
[[nodiscard]] std::optional<PostStatus> parse_status(std::string_view word);

// RFC 3339, as DRF prints it: `2026-11-22T20:30:16.123456Z`, without the fraction when it is zero.
[[nodiscard]] std::string rfc3339(TimePoint time);

}  // namespace recto
