// post_status.hpp - whether an imported post may be seen. The one place that decides it.
//
// A post is public only if all that its front matter and its place say about it is understood and says so. A word that isn't understood for
// certain makes a draft, and so does one of several that says so.
//
// Threads:  pure functions.
// Source:   Jekyll (`published`, `_drafts`, `hidden`), Hugo (`draft`, `publishDate`, `expiryDate`, `build`, `headless`), Hexo (`published`,
//           `password`), Eleventy (`permalink: false`, `eleventyExcludeFromCollections`), Pelican and WordPress (`status`), Ghost
//           (`status`, `visibility`), Zola (`draft`, `render`), Docusaurus (`unlisted`), Lektor (`_hidden`, `_discoverable`), Obsidian
//           (`publish`).
#pragma once

#include "blog/blog.hpp"
#include "blog/post_dates.hpp"

namespace recto {

// `path` is the file's path in the folder, behind the folder's own name. Says in remarks why it isn't public.
[[nodiscard]] PostStatus take_status(PostKeys& keys, std::string_view path, const PostDates& dates, TimePoint now,
                                     std::vector<Remark>& remarks);

}  // namespace recto
