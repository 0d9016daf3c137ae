#include "blog/post_json.hpp"

#include <stdexcept>

namespace recto {
namespace {

TimePoint time_at(const json::value& micros_since_epoch) { return TimePoint(std::chrono::microseconds(micros_since_epoch.as_int64())); }

std::string text_at(const json::value& text) { return json::value_to<std::string>(text); }

std::vector<std::string> texts_at(const json::value& texts) { return json::value_to<std::vector<std::string>>(texts); }

}  // namespace

void tag_invoke(json::value_from_tag, json::value& json, const Post& post) {
    json = {post.id,
            post.title,
            post.slug,
            post.excerpt,
            post.body,
            to_text(post.status),
            post.published_at ? json::value(micros(*post.published_at)) : json::value(),
            micros(post.created_at),
            micros(post.updated_at),
            post.language,
            json::value_from(post.authors),
            json::value_from(post.tags)};
}

Post tag_invoke(json::value_to_tag<Post>, const json::value& json) {
    const auto& fields = json.as_array();
    const auto status = parse_status(fields.at(5).as_string());
    if (!status) throw std::runtime_error("a cached post has no known status");
    Post post{.id = fields.at(0).as_int64(),
              .title = text_at(fields.at(1)),
              .slug = text_at(fields.at(2)),
              .excerpt = text_at(fields.at(3)),
              .body = text_at(fields.at(4)),
              .status = *status,
              .published_at = {},
              .created_at = time_at(fields.at(7)),
              .updated_at = time_at(fields.at(8)),
              .language = text_at(fields.at(9)),
              .authors = texts_at(fields.at(10)),
              .tags = texts_at(fields.at(11))};
    if (!fields.at(6).is_null()) post.published_at = time_at(fields.at(6));
    return post;
}

void tag_invoke(json::value_from_tag, json::value& json, const PublishedPost& post) {
    const auto author = post.author_id ? json::value(*post.author_id) : json::value();
    json = {post.id, post.title, post.slug, author, post.excerpt, post.body, micros(post.published_at), micros(post.updated_at)};
}

PublishedPost tag_invoke(json::value_to_tag<PublishedPost>, const json::value& json) {
    const auto& fields = json.as_array();
    return {.id = fields.at(0).as_int64(),
            .title = text_at(fields.at(1)),
            .slug = text_at(fields.at(2)),
            .author_id = fields.at(3).is_null() ? std::nullopt : std::optional(fields.at(3).as_int64()),
            .excerpt = text_at(fields.at(4)),
            .body = text_at(fields.at(5)),
            .published_at = time_at(fields.at(6)),
            .updated_at = time_at(fields.at(7))};
}

}  // namespace recto
