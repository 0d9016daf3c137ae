#include "log/line_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace recto {
namespace {

using namespace std::chrono;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
constexpr bool is_word_sign(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.';
}

// The whole of `digits` as a number.
std::optional<std::int64_t> number_of(std::string_view digits) {
    std::int64_t number = 0;
    const auto* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (digits.empty() || error != std::errc() || stop != end) return {};
    return number;
}

// What stands in `text` as `form` does, in which d is a digit.
bool has_form(std::string_view text, std::string_view form) {
    return text.size() >= form.size() &&
           std::ranges::equal(text.substr(0, form.size()), form, [](char c, char sign) { return sign == 'd' ? is_digit(c) : c == sign; });
}

int two_digits(std::string_view text, std::size_t at) { return (text[at] - '0') * 10 + text[at + 1] - '0'; }

// Takes `.123456` from the beginning of the text; microseconds, the last one that the digits can mean.
std::optional<microseconds> take_fraction(std::string_view& text) {
    if (text.empty() || (text[0] != '.' && text[0] != ',')) return microseconds(999'999);
    text.remove_prefix(1);
    const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
    if (digits == 0) return {};
    std::int64_t fraction = 0;
    for (std::size_t i = 0; i < 6; ++i) fraction = fraction * 10 + (i < digits ? text[i] - '0' : 9);
    text.remove_prefix(digits);
    return microseconds(fraction);
}

// Takes `Z`, `+01:00` or nothing.
minutes take_offset(std::string_view& text) {
    if (text.starts_with('Z')) text.remove_prefix(1);
    if (!has_form(text, "+dd:dd") && !has_form(text, "-dd:dd")) return {};
    const minutes offset(two_digits(text, 1) * 60 + two_digits(text, 4));
    const bool is_east = text[0] == '+';
    text.remove_prefix(6);
    return is_east ? offset : -offset;
}

// Wherever it stands; its first colon is its 14th character.
std::optional<TimeText> find_time(std::string_view line) {
    for (auto colon = line.find(':'); colon != std::string_view::npos; colon = line.find(':', colon + 1)) {
        if (colon < 13) continue;
        if (auto found = parse_log_time(line.substr(colon - 13))) return found;
    }
    return {};
}

// The object that begins here; what follows it doesn't matter.
std::optional<json::object> object_at(std::string_view text) {
    if (!text.starts_with('{')) return {};
    json::stream_parser parser;
    json::error_code problem;
    parser.write_some(text.data(), text.size(), problem);
    if (problem || !parser.done()) return {};
    auto value = parser.release();
    return std::move(value.as_object());
}

std::string_view text_in(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

// ECS has the user's number as text.
std::optional<std::int64_t> number_in(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(key);
    if (value == nullptr) return {};
    return value->is_int64() ? value->get_int64() : number_of(text_in(object, key));
}

std::optional<TimePoint> time_in(const json::object& object, std::string_view key) {
    const auto time = parse_log_time(text_in(object, key));
    return time ? std::optional(time->time) : std::nullopt;
}

json::value value_in(json::object& object, std::string_view key) {
    auto* const value = object.if_contains(key);
    return value == nullptr ? json::value() : std::move(*value);
}

// The names that a format has for the same.
struct Names {
    std::string_view time, level, logger, pid, tid, event, data, text, txid, uid;
};
constexpr Names kJson{"time", "level", "logger", "pid", "tid", "ev", "data", "msg", "txid", "uid"};
constexpr Names kEcs{"@timestamp",   "log.level",  "log.logger", "process.pid", "process.thread.id",
                     "event.action", "recto.data", "message",    "trace.id",    "user.id"};

LogLine from_object(json::object object, const Names& names) {
    LogLine line{.time = time_in(object, names.time),
                 .level = parse_level(text_in(object, names.level)),
                 .logger = std::string(text_in(object, names.logger)),
                 .pid = number_in(object, names.pid),
                 .tid = number_in(object, names.tid),
                 .event = std::string(text_in(object, names.event)),
                 .txid = std::string(text_in(object, names.txid)),
                 .uid = number_in(object, names.uid)};
    if (line.event.empty()) line.text = text_in(object, names.text);
    line.data = value_in(object, names.data);
    return line;
}

LogLine from_nginx(json::object object) {
    LogLine line{.time = time_in(object, "time"), .logger = "nginx", .txid = std::string(text_in(object, "request_id"))};
    line.data = std::move(object);
    return line;
}

std::optional<LogLine> from_json(std::string_view text) {
    auto object = object_at(text);
    if (!object) return {};
    if (object->contains("@timestamp")) return from_object(*std::move(object), kEcs);
    if (object->contains("request_id")) return from_nginx(*std::move(object));
    if (object->contains("time")) return from_object(*std::move(object), kJson);
    return {};
}

// Cuts ` NAME=word` off the end of the text.
std::string_view cut_word(std::string_view& text, std::string_view name) {
    const auto begin = text.rfind(name);
    if (begin == std::string_view::npos) return {};
    const auto word = text.substr(begin + name.size());
    if (word.empty() || !std::ranges::all_of(word, is_word_sign)) return {};
    text = text.substr(0, begin);
    return word;
}

// `{"ev":…}`, or a text with ` txid=… uid=…` behind it.
void read_message(LogLine& line, std::string_view message) {
    if (auto object = message.starts_with("{\"ev\":") ? object_at(message) : std::nullopt) {
        auto event = from_object(*std::move(object), kJson);
        line.event = std::move(event.event);
        line.data = std::move(event.data);
        line.txid = std::move(event.txid);
        line.uid = event.uid;
        return;
    }
    line.uid = number_of(cut_word(message, " uid="));
    line.txid = cut_word(message, " txid=");
    line.text = message;
}

// Takes digits and a blank from the beginning of the text.
std::optional<std::int64_t> take_number(std::string_view& text) {
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos) return {};
    const auto number = number_of(text.substr(0, blank));
    if (number) text.remove_prefix(blank + 1);
    return number;
}

std::optional<LogLine> from_verbose(std::string_view text) {
    const auto time = parse_log_time(text);
    if (!time || !text.substr(time->length).starts_with(' ')) return {};
    text.remove_prefix(time->length + 1);
    LogLine line{.time = time->time};
    line.pid = take_number(text);
    if (line.pid) line.tid = take_number(text);
    if (!line.tid) return {};
    read_message(line, text);
    return line;
}

bool is_level_word(std::string_view word) { return word == "DEBUG" || word == "INFO" || word == "WARNING" || word == "ERROR"; }

std::optional<Level> level_called(std::string_view word) {
    std::string lower(word);
    std::ranges::transform(lower, lower.begin(), [](char c) { return static_cast<char>(c + ('a' - 'A')); });
    return parse_level(lower);
}

bool is_logger(std::string_view word) { return word == kDefaultLogger || word.starts_with("recto."); }

bool is_txid(std::string_view word) {
    if (word.size() == 32) return std::ranges::all_of(word, is_hex_digit);
    constexpr std::array<std::size_t, 4> kDashes{8, 13, 18, 23};
    for (std::size_t i = 0; i < word.size(); ++i)
        if (std::ranges::find(kDashes, i) == kDashes.end() ? !is_hex_digit(word[i]) : word[i] != '-') return false;
    return word.size() == 36;
}

// The first of each kind, among the words around the event.
void read_words(LogLine& line, std::string_view text) {
    while (!text.empty()) {
        const auto begin = std::ranges::find_if(text, is_word_sign);
        const auto end = std::find_if_not(begin, text.end(), is_word_sign);
        const std::string_view word(begin, end);
        if (!line.level && is_level_word(word)) line.level = level_called(word);
        if (line.logger.empty() && is_logger(word)) line.logger = word;
        if (line.txid.empty() && is_txid(word)) line.txid = word;
        text = std::string_view(end, text.end());
    }
}

LogLine from_pattern(std::string_view text) {
    LogLine line;
    if (const auto time = find_time(text)) line.time = time->time;
    const auto event = text.find("{\"ev\":");
    if (event != std::string_view::npos) read_message(line, text.substr(event));
    if (line.event.empty()) {
        read_message(line, text);
        read_words(line, text);
        return line;
    }
    read_words(line, text.substr(0, event));
    read_words(line, text.substr(text.rfind('}')));
    return line;
}

}  // namespace

std::optional<TimeText> parse_log_time(std::string_view text) {
    if (!has_form(text, "dddd-dd-dd dd:dd:dd") && !has_form(text, "dddd-dd-ddTdd:dd:dd")) return {};
    const year_month_day day(year(two_digits(text, 0) * 100 + two_digits(text, 2)), month(static_cast<unsigned>(two_digits(text, 5))),
                             std::chrono::day(static_cast<unsigned>(two_digits(text, 8))));
    const auto hour = two_digits(text, 11), minute = two_digits(text, 14), second = two_digits(text, 17);
    if (!day.ok() || hour > 23 || minute > 59 || second > 60) return {};

    auto rest = text.substr(19);
    const auto fraction = take_fraction(rest);
    if (!fraction) return {};
    const auto offset = take_offset(rest);
    return TimeText{sys_days(day) + hours(hour) + minutes(minute) + seconds(second) + *fraction - offset, text.size() - rest.size()};
}

LogLine parse_log_line(std::string_view line) {
    if (auto object = from_json(line)) return *std::move(object);
    if (auto verbose = from_verbose(line)) return *std::move(verbose);
    return from_pattern(line);
}

}  // namespace recto
