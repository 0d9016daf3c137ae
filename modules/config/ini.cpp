#include "config/ini.hpp"

#include <ini.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "config/options.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxLineBytes = 8191;

// Debian's inih has its compile-time switches as variables of the process. Set once, so that two threads may read files.
void prepare_inih() {
    static const bool prepared = [] {
        ini_max_line = static_cast<int>(kMaxLineBytes) + 3;  // CR, LF, NUL
        ini_allow_inline_comments = false;
        return true;
    }();
    static_cast<void>(prepared);
}

// Gives inih one line a call and so knows the line that its handler is called for, which inih 55 doesn't tell. A line that inih
// would misread is told as a mistake, and inih gets an empty one.
class LineReader {
public:
    explicit LineReader(std::string_view text) : rest_(text) {
        constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
        if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
    }

    IniText read() {
        prepare_inih();
        ini_parse_stream(next_line, this, take_entry, this);
        return std::move(result_);
    }

private:
    static char* next_line(char* buffer, int size, void* self) { return static_cast<LineReader*>(self)->next(buffer, size); }

    static int take_entry(void* self, const char* /*section*/, const char* name, const char* value) {
        static_cast<LineReader*>(self)->take(name, value);
        return 1;
    }

    char* next(char* buffer, int size) {
        if (rest_.empty()) return nullptr;
        const auto end = std::min(rest_.find('\n'), rest_.size());
        const auto whole = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        ++line_;

        auto line = trim(whole);  // without blanks in front inih never takes it for a continuation
        const bool fits = whole.size() <= kMaxLineBytes && line.size() < static_cast<std::size_t>(size);
        if (!fits) mistake("the line is longer than 8191 bytes");
        if (!fits || !wanted(line)) line = {};
        buffer[line.copy(buffer, line.size())] = '\0';
        return buffer;
    }

    bool wanted(std::string_view line) {
        if (const auto problem = bad_bytes(line)) return mistake("the line has " + *problem);
        if (line.empty() || line.front() == '#' || line.front() == ';') return false;
        return line.front() == '[' ? begin_section(line) : is_entry(line);
    }

    // inih doesn't tell of a section without entries, and takes `[a` and `[a] b` as it likes: sections are ours.
    bool begin_section(std::string_view line) {
        broken_section_ = true;
        const auto shown = excerpt(line);
        if (line.back() != ']' || line.find(']') != line.size() - 1)
            return mistake(shown + ": expected [name] and nothing else on the line");
        const auto name = trim(line.substr(1, line.size() - 2));
        if (name.empty()) return mistake(shown + ": expected a name between [ and ]");
        if (name.size() > kMaxNameBytes) return mistake(shown + ": a section's name has at most 49 bytes");
        result_.sections.push_back({std::string(name), line_, {}});
        broken_section_ = false;
        return true;
    }

    bool is_entry(std::string_view line) {
        if (broken_section_) return false;
        // inih would split at a colon too.
        const auto separator = line.find_first_of("=:");
        const auto shown = may_be_secret(line) ? "********" : excerpt(line);
        if (separator == std::string_view::npos || separator == 0 || line[separator] == ':')
            return mistake(shown + ": expected name = value");
        if (result_.sections.empty()) return mistake(shown + ": expected a section such as [server] before it");
        if (trim(line.substr(0, separator)).size() > kMaxNameBytes) return mistake(shown + ": a name has at most 49 bytes");
        return true;
    }

    void take(std::string_view name, std::string_view value) {
        result_.sections.back().entries.push_back({std::string(name), std::string(value), line_});
    }

    bool mistake(std::string sentence) {
        result_.mistakes.push_back({line_, std::move(sentence)});
        return false;
    }

    std::string_view rest_;
    int line_ = 0;
    bool broken_section_ = false;
    IniText result_;
};

}  // namespace

IniText read_ini(std::string_view text) { return LineReader(text).read(); }

std::optional<std::string> bad_bytes(std::string_view text) {
    const auto is_control = [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7F; };
    if (const auto control = std::ranges::find_if(text, is_control); control != text.end()) {
        std::array<char, 64> words{};
        const unsigned byte = static_cast<unsigned char>(*control);
        const auto length = std::snprintf(words.data(), words.size(), "a control character (0x%02X)", byte);
        return std::string(words.data(), static_cast<std::size_t>(length));
    }
    if (!is_utf8(text)) return "bytes that are not UTF-8";
    return {};
}

bool may_be_secret(std::string_view text) {
    const auto lower = lower_ascii(text);
    constexpr std::string_view kWords[] = {"pass", "pwd", "secret", "token"};
    return std::ranges::any_of(kWords, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

std::string excerpt(std::string_view text) {
    constexpr std::size_t kMaxShown = 80;
    const auto kept = cut_utf8(text, kMaxShown);
    return std::string(kept) + (kept.size() < text.size() ? "…" : "");
}

}  // namespace recto
