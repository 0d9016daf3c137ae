// front_matter_fuzz.cpp - any bytes as a Markdown file: no crash, no hang; the body is the end of the file, and what came in is fit to
// store and public only with a date.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "blog/date.hpp"
#include "blog/post_file.hpp"
#include "blog/post_writer.hpp"
#include "tests/support/fuzzing.hpp"
#include "util/slug.hpp"
#include "util/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace recto;
    const std::string text(data, data + size);
    (void)parse_date(text.substr(0, 60));
    constexpr TimePoint kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};
    const auto post = parse_post_file(text, {.path = "posts/2015-03-17-a-post.md", .time_zone = {}, .now = kNow});
    if (!post) {
        const auto colon = post.error().find(": ");
        require(colon != std::string::npos && colon > 0 && post.error().find_first_not_of("0123456789") == colon, "no line is named");
        return 0;
    }
    const auto& content = post->content;
    require(text.ends_with(*content.body), "the body isn't the end of the file");
    require(content.status != PostStatus::published || content.published_at.has_value(), "a public post has no date");
    require(slug_of(*content.slug) == *content.slug && !content.slug->empty(), "the slug is none");
    require(std::ranges::all_of(*content.authors, [](const auto& name) { return is_name(name, kMaxNameBytes); }), "an author has no name");
    require(std::ranges::all_of(*content.tags, [](const auto& name) { return is_name(name, kMaxNameBytes); }), "a tag has no name");
    const auto good = checked(content);
    require(!good || (good->title == content.title && good->authors == content.authors), "a name isn't in its normal form");
    return 0;
}
