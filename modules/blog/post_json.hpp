// post_json.hpp - posts as JSON, for what is cached of them; not what the API shows.
//
// Threads:  pure functions.
#pragma once

#include "blog/blog.hpp"
#include "util/json.hpp"

namespace recto {

void tag_invoke(json::value_from_tag, json::value& json, const Post& post);
[[nodiscard]] Post tag_invoke(json::value_to_tag<Post>, const json::value& json);

void tag_invoke(json::value_from_tag, json::value& json, const PublishedPost& post);
[[nodiscard]] PublishedPost tag_invoke(json::value_to_tag<PublishedPost>, const json::value& json);

}  // namespace recto
