#include <cstdio>
#include <iostream>
#include <iterator>

#include "blog/date.hpp"
#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/table.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

// What `recto post set` was given; absent options leave the post as it is.
struct SetOptions {
    std::string post;
    std::string body_file;
    PostChanges changes;
    std::string status;
    std::string date;
};

// Digits alone are always an id.
std::optional<Post> find(Operator& op, const std::string& slug_or_id) {
    const auto id = parse_integer(slug_or_id);
    return id ? op.site().blog.find(*id) : op.site().blog.find(std::string_view(slug_or_id));
}

Post existing(Operator& op, const std::string& slug_or_id) {
    auto post = find(op, slug_or_id);
    if (!post) fail("there is no post " + slug_or_id + "; see `recto post list`");
    return *std::move(post);
}

TimePoint date_of(Operator& op, const std::string& text) {
    const auto date = parse_date(text, TimeZone::find(op.config().site_time_zone).value());
    if (!date) fail("expected a date such as 2026-03-17 or 2026-03-17T14:00:00+02:00, found " + text + ": " + date.error());
    return *date;
}

PostStatus status_of(const std::string& word) {
    const auto status = parse_status(word);
    if (!status) fail("expected the status draft, published or archived, found " + word);
    return *status;
}

std::string body_of(const std::string& file) {
    if (file != "-") return read_file(file);
    std::string body{std::istreambuf_iterator<char>(std::cin), {}};
    if (std::ferror(stdin) != 0) throw io_error("cannot read", "standard input");  // a post must not become empty for it
    return body;
}

void report(const Result<Post>& post, std::string_view event) {
    if (!post) fail(post.error());
    log_event(event, {{"post", post->id}, {"slug", post->slug}});
    const auto published = post->published_at ? ' ' + rfc3339(*post->published_at) : std::string();
    print_line(std::to_string(post->id) + ' ' + post->slug + ' ' + std::string(to_text(post->status)) + published);
}

void set(Operator& op, SetOptions options) {
    auto& changes = options.changes;
    if (!options.body_file.empty()) changes.body = body_of(options.body_file);
    if (!options.status.empty()) changes.status = status_of(options.status);
    if (!options.date.empty()) changes.published_at = date_of(op, options.date);

    auto& blog = op.site().blog;
    if (const auto post = find(op, options.post)) return report(blog.change(post->id, changes, time_now()), "post.change");
    if (!changes.title) fail("there is no post " + options.post + "; with --title it would be made");
    if (!changes.slug) changes.slug = options.post;
    report(blog.create(changes, time_now()), "post.create");
}

void publish(Operator& op, const std::string& post, const std::string& at) {
    PostChanges changes;
    changes.status = PostStatus::published;
    if (!at.empty()) changes.published_at = date_of(op, at);
    report(op.site().blog.change(existing(op, post).id, changes, time_now()), "post.publish");
}

void remove(Operator& op, const std::string& slug_or_id) {
    const auto post = existing(op, slug_or_id);
    if (!op.site().blog.remove(post.id)) fail("the post " + slug_or_id + " has just been deleted");
    log_event("post.delete", {{"post", post.id}, {"slug", post.slug}});
}

void list(Operator& op, const std::string& status) {
    const auto wanted = status.empty() ? std::nullopt : std::optional(status_of(status));
    std::vector<TableRow> rows{{"ID", "STATUS", "PUBLISHED", "AUTHORS", "SLUG", "TITLE"}};
    for (const auto& post : op.site().blog.list(wanted))
        rows.push_back({std::to_string(post.id), std::string(to_text(post.status)), post.published_at ? rfc3339(*post.published_at) : "",
                        join(post.authors, ", "), post.slug, post.title});
    print_table(rows);
}

void add_set(CLI::App& post, Operator& op) {
    auto* const command = post.add_subcommand("set", "Changes a post, or makes it as a draft when --title is given and there is none");
    const auto options = std::make_shared<SetOptions>();
    auto& changes = options->changes;
    command->add_option("POST", options->post, "Slug or id")->required();
    command->add_option("--title", changes.title, "The title");
    command->add_option("--slug", changes.slug, "Another slug");
    command->add_option("--body", options->body_file, "A Markdown file; - for standard input");
    command->add_option("--excerpt", changes.excerpt, "The excerpt");
    command->add_option("--language", changes.language, "A language tag such as en");
    command->add_option("--author", changes.authors, "A user's name; once for each author, in order")->allow_extra_args(false);
    command->add_option("--tag", changes.tags, "A tag; once for each")->allow_extra_args(false);
    command->add_option("--status", options->status, "draft, published or archived");
    command->add_option("--date", options->date, "When it is or will be public");
    command->final_callback([&op, options] { set(op, *options); });
}

}  // namespace

void add_post(CLI::App& program, Operator& op) {
    auto* const post = program.add_subcommand("post", "Posts");
    post->require_subcommand(1);

    auto* const list_command = post->add_subcommand("list", "Prints the posts, the newest first");
    auto* const status = list_command->add_option("--status", "draft, published or archived")->default_str("");
    list_command->final_callback([&op, status] { list(op, status->as<std::string>()); });

    add_set(*post, op);

    auto* const publish_command = post->add_subcommand("publish", "Makes a post public, now or at a given time");
    auto* const published = publish_command->add_option("POST", "Slug or id")->required();
    auto* const at = publish_command->add_option("--at", "When")->default_str("");
    publish_command->final_callback([&op, published, at] { publish(op, published->as<std::string>(), at->as<std::string>()); });

    auto* const delete_command = post->add_subcommand("delete", "Deletes a post");
    auto* const deleted = delete_command->add_option("POST", "Slug or id")->required();
    delete_command->final_callback([&op, deleted] { remove(op, deleted->as<std::string>()); });
}

}  // namespace recto
