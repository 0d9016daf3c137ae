#include "log/line.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>

#include <pthread.h>
#include <unistd.h>

#include "util/result.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kUsualLine = 256;
constexpr std::size_t kMaxEventName = 64;
constexpr std::size_t kMaxTxid = 64;
constexpr std::size_t kCutMark = 32;  // room for `"","cut":` or ` cut=` and a number
constexpr std::string_view kMask = "\"********\"";
constexpr std::array<std::string_view, 8> kSecretWords{"password", "passwd",        "secret", "token",
                                                       "cookie",   "authorization", "csrf",   "sessionid"};

// Where a word may begin, in either case. All keys of all events are looked through, and hardly any letter is one.
constexpr auto kBeginsSecretWord = [] {
    std::array<bool, 256> begins{};
    for (const auto word : kSecretWords)
        for (const char letter : {word[0], static_cast<char>(word[0] - 'a' + 'A')}) begins[static_cast<unsigned char>(letter)] = true;
    return begins;
}();

template <class Number>
void append_number(std::string& out, Number number) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// `2026-11-22 20:30:16.123456Z`, with a blank as Python's asctime has it or the T of RFC 3339. Only the microseconds change from line to
// line, mostly.
void append_time(std::string& out, const timespec& time, char between) {
    struct Second {
        time_t number = -1;
        char text[sizeof "2026-11-22 20:30:16."];
    };
    thread_local Second cached;

    if (time.tv_sec != cached.number) {
        tm parts{};
        ::gmtime_r(&time.tv_sec, &parts);
        std::strftime(cached.text, sizeof cached.text, "%Y-%m-%d %H:%M:%S.", &parts);
        cached.number = time.tv_sec;
    }
    cached.text[10] = between;
    out += cached.text;
    char microseconds[] = "000000Z";
    for (auto [rest, i] = std::pair(time.tv_nsec / 1000, 5); i >= 0; --i, rest /= 10) microseconds[i] = static_cast<char>('0' + rest % 10);
    out += microseconds;
}

// Kept, because to ask the kernel costs as much as to write the line. Constant-initialised: the handler of fork() may be the first on its
// thread to touch it.
struct Identity {
    int pid = 0;
    int tid = 0;
};
constinit thread_local Identity kept_identity;

// After fork() only the calling thread is left in the child.
Identity identity() {
    static const int forgotten_in_a_child = ::pthread_atfork(nullptr, nullptr, [] { kept_identity = {}; });
    if (kept_identity.pid == 0 || forgotten_in_a_child != 0) kept_identity = {.pid = ::getpid(), .tid = ::gettid()};
    return kept_identity;
}

bool same_letter(char a, char lower) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == lower; }

bool begins_with(std::string_view text, std::string_view word) {
    return text.size() >= word.size() && std::ranges::equal(text.substr(0, word.size()), word, same_letter);
}

bool is_secret(std::string_view key) {
    for (; !key.empty(); key.remove_prefix(1)) {
        if (!kBeginsSecretWord[static_cast<unsigned char>(key[0])]) continue;
        if (std::ranges::any_of(kSecretWords, [&](std::string_view word) { return begins_with(key, word); })) return true;
    }
    return false;
}

void append_value(std::string& out, const json::value& value);

void append_array(std::string& out, const json::array& array) {
    out += '[';
    for (bool first = true; const auto& element : array) {
        if (!std::exchange(first, false)) out += ',';
        append_value(out, element);
    }
    out += ']';
}

void append_object(std::string& out, const json::object& object) {
    out += '{';
    for (bool first = true; const auto& [key, value] : object) {
        if (!std::exchange(first, false)) out += ',';
        append_json_string(out, key);
        out += ':';
        if (is_secret(key))
            out += kMask;
        else
            append_value(out, value);
    }
    out += '}';
}

// Boost's own serializer passes broken UTF-8 and control characters of U+0080 and above.
void append_value(std::string& out, const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            out += "null";
            return;
        case json::kind::bool_:
            out += value.get_bool() ? "true" : "false";
            return;
        case json::kind::int64:
            append_number(out, value.get_int64());
            return;
        case json::kind::uint64:
            append_number(out, value.get_uint64());
            return;
        case json::kind::double_:
            if (std::isfinite(value.get_double()))
                append_number(out, value.get_double());
            else
                out += "null";
            return;
        case json::kind::string:
            append_json_string(out, value.get_string());
            return;
        case json::kind::array:
            append_array(out, value.get_array());
            return;
        case json::kind::object:
            append_object(out, value.get_object());
            return;
    }
}

// The beginning of some JSON that takes `room` bytes as a JSON string. Its quotes and backslashes are all that is escaped once more.
std::string_view beginning_of(std::string_view text, std::size_t room) {
    std::size_t used = 0;
    std::size_t i = 0;
    while (i < text.size() && (used += text[i] == '"' || text[i] == '\\' ? 2 : 1) <= room) ++i;
    return cut_utf8(text, i);
}

std::string_view txid_of(const RequestContext* context) {
    return context == nullptr ? std::string_view{} : cut_utf8(context->txid, kMaxTxid);
}

void append_unquoted(std::string& out, std::string_view text) {
    const auto begin = out.size();
    append_json_string(out, text);
    out.pop_back();
    out.erase(begin, 1);
}

// As in a JSON string, except that a quotation mark may stand as it is: there are none around the text.
void append_text(std::string& out, std::string_view text) {
    for (auto quote = text.find('"'); quote != std::string_view::npos; quote = text.find('"')) {
        append_unquoted(out, text.substr(0, quote));
        out += '"';
        text.remove_prefix(quote + 1);
    }
    append_unquoted(out, text);
}

// A part of a line, which may have to be cut.
struct Part {
    enum class Kind { none, json, bare_text, quoted_text };
    Kind kind = Kind::none;
    std::size_t begin = 0;
    std::size_t end = 0;
};

void append_member(std::string& out, std::string_view name) {
    out += ",\"";
    out += name;
    out += "\":";
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
    append_member(out, name);
    append_json_string(out, text);
}

void append_member(std::string& out, std::string_view name, int number) {
    append_member(out, name);
    append_number(out, number);
}

}  // namespace

// A line that is being made.
struct LineFormat::Draft {
    std::string text;
    Part part;  // the longest there may be

    void append_data(const json::value* data) {
        part = {Part::Kind::json, text.size(), 0};
        data == nullptr ? append_value(text, nullptr) : append_value(text, *data);
        part.end = text.size();
    }
    void append_bare_text(std::string_view message) {
        part = {Part::Kind::bare_text, text.size(), 0};
        append_text(text, message);
        part.end = text.size();
    }
    void append_quoted_text(std::string_view message) {
        part = {Part::Kind::quoted_text, text.size(), 0};
        append_json_string(text, message);
        part.end = text.size();
    }

    // `{"ev":…,"data":…` without the end of the object.
    void append_event(const LogRecord& record, std::string_view ev, std::string_view data) {
        text += '"';
        text += ev;
        text += "\":\"";
        text += record.event;
        text += '"';
        append_member(text, data);
        append_data(record.data);
    }

    void append_request(const RequestContext* context, std::string_view txid, std::string_view uid, bool uid_is_text = false) {
        if (const auto id = txid_of(context); !id.empty()) append_member(text, txid, id);
        if (context == nullptr || !context->user_id) return;
        append_member(text, uid);
        if (uid_is_text) text += '"';
        append_number(text, *context->user_id);
        if (uid_is_text) text += '"';
    }

    // `{"ev":…,"data":…,"txid":…,"uid":…}`, or the text and ` txid=… uid=…`.
    void append_message(const LogRecord& record) {
        if (!record.event.empty()) {
            text += '{';
            append_event(record, "ev", "data");
            append_request(record.context, "txid", "uid");
            text += '}';
            return;
        }
        append_bare_text(record.text);
        if (const auto id = txid_of(record.context); !id.empty()) {
            text += " txid=";
            append_unquoted(text, id);
        }
        if (record.context == nullptr || !record.context->user_id) return;
        text += " uid=";
        append_number(text, *record.context->user_id);
    }

    void append_json(const LogRecord& record) {
        text += R"({"time":")";
        append_time(text, record.time, 'T');
        text += R"(","level":")";
        text += word_of(record.level);
        text += '"';
        append_member(text, "logger", record.logger);
        append_member(text, "pid", identity().pid);
        append_member(text, "tid", identity().tid);
        text += ',';
        if (!record.event.empty()) {
            append_event(record, "ev", "data");
        } else {
            text += R"("msg":)";
            append_quoted_text(record.text);
        }
        append_request(record.context, "txid", "uid");
        text += '}';
    }

    void append_ecs(const LogRecord& record) {
        text += R"({"@timestamp":")";
        append_time(text, record.time, 'T');
        text += R"(","log.level":")";
        text += word_of(record.level);
        text += R"(","message":)";
        if (record.event.empty())
            append_quoted_text(record.text);
        else
            append_json_string(text, record.event);
        text += R"(,"ecs.version":"1.6.0")";
        append_member(text, "log.logger", record.logger);
        append_member(text, "process.pid", identity().pid);
        append_member(text, "process.thread.id", identity().tid);
        if (!record.event.empty()) {
            text += ',';
            append_event(record, "event.action", "recto.data");
        }
        append_request(record.context, "trace.id", "user.id", true);
        text += '}';
    }

    void cut_to(std::size_t max_bytes, std::string_view message) {
        if (text.size() <= max_bytes || part.kind == Part::Kind::none) return;
        const auto rest = text.size() - (part.end - part.begin) + kCutMark;
        const auto room = max_bytes > rest ? max_bytes - rest : 0;
        const auto whole = std::string_view(text).substr(part.begin, part.end - part.begin);
        const auto replacement = part.kind == Part::Kind::json        ? cut_json(whole, room)
                                 : part.kind == Part::Kind::bare_text ? cut_bare(whole, room)
                                                                      : cut_quoted(message, room);
        text.replace(part.begin, whole.size(), replacement);
    }

private:
    static std::string cut_json(std::string_view whole, std::size_t room) {
        const auto kept = beginning_of(whole, room);
        return json_string(kept) + R"(,"cut":)" + std::to_string(whole.size() - kept.size());
    }
    static std::string cut_bare(std::string_view whole, std::size_t room) {
        const auto kept = cut_utf8(whole, room);
        return std::string(kept) + " cut=" + std::to_string(whole.size() - kept.size());
    }
    // Of what needs escapes less fits than there is room: halving finds how much.
    static std::string cut_quoted(std::string_view message, std::size_t room) {
        std::size_t fits = 0;
        for (auto too_much = std::min(message.size(), room) + 1; too_much - fits > 1;) {
            const auto middle = fits + (too_much - fits) / 2;
            (json_string(cut_utf8(message, middle)).size() <= room + 2 ? fits : too_much) = middle;
        }
        const auto kept = cut_utf8(message, fits);
        return json_string(kept) + R"(,"cut":)" + std::to_string(message.size() - kept.size());
    }
};

std::string_view word_of(Level level) {
    constexpr std::array<std::string_view, 4> kWords{"debug", "info", "warning", "error"};
    return kWords[static_cast<std::size_t>(level)];
}

bool is_event_name(std::string_view name) {
    constexpr auto kAllowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'; };
    return !name.empty() && name.size() <= kMaxEventName && std::ranges::all_of(name, kAllowed);
}

Result<LineFormat> LineFormat::parse(std::string_view text) {
    constexpr std::string_view kVerbose = "{asctime} {process} {thread} {message}";
    constexpr std::array<std::string_view, 9> kFields{"", "asctime", "levelname", "name", "process", "thread", "message", "txid", "uid"};
    LineFormat format;
    if (text == "json" || text == "ecs") {
        format.kind_ = text == "json" ? Kind::json : Kind::ecs;
        return format;
    }
    if (text == "verbose") text = kVerbose;
    bool has_message = false;
    while (!text.empty()) {
        const auto brace = std::min(text.find('{'), text.size());
        if (brace > 0) format.pieces_.push_back({Field::literal, std::string(text.substr(0, brace))});
        text.remove_prefix(brace);
        if (text.empty()) break;
        const auto end = std::min(text.find('}'), text.size());
        const auto field = std::ranges::find(kFields, text.substr(1, end - 1));
        if (end == text.size() || end < 2 || field == kFields.end())
            return Error{
                "expected verbose, json, ecs or a pattern of {asctime} {levelname} {name} {process} {thread} {message} {txid} {uid}"};
        format.pieces_.push_back({static_cast<Field>(field - kFields.begin()), {}});
        has_message = has_message || format.pieces_.back().field == Field::message;
        text.remove_prefix(end + 1);
    }
    if (!has_message) return Error{"expected verbose, json, ecs or a pattern with {message}"};
    return format;
}

std::string LineFormat::line(const LogRecord& record, std::size_t max_bytes) const {
    Draft draft;
    draft.text.reserve(kUsualLine);
    switch (kind_) {
        case Kind::json:
            draft.append_json(record);
            break;
        case Kind::ecs:
            draft.append_ecs(record);
            break;
        case Kind::pattern:
            append_pattern(draft, record);
            break;
    }
    draft.text += '\n';
    draft.cut_to(max_bytes, record.text);
    return std::move(draft.text);
}

void LineFormat::append_pattern(Draft& draft, const LogRecord& record) const {
    for (const auto& piece : pieces_) append(draft, piece, record);
}

void LineFormat::append(Draft& draft, const Piece& piece, const LogRecord& record) {
    constexpr std::array<std::string_view, 4> kPythonLevels{"DEBUG", "INFO", "WARNING", "ERROR"};
    switch (piece.field) {
        case Field::literal:
            draft.text += piece.text;
            return;
        case Field::asctime:
            return append_time(draft.text, record.time, ' ');
        case Field::levelname:
            draft.text += kPythonLevels[static_cast<std::size_t>(record.level)];
            return;
        case Field::name:
            return append_unquoted(draft.text, record.logger);
        case Field::process:
            return append_number(draft.text, identity().pid);
        case Field::thread:
            return append_number(draft.text, identity().tid);
        case Field::message:
            return draft.append_message(record);
        case Field::txid:
            return append_unquoted(draft.text, txid_of(record.context).empty() ? "-" : txid_of(record.context));
        case Field::uid:
            if (record.context == nullptr || !record.context->user_id)
                draft.text += '-';
            else
                append_number(draft.text, *record.context->user_id);
            return;
    }
}

}  // namespace recto
