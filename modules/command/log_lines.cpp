#include "command/log_lines.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include <sys/stat.h>
#include <unistd.h>

#include "command/output.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

bool was_written_since(const OpenedLog& log, TimePoint since) {
    struct stat status {};
    return ::fstat(log.fd.get(), &status) != 0 || status.st_mtim.tv_sec >= micros(since) / 1'000'000;
}

// The time that a line has in the story.
void fill_times(std::vector<FoundLine>& lines) {
    TimePoint last{};
    for (auto& found : lines) last = *(found.line.time = found.line.time.value_or(last));
}

bool is_same(const FoundLine& a, const FoundLine& b) {
    return a.line.pid && a.line.tid && a.line.time == b.line.time && a.line.pid == b.line.pid && a.line.tid == b.line.tid &&
           a.line.event == b.line.event && a.line.data == b.line.data && a.line.text == b.line.text;
}

// A part of a line and the number of its colour (ECMA-48, Select Graphic Rendition).
struct Span {
    std::size_t begin;
    std::size_t length;
    const char* colour;
};

constexpr const char* kFaint = "2";
constexpr const char* kCyan = "36";

const char* colour_of(std::optional<Level> level) {
    if (level == Level::error) return "1;31";
    if (level == Level::warning) return "1;33";
    return level == Level::debug ? kFaint : "1";
}

std::vector<Span> spans_of(const LogLine& line, std::string_view text) {
    std::vector<Span> spans;
    const auto add = [&](std::string_view part, const char* colour) {
        const auto begin = part.empty() ? std::string_view::npos : text.find(part);
        if (begin != std::string_view::npos) spans.push_back({begin, part.size(), colour});
    };
    if (const auto time = parse_log_time(text)) spans.push_back({0, time->length, kFaint});
    add(line.event, colour_of(line.level));
    if (line.event.empty() && line.level >= Level::warning) add(line.text, colour_of(line.level));
    add(line.txid, kCyan);
    std::ranges::sort(spans, {}, &Span::begin);
    return spans;
}

}  // namespace

// Nothing can be read of /dev/null or a terminal.
std::vector<LogHandler> file_handlers(const Config& config) {
    std::vector<LogHandler> handlers;
    std::set<std::filesystem::path> files;
    std::error_code unseen;
    for (auto& handler : log_options(config).handlers)
        if (!handler.file.empty() && !std::filesystem::is_character_file(handler.file, unseen) && files.insert(handler.file).second)
            handlers.push_back(std::move(handler));
    return handlers;
}

LogHandler nginx_access_log(const Config& config) { return {.file = config.log_nginx_access, .name = "nginx"}; }

ReadFiles read_all(const std::vector<LogHandler>& handlers, TimePoint since, const LineTaker& take) {
    ReadFiles files;
    const auto attempt = [&](const auto& work) {
        try {
            work();
        } catch (const std::exception& problem) {
            ++files.failed;
            complain(std::string("recto: ") + problem.what());
        }
    };
    for (const auto& handler : handlers) {
        for (const auto& log : open_logs(handler)) {
            if (!was_written_since(log, since)) continue;
            ++files.read;
            attempt([&] { read_lines(log, take); });
        }
    }
    return files;
}

void stop_if_incomplete(std::size_t failed) {
    if (failed > 0) throw Stop{ExitCode::failed};
}

std::string counted_files(std::size_t count) { return std::to_string(count) + (count == 1 ? " file" : " files"); }

void sort_by_time(std::vector<FoundLine>& lines) {
    fill_times(lines);
    std::ranges::stable_sort(lines, {}, [](const FoundLine& found) { return *found.line.time; });
    const auto doubled = std::ranges::unique(lines, is_same);
    lines.erase(doubled.begin(), doubled.end());
}

Ink Ink::of_standard_output() {
    const char* const no_color = std::getenv("NO_COLOR");
    const char* const term = std::getenv("TERM");
    const bool is_wanted = no_color == nullptr || *no_color == '\0';
    const bool is_able = term != nullptr && std::string_view(term) != "dumb";
    return Ink(is_wanted && is_able && ::isatty(STDOUT_FILENO) == 1);
}

std::string Ink::line(const FoundLine& found) const {
    auto text = printable(found.text);
    if (!is_on_) return text;
    std::string out;
    std::size_t done = 0;
    for (const auto& span : spans_of(found.line, text)) {
        if (span.begin < done) continue;  // one within the other
        out.append(text, done, span.begin - done);
        out += "\x1b[" + std::string(span.colour) + 'm' + text.substr(span.begin, span.length) + "\x1b[0m";
        done = span.begin + span.length;
    }
    return out.append(text, done);
}

}  // namespace recto
