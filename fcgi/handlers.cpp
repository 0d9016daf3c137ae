#include "fcgi/handlers.hpp"

#include <cassert>

#include "fcgi/answers.hpp"
#include "fcgi/api.hpp"

namespace recto {
namespace {

Response permitted(const ViewRequest&) { return json_answer(200, R"({"status":"request was permitted"})"); }

Response healthy(const ViewRequest&) {
    auto response = json_answer(200, R"({"status":"ok"})");
    response.set("Cache-Control", "no-store");
    return response;
}

}  // namespace

Handlers make_handlers(Site& site) {
    Handlers handlers{
        {"blogs.by_author", blogs_by_author(site)},
        {"blog", permitted},
        {"blog.detail", permitted},
        {"blog2", permitted},
        {"status.healthz", healthy},
    };
    for (const auto& view : all_views()) assert(handlers.contains(view.name));
    return handlers;
}

}  // namespace recto
