#include "log/line.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>

#include <pthread.h>
#include <unistd.h>

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

template <class Number>
void append_number(std::string& out, Number number) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// `2026-11-22 20:30:16.123456Z `: date and time as Python's asctime has them. Only the microseconds change from line to line, mostly.
void append_time(std::string& out) {
    struct Second {
        time_t number = -1;
        char text[sizeof "2026-11-22 20:30:16."];
    };
    thread_local Second cached;

    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != cached.number) {
        tm parts{};
        ::gmtime_r(&now.tv_sec, &parts);
        std::strftime(cached.text, sizeof cached.text, "%Y-%m-%d %H:%M:%S.", &parts);
        cached.number = now.tv_sec;
    }
    out += cached.text;
    char microseconds[] = "000000Z ";
    for (auto [rest, i] = std::pair(now.tv_nsec / 1000, 5); i >= 0; --i, rest /= 10) microseconds[i] = static_cast<char>('0' + rest % 10);
    out += microseconds;
}

// `pid tid `. Constant-initialised: the handler of fork() may be the first on its thread to touch it.
struct Identity {
    std::size_t length = 0;
    char text[48] = {};
};
constinit thread_local Identity identity;

// Kept, because to ask the kernel costs as much as to write the line. After fork() only the calling thread is left in the child.
void append_pid_and_tid(std::string& out) {
    static const int forgotten_in_a_child = ::pthread_atfork(nullptr, nullptr, [] { identity.length = 0; });
    if (identity.length == 0 || forgotten_in_a_child != 0) {
        const auto text = std::to_string(::getpid()) + ' ' + std::to_string(::gettid()) + ' ';
        identity.length = text.copy(identity.text, sizeof identity.text);
    }
    out.append(identity.text, identity.length);
}

std::string begin_line() {
    std::string line;
    line.reserve(kUsualLine);
    append_time(line);
    append_pid_and_tid(line);
    return line;
}

bool same_letter(char a, char lower) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == lower; }

bool is_secret(std::string_view key) {
    return std::ranges::any_of(kSecretWords, [&](std::string_view word) { return !std::ranges::search(key, word, same_letter).empty(); });
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

// A part of a line, which may have to be cut.
struct Part {
    std::size_t begin;
    std::size_t end;
    [[nodiscard]] std::string_view of(const std::string& line) const { return std::string_view(line).substr(begin, end - begin); }
};

// What the part may have, so that the line has max_bytes.
std::size_t room_for(const Part& part, const std::string& line, std::size_t max_bytes) {
    const auto rest = line.size() - (part.end - part.begin) + kCutMark;
    return max_bytes > rest ? max_bytes - rest : 0;
}

// The beginning of some JSON that takes `room` bytes as a JSON string. Its quotes and backslashes are all that is escaped once more.
std::string_view beginning_of(std::string_view text, std::size_t room) {
    std::size_t used = 0;
    std::size_t i = 0;
    while (i < text.size() && (used += text[i] == '"' || text[i] == '\\' ? 2 : 1) <= room) ++i;
    return cut_utf8(text, i);
}

void cut_data(std::string& line, const Part& part, std::size_t max_bytes) {
    const auto whole = part.of(line);
    const auto kept = beginning_of(whole, room_for(part, line, max_bytes));
    auto replacement = json_string(kept) + R"(,"cut":)" + std::to_string(whole.size() - kept.size());
    line.replace(part.begin, whole.size(), replacement);
}

void cut_text(std::string& line, const Part& part, std::size_t max_bytes) {
    const auto whole = part.of(line);
    const auto kept = cut_utf8(whole, room_for(part, line, max_bytes));
    const auto replacement = std::string(kept) + " cut=" + std::to_string(whole.size() - kept.size());
    line.replace(part.begin, whole.size(), replacement);
}

bool is_event_name(std::string_view name) {
    constexpr auto kAllowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'; };
    return !name.empty() && name.size() <= kMaxEventName && std::ranges::all_of(name, kAllowed);
}

std::string_view txid_of(const RequestContext* context) {
    return context == nullptr ? std::string_view{} : cut_utf8(context->txid, kMaxTxid);
}

void end_event(std::string& line, const RequestContext* context) {
    if (const auto txid = txid_of(context); !txid.empty()) {
        line += R"(,"txid":)";
        append_json_string(line, txid);
    }
    if (context != nullptr && context->user_id) {
        line += R"(,"uid":)";
        append_number(line, *context->user_id);
    }
    line += "}\n";
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

void end_message(std::string& line, const RequestContext* context) {
    if (const auto txid = txid_of(context); !txid.empty()) {
        line += " txid=";
        append_unquoted(line, txid);
    }
    if (context != nullptr && context->user_id) {
        line += " uid=";
        append_number(line, *context->user_id);
    }
    line += '\n';
}

}  // namespace

std::string event_line(std::string_view event, const json::value& data, const RequestContext* context, std::size_t max_bytes) {
    if (!is_event_name(event))
        return event_line("invalid_event", json::object{{"event", json::string(event)}, {"data", data}}, context, max_bytes);

    auto line = begin_line();
    line += R"({"ev":")";
    line += event;
    line += R"(","data":)";
    Part part{line.size(), 0};
    append_value(line, data);
    part.end = line.size();
    end_event(line, context);
    if (line.size() > max_bytes) cut_data(line, part, max_bytes);
    return line;
}

std::string message_line(std::string_view text, const RequestContext* context, std::size_t max_bytes) {
    auto line = begin_line();
    Part part{line.size(), 0};
    append_text(line, text);
    part.end = line.size();
    end_message(line, context);
    if (line.size() > max_bytes) cut_text(line, part, max_bytes);
    return line;
}

}  // namespace recto
