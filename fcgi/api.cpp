#include "fcgi/api.hpp"

#include "cache/cached.hpp"
#include "fcgi/answers.hpp"
#include "util/json.hpp"

namespace recto {
namespace {

void append_field(std::string& out, std::string_view name, std::string_view text) {
    append_json_string(out, name);
    out += ':';
    append_json_string(out, text);
    out += ',';
}

void append_field(std::string& out, std::string_view name, std::optional<std::int64_t> number) {
    append_json_string(out, name);
    out += ':' + (number ? std::to_string(*number) : "null") + ',';
}

void append_post(std::string& out, const PublishedPost& post) {
    out += '{';
    append_field(out, "id", post.id);
    append_field(out, "title", post.title);
    append_field(out, "slug", post.slug);
    append_field(out, "author_id", post.author_id);
    append_field(out, "excerpt", post.excerpt);
    append_field(out, "body", post.body);
    append_field(out, "published_at", rfc3339(post.published_at));
    append_field(out, "updated_at", rfc3339(post.updated_at));
    out.back() = '}';
}

std::string blogs_as_json(const std::vector<PublishedPost>& posts) {
    std::string out = R"({"blogs":[)";
    for (const auto& post : posts) {
        if (out.back() == '}') out += ',';
        append_post(out, post);
    }
    return out + "]}";
}

Result<std::int64_t> author_id_of(const ViewRequest& request) {
    const auto text = request.parameter("author_id");
    if (!text) return Error{"This field is required."};
    const auto id = parse_integer(*text);
    if (!id) return Error{"A valid integer is required."};
    return *id;
}

}  // namespace

Handler blogs_by_author(Site& site) {
    const auto fetch = [&site](std::int64_t author) {
        log_message(Level::info, "Fetching blogs from database");
        return blogs_as_json(site.blog.published_by_author(author));
    };
    // `cache = off` means the whole of it: neither the view nor its function.
    const auto ttl = policy_of(*find_view("/api/blogs"), site.config).cache;
    const auto by_author = ttl.count() == 0 ? std::function<std::string(std::int64_t)>(fetch)
                                            : cached<std::string(std::int64_t)>(site.cache, "blogs_by_author", ttl, fetch);
    return [by_author](const ViewRequest& request) {
        const auto author = author_id_of(request);
        if (!author) return invalid_field("author_id", author.error());
        return json_answer(200, by_author(*author));
    };
}

}  // namespace recto
