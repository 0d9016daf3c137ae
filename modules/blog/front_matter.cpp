#include "blog/front_matter.hpp"

#include <algorithm>
#include <charconv>

#include <yaml-cpp/yaml.h>

#include "markdown/markdown.hpp"
#include "util/slug.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxFrontMatter = 64u << 10;
constexpr std::size_t kMaxDepth = 16;
constexpr int kMaxValues = 10'000;
constexpr std::size_t kExcerptBytes = 300;
// What RFC 3339 can say in four digits.
constexpr std::chrono::sys_days kFirstDate{std::chrono::year(1) / 1 / 1};
constexpr std::chrono::sys_days kEndOfDates{std::chrono::year(10'000) / 1 / 1};
constexpr std::string_view kMore = "<!-- more -->";

struct Parts {
    std::string_view front_matter;
    std::string_view body;
};

// The line at the beginning of `text`, without its end; `text` goes on behind it.
std::string_view take_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

bool is_delimiter(std::string_view line) { return line.starts_with("---") && trim(line.substr(3)).empty(); }

Result<Parts> split(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    auto rest = text;
    if (!is_delimiter(take_line(rest))) return Error{"1: expected front matter: a first line of ---"};
    const auto begin = rest;
    while (!rest.empty()) {
        const auto before = rest;
        if (is_delimiter(take_line(rest))) return Parts{begin.substr(0, begin.size() - before.size()), rest};
    }
    return Error{"1: the front matter doesn't end: no second line of ---"};
}

class TooMuch : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

json::value to_json(const YAML::Node& node, std::size_t depth, int& values) {
    if (depth > kMaxDepth || ++values > kMaxValues) throw TooMuch("the front matter is nested too deep or has too many values");
    if (node.IsSequence()) {
        json::array list;
        for (const auto& item : node) list.push_back(to_json(item, depth + 1, values));
        return list;
    }
    if (node.IsMap()) {
        json::object object;
        for (const auto& item : node) object[item.first.as<std::string>("")] = to_json(item.second, depth + 1, values);
        return object;
    }
    if (node.IsScalar()) return json::string(node.Scalar());
    return nullptr;
}

Result<json::object> parse_yaml(std::string_view text) {
    if (text.size() > kMaxFrontMatter) return Error{"1: the front matter is longer than 64 KiB"};
    try {
        int values = 0;
        const auto node = YAML::Load(std::string(text));
        if (node.IsNull()) return json::object();
        if (!node.IsMap()) return Error{"2: expected front matter of the form `key: value`"};
        return to_json(node, 0, values).as_object();
    } catch (const YAML::Exception& problem) {
        return Error{std::to_string(problem.mark.line + 2) + ": " + problem.msg};  // lines from 1, behind the line of ---
    } catch (const TooMuch& problem) {
        return Error{std::string("1: ") + problem.what()};
    }
}

// Takes the key out of the object; empty for null, "" and what isn't there.
std::optional<std::string> take_text(json::object& object, std::string_view key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->value().is_string()) return {};
    auto text = std::string(trim(found->value().as_string()));
    object.erase(found);
    if (text.empty()) return {};
    return text;
}

std::optional<std::string> take_first_text(json::object& object, std::initializer_list<std::string_view> keys) {
    for (const auto key : keys)
        if (auto text = take_text(object, key)) return text;
    return {};
}

std::vector<std::string> take_list(json::object& object, std::string_view key) {
    if (const auto one = take_text(object, key)) return {*one};
    std::vector<std::string> list;
    const auto found = object.find(key);
    if (found == object.end() || !found->value().is_array()) return {};
    for (const auto& item : found->value().as_array()) {
        if (!item.is_string()) return {};
        if (const auto text = trim(item.as_string()); !text.empty()) list.emplace_back(text);
    }
    object.erase(found);
    return list;
}

std::vector<std::string> take_first_list(json::object& object, std::initializer_list<std::string_view> keys) {
    for (const auto key : keys)
        if (auto list = take_list(object, key); !list.empty()) return list;
    return {};
}

struct NameParts {
    std::string date;  // `2015-03-17`, or empty
    std::string rest;
};

// Reads a text from its beginning; each `take` gives nothing, and moves nothing, when something else stands there.
class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    bool take(std::string_view word) {
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    std::optional<int> take_number(std::size_t min_digits, std::size_t max_digits) {
        const auto digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
        if (digits < min_digits || digits > max_digits) return {};
        int number = 0;
        std::from_chars(rest_.data(), rest_.data() + digits, number);
        rest_.remove_prefix(digits);
        return number;
    }
    void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
    [[nodiscard]] std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

std::optional<std::chrono::sys_days> take_day(Scanner& scanner) {
    const auto year = scanner.take_number(4, 4);
    if (!year || !scanner.take("-")) return {};
    const auto month = scanner.take_number(1, 2);
    if (!month || !scanner.take("-")) return {};
    const auto day = scanner.take_number(1, 2);
    if (!day) return {};
    const auto date = std::chrono::year(*year) / *month / *day;
    if (!date.ok()) return {};
    return date;
}

std::chrono::microseconds take_fraction(Scanner& scanner) {
    if (!scanner.take(".")) return {};
    const auto before = scanner.rest();
    if (!scanner.take_number(1, 9)) return {};
    std::string digits(before.substr(0, before.size() - scanner.rest().size()));
    digits.resize(6, '0');
    return std::chrono::microseconds(std::stoi(digits));
}

// `14:00`, `9:00:00`, `12:47:37.738`
std::optional<std::chrono::microseconds> take_time(Scanner& scanner) {
    const auto hours = scanner.take_number(1, 2);
    if (!hours || !scanner.take(":")) return {};
    const auto minutes = scanner.take_number(2, 2);
    if (!minutes) return {};
    const auto seconds = scanner.take(":") ? scanner.take_number(2, 2) : std::optional(0);
    if (!seconds || *hours > 23 || *minutes > 59 || *seconds > 60) return {};
    return std::chrono::hours(*hours) + std::chrono::minutes(*minutes) + std::chrono::seconds(*seconds) + take_fraction(scanner);
}

// `Z`, `UTC`, `-4`, `+02:00`, `-0400` or nothing: how far local time is ahead of UTC.
std::optional<std::chrono::minutes> take_zone(Scanner& scanner) {
    scanner.skip_blanks();
    if (scanner.take("Z") || scanner.take("z") || scanner.take("UTC") || scanner.rest().empty()) return std::chrono::minutes(0);
    const int sign = scanner.take("-") ? -1 : 1;
    if (sign == 1 && !scanner.take("+")) return {};
    const auto number = scanner.take_number(1, 4);
    if (!number) return {};
    if (*number >= 100 && *number % 100 < 60 && *number < 1500)
        return sign * (std::chrono::hours(*number / 100) + std::chrono::minutes(*number % 100));
    const auto minutes = scanner.take(":") ? scanner.take_number(2, 2) : std::optional(0);
    if (!minutes || *minutes > 59 || *number > 14) return {};
    return sign * (std::chrono::hours(*number) + std::chrono::minutes(*minutes));
}

NameParts split_name(std::string_view name) {
    for (const std::string_view extension : {".md", ".markdown"})
        if (name.ends_with(extension)) name.remove_suffix(extension.size());
    Scanner scanner(name);
    if (!take_day(scanner) || !scanner.take("-")) return {{}, std::string(name)};
    const auto rest = scanner.rest();
    return {std::string(name.substr(0, name.size() - rest.size() - 1)), std::string(rest)};
}

std::string excerpt_of(std::string_view body) {
    if (const auto more = body.find(kMore); more != std::string_view::npos) body = body.substr(0, more);
    return first_paragraph(body, kExcerptBytes);
}

bool is_word(const std::optional<std::string>& text, std::string_view word) { return text && lower_ascii(*text) == word; }

}  // namespace

std::optional<TimePoint> parse_date(std::string_view text) {
    Scanner scanner(text);
    const auto day = take_day(scanner);
    if (!day) return {};
    std::optional<std::chrono::microseconds> time(0);
    if (scanner.take("T") || (scanner.take(" ") && scanner.rest().find(':') != std::string_view::npos)) time = take_time(scanner);
    const auto zone = take_zone(scanner);
    if (!time || !zone || !scanner.rest().empty()) return {};
    const TimePoint date = *day + *time - *zone;
    if (date < kFirstDate || date >= kEndOfDates) return {};
    return date;
}

Result<ImportedPost> parse_post_file(std::string_view text, std::string_view name) {
    if (!is_utf8(text)) return Error{"1: not valid UTF-8"};
    const auto parts = split(text);
    if (!parts) return Error{parts.error()};
    auto yaml = parse_yaml(parts->front_matter);
    if (!yaml) return Error{yaml.error()};

    const auto from_name = split_name(name);
    auto& keys = *yaml;
    const auto title = take_text(keys, "title");
    if (!title) return Error{"1: the front matter has no title"};
    const auto date_text = take_text(keys, "date").value_or(from_name.date);
    const auto date = parse_date(date_text);
    if (!date_text.empty() && !date) return Error{"1: expected a date such as 2015-03-17 or 2015-03-17 14:00:00 -0400, found " + date_text};

    const bool is_draft = is_word(take_text(keys, "draft"), "true") || is_word(take_text(keys, "published"), "false");
    if (!date && !is_draft) return Error{"1: no date: neither a date in the front matter nor YYYY-MM-DD in the file's name"};

    ImportedPost post;
    post.content.title = *title;
    post.content.slug = slug_of(take_text(keys, "slug").value_or(from_name.rest));
    post.content.body = std::string(parts->body);
    post.content.excerpt = take_first_text(keys, {"excerpt", "description", "summary"}).value_or(excerpt_of(parts->body));
    post.content.language = take_first_text(keys, {"lang", "language"}).value_or("");
    post.content.status = is_draft ? PostStatus::draft : PostStatus::published;
    post.content.published_at = date;
    post.content.authors = take_first_list(keys, {"authors", "author", "by"});
    post.content.tags = take_first_list(keys, {"tags", "categories", "category"});
    post.extra = std::move(keys);
    return post;
}

}  // namespace recto
