#include "blog/front_matter.hpp"

#include <algorithm>
#include <optional>

#include "blog/front_matter_formats.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxFrontMatter = 64u << 10;
constexpr std::string_view kTooLong = "the front matter is longer than 64 KiB";

Error at_line(int line, std::string_view what) { return Error{std::to_string(line) + ": " + std::string(what)}; }

// Lines of a text from its beginning, without their ends.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}

    std::string_view take() {
        const auto end = std::min(rest_.find('\n'), rest_.size());
        auto line = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        ++number_;
        return line;
    }
    void skip_blank_ones() {
        for (auto next = *this; !next.rest_.empty() && trim(next.take()).empty();) *this = next;
    }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    [[nodiscard]] int next_number() const { return number_ + 1; }

private:
    std::string_view rest_;
    int number_ = 0;
};

enum class Language { yaml, toml, json };

struct Opening {
    std::string_view sign;
    Language language;
};

// `---`, `+++`, `---toml`; blanks may follow.
std::optional<Opening> opening_of(std::string_view line) {
    constexpr std::pair<std::string_view, Opening> kOpenings[] = {
        {"---", {"---", Language::yaml}},    {"+++", {"+++", Language::toml}},     {"---yaml", {"---", Language::yaml}},
        {"---yml", {"---", Language::yaml}}, {"---toml", {"---", Language::toml}}, {"---json", {"---", Language::json}},
    };
    const auto end = line.find_last_not_of(" \t");
    const auto word = line.substr(0, end == std::string_view::npos ? 0 : end + 1);
    const auto* const found = std::ranges::find(kOpenings, word, &std::pair<std::string_view, Opening>::first);
    if (found == std::end(kOpenings)) return {};
    return found->second;
}

// YAML ends a document with `...` too, so what follows such a line is body.
bool is_closing(std::string_view line, const Opening& opening) {
    const auto is = [&](std::string_view sign) { return line.starts_with(sign) && trim(line.substr(sign.size())).empty(); };
    return is(opening.sign) || (opening.language == Language::yaml && is("..."));
}

// yaml-cpp takes U+0004 for the end of the text, and none of the three languages allows one of these.
std::optional<Error> control_character(std::string_view text, int line) {
    for (const char c : text) {
        if (c == '\n') ++line;
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7F)
            return at_line(line, "a control character in the front matter");
    }
    return {};
}

std::vector<FrontMatterKey> keys_of(const json::object& object, int line) {
    std::vector<FrontMatterKey> keys;
    for (const auto& [name, value] : object) keys.push_back({std::string(name), value, line});
    return keys;
}

// How many bytes of the text the object is, and its keys.
Result<std::pair<std::size_t, std::vector<FrontMatterKey>>> parse_object(std::string_view text, int line) {
    json::parse_options options;
    options.max_depth = kMaxFrontMatterDepth;
    json::stream_parser parser({}, options);
    json::error_code problem;
    const auto length = parser.write_some(text.data(), std::min(text.size(), kMaxFrontMatter), problem);
    if (!problem && !parser.done() && text.size() > kMaxFrontMatter) return at_line(line, kTooLong);
    if (!problem && !parser.done()) return at_line(line, "the front matter doesn't end: it isn't a whole JSON object");
    if (problem) {
        const auto lines = std::ranges::count(text.substr(0, length), '\n');
        return at_line(line + static_cast<int>(lines), "not JSON: " + problem.message());
    }
    const auto value = parser.release();
    if (!value.is_object()) return at_line(line, "expected front matter of the form {\"key\": value}");
    // The parser takes the white space behind the object too.
    return std::pair(text.substr(0, length).rfind('}') + 1, keys_of(value.as_object(), line));
}

FrontMatterKeys parse_json(std::string_view text, int line) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return std::vector<FrontMatterKey>();
    auto object = parse_object(text, line);
    if (!object) return Error{object.error()};
    if (!trim(text.substr(object->first)).empty()) return at_line(line, "something follows the JSON object of the front matter");
    return std::move(object->second);
}

// The object needs no line of its own at its end: the rest of that line is body, unless it is blank.
Result<FrontMatter> object_and_body(std::string_view text, int line) {
    auto object = parse_object(text, line);
    if (!object) return Error{object.error()};
    const auto behind = text.substr(object->first);
    Lines lines(behind);
    const bool is_blank = trim(lines.take()).empty();
    return FrontMatter{std::move(object->second), is_blank ? lines.rest() : behind};
}

FrontMatterKeys parse_keys(Language language, std::string_view text, int line) {
    if (text.size() > kMaxFrontMatter) return at_line(line, kTooLong);
    if (auto problem = control_character(text, line)) return *problem;
    if (language == Language::toml) return parse_toml(text, line);
    if (language == Language::json) return parse_json(text, line);
    return parse_yaml(text, line);
}

Result<FrontMatter> between_signs(const Opening& opening, Lines lines) {
    const auto begin = lines.rest();
    const int first_line = lines.next_number();
    while (!lines.rest().empty()) {
        const auto length = begin.size() - lines.rest().size();
        if (!is_closing(lines.take(), opening)) continue;
        auto keys = parse_keys(opening.language, begin.substr(0, length), first_line);
        if (!keys) return Error{keys.error()};
        return FrontMatter{std::move(*keys), lines.rest()};
    }
    return at_line(first_line - 1, "the front matter doesn't end: no second line of " + std::string(opening.sign));
}

}  // namespace

Result<FrontMatter> parse_front_matter(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    Lines lines(text);
    lines.skip_blank_ones();
    if (lines.rest().starts_with('{')) return object_and_body(lines.rest(), lines.next_number());
    const int line = lines.next_number();
    if (const auto opening = opening_of(lines.take())) return between_signs(*opening, lines);
    return at_line(line, "expected front matter: a first line of ---, +++ or {");
}

}  // namespace recto
