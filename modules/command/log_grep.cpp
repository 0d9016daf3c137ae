#include <algorithm>
#include <map>

#include "command/commands.hpp"
#include "command/log_lines.hpp"
#include "command/output.hpp"

namespace recto {
namespace {

constexpr std::size_t kShortest = 6;  // beginning of an id
constexpr std::size_t kLongest = 64;
constexpr std::size_t kMaxFound = 64 << 20;  // bytes

bool is_sign(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; }

bool has_word(std::string_view text, std::string_view word) {
    for (auto begin = text.find(word); begin != std::string_view::npos; begin = text.find(word, begin + 1)) {
        const auto end = begin + word.size();
        if ((begin == 0 || !is_sign(text[begin - 1])) && (end == text.size() || !is_sign(text[end]))) return true;
    }
    return false;
}

// The lines of one request, or of those whose ids begin alike.
class Story {
public:
    explicit Story(std::string id) : id_(std::move(id)) {}

    void take(std::string_view text) {
        if (text.find(id_) == std::string_view::npos) return;
        bytes_ += text.size();
        if (!is_whole()) return;
        FoundLine found{parse_log_line(text), std::string(text)};
        const auto& txid = found.line.txid;
        if (has_word(text, id_))
            of_id_[id_].push_back(std::move(found));
        else if (id_.size() >= kShortest && txid.starts_with(id_))
            of_id_[txid].push_back(std::move(found));
    }

    // What was asked for, else the one whose id begins so.
    [[nodiscard]] std::vector<FoundLine> lines() const {
        if (const auto exact = of_id_.find(id_); exact != of_id_.end()) return exact->second;
        if (of_id_.size() > 1)
            fail("several requests begin with " + id_ + ", such as " + of_id_.begin()->first + " and " + of_id_.rbegin()->first);
        return of_id_.empty() ? std::vector<FoundLine>() : of_id_.begin()->second;
    }

    [[nodiscard]] bool is_whole() const { return bytes_ <= kMaxFound; }

private:
    std::string id_;
    std::map<std::string, std::vector<FoundLine>> of_id_;
    std::size_t bytes_ = 0;
};

[[noreturn]] void fail_to_find(const std::string& id, std::size_t files) {
    const auto* const hint = id.size() < kShortest ? "; of an id, give six characters or more" : "";
    fail("no line of " + counted_files(files) + " mentions " + id + hint);
}

void grep(Operator& op, const std::string& id) {
    Story story(id);
    const auto take = [&](std::string_view line) { story.take(line); };
    const auto files = read_all(file_handlers(op.config()), {}, take);
    const auto nginx = read_all({nginx_access_log(op.config())}, {}, take);

    auto lines = story.lines();
    if (files.read + nginx.read + files.failed + nginx.failed == 0) fail("there is no log yet at " + op.config().log_file.string());
    if (nginx.read + nginx.failed == 0)
        complain("recto: without nginx's lines: there is no " + op.config().log_nginx_access.string() + "; see [log] nginx_access");
    if (lines.empty()) fail_to_find(id, files.read + nginx.read);
    sort_by_time(lines);
    const auto ink = Ink::of_standard_output();
    for (const auto& found : lines) print_raw(ink.line(found) + '\n');
    if (!story.is_whole()) complain("recto: there is more: 64 MB were enough");
    stop_if_incomplete(files.failed + nginx.failed);
}

std::string bad_id(const std::string& id) {
    const bool is_good = !id.empty() && id.size() <= kLongest && std::ranges::all_of(id, is_sign);
    return is_good ? "" : "expected an id as X-Request-Id and txid have it";
}

}  // namespace

void add_log_grep(CLI::App& log, Operator& op) {
    auto* const command =
        log.add_subcommand("grep", "Prints all there is about one request: of all workers, files and backups, and nginx's line");
    const auto id = std::make_shared<std::string>();
    command->add_option("TXID", *id, "As X-Request-Id has it; its first characters, if no other begins so")->required()->check(bad_id);
    command->final_callback([&op, id] { grep(op, *id); });
}

}  // namespace recto
