// api.hpp - the JSON views.
#pragma once

#include "fcgi/handlers.hpp"

namespace recto {

// GET /api/blogs?author_id=12
[[nodiscard]] Handler blogs_by_author(Site& site);

}  // namespace recto
