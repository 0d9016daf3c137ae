// post_file.hpp - a Markdown file with front matter, as Jekyll, Hugo and their kin write it, becomes a post.
//
// What its keys mean: etc/doc/import.md. What the front matter leaves out comes from the file's name and place: `2015-03-17-a-slug.md`, or
// the folder's name for `2015-03-17-a-slug/index.md`, and folders `2015/03/17/`.
//
// Errors:   a Result with line and reason.
// Threads:  pure functions.
// Source:   the dialects of nine real corpora.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "blog/blog.hpp"
#include "blog/post_keys.hpp"
#include "util/time_zone.hpp"

namespace recto {

struct PostFileName {
    std::string path;         // in the imported folder, behind that folder's own name: `posts/2021/first.md`
    TimeZone time_zone = {};  // of dates that name none
    TimePoint now = {};
};

struct ImportedPost {
    PostChanges content;            // the slug is a wish: another post may have it
    bool slug_is_of_title = false;  // neither the front matter nor the file's name has one
    json::object extra;             // keys that mean nothing to us, kept for the export
    std::vector<Remark> remarks;    // what the report says of it
};

[[nodiscard]] Result<ImportedPost> parse_post_file(std::string_view text, const PostFileName& name);

// Whether a file of that name may be a post: .md, .markdown, .mkd, .mkdn, .mdown, .mdwn, .mdx, in capitals too.
[[nodiscard]] bool is_post_file_name(std::string_view name);

}  // namespace recto
