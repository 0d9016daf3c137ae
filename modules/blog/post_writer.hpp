// post_writer.hpp - how a post gets into the tables, for the operator's commands and the import alike.
//
// Errors:   Result with a sentence for what a person gave wrong; DatabaseError from the store.
// Threads:  one WriteTransaction is one thread's.
#pragma once

#include "blog/blog.hpp"

namespace recto {

enum class MissingAuthors { refuse, add };

// Checks lengths and encodings, before anything is written.
[[nodiscard]] Result<PostChanges> checked(PostChanges changes);

// A new draft with a free slug, unless the changes say otherwise. The id of the new post.
[[nodiscard]] Result<std::int64_t> insert_post(WriteTransaction& transaction, const PostChanges& content, TimePoint now,
                                               MissingAuthors missing);
[[nodiscard]] Result<std::int64_t> update_post(WriteTransaction& transaction, std::int64_t id, const PostChanges& changes, TimePoint now,
                                               MissingAuthors missing);

}  // namespace recto
