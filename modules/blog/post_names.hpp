// post_names.hpp - the authors and tags that front matter names.
//
// A text is one name, or several between semicolons, else commas (`King, Jr.` stays together). An item of a list is one name; lists may be
// nested. A map is a person or a term (`display_name`, `name`, `title`, `label`, `login`, `username`, `slug`, `id`: the first of them that
// it has), or each of its maps is one (without such a key named as its own key). Names are in Unicode's form C, on one line, each once.
//
// Threads:  pure functions.
#pragma once

#include "blog/post_keys.hpp"

namespace recto {

[[nodiscard]] std::vector<std::string> take_authors(PostKeys& keys, std::vector<Remark>& remarks);
[[nodiscard]] std::vector<std::string> take_tags(PostKeys& keys, std::vector<Remark>& remarks);

}  // namespace recto
