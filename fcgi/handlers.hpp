// handlers.hpp - which function answers which view.
//
// Threads:  handlers are called from any pool thread at once.
#pragma once

#include <functional>
#include <map>
#include <string_view>

#include "fcgi/request.hpp"
#include "fcgi/response.hpp"
#include "site/site.hpp"
#include "site/view_request.hpp"

namespace recto {

// A handler gets to see nothing that isn't declared, so nothing that isn't in the cache key.
using Handler = std::function<Response(const ViewRequest&)>;
using Handlers = std::map<std::string_view, Handler>;

// The site must outlive them. Every view of the table has one (assert).
[[nodiscard]] Handlers make_handlers(Site& site);

}  // namespace recto
