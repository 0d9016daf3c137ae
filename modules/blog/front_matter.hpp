// front_matter.hpp - a Markdown file with YAML on top, as Jekyll, Hugo and their kin write it.
//
// Errors:   a Result with line and reason.
// Threads:  pure functions.
// Limits:   64 KiB of front matter; nested at most 16 deep, 10,000 values (aliases counted each time they are used).
// Source:   the dialects of five real corpora: dates in many shapes, `author` or `authors`, tags as a list or one word, `draft: true` or
//           `published: false`, the date and the slug in the file's name.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "blog/blog.hpp"
#include "util/json.hpp"

namespace recto {

struct ImportedPost {
    PostChanges content;  // the slug is a wish: another post may have it
    json::object extra;   // keys that mean nothing to us, kept for the export
};

// `name` is the file's: `2015-03-17-a-slug.md` gives what the front matter leaves out.
[[nodiscard]] Result<ImportedPost> parse_post_file(std::string_view text, std::string_view name);

// `2015-03-17`, `2015-03-17 14:00:00 -4`, `2019-02-28T12:47:37.738Z`, one-digit months and hours. Without a zone: UTC.
[[nodiscard]] std::optional<TimePoint> parse_date(std::string_view text);

}  // namespace recto
