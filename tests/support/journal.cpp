#include "tests/support/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::string_view kNone = "none";

std::string text_of(Moment time) { return std::to_string(time.time_since_epoch().count()); }
std::string text_of(const std::optional<int>& version) { return version ? std::to_string(*version) : std::string(kNone); }

std::string text_of(const std::vector<int>& authors) {
    std::vector<std::string> ids;
    for (const int author : authors) ids.push_back(std::to_string(author));
    return ids.empty() ? std::string(kNone) : join(ids, ",");
}

// The words of a line, one after the other.
class Words {
public:
    explicit Words(std::string_view line) : rest_(line) {}

    std::string_view text() {
        const auto word = rest_.substr(0, rest_.find(' '));
        rest_.remove_prefix(std::min(word.size() + 1, rest_.size()));
        return word;
    }
    template <class Number = int>
    Number number() {
        return number_in<Number>(text());
    }
    Moment moment() { return Moment(Moment::duration(number<Moment::rep>())); }
    std::optional<int> version() {
        const auto word = text();
        return word == kNone ? std::nullopt : std::optional(number_in<int>(word));
    }
    std::vector<int> authors() {
        std::vector<int> ids;
        for (const auto& id : split_list(text()))
            if (id != kNone) ids.push_back(number_in<int>(id));
        return ids;
    }
    std::string_view rest() const { return rest_; }

private:
    template <class Number>
    static Number number_in(std::string_view word) {
        Number number{};
        if (std::from_chars(word.data(), word.data() + word.size(), number).ec != std::errc{})
            throw std::runtime_error("a journal has '" + std::string(word) + "' for a number");
        return number;
    }

    std::string_view rest_;
};

class JournalReader {
public:
    void take(std::string_view line) {
        Words words(line);
        const auto what = words.text();
        if (what == "read") return read(words);
        if (what == "body") return record_.bodies.emplace_back(words.rest()), void();
        if (what == "begins") return begins(words);
        if (what == "done") return done(words);
        if (what == "found") return found(words);
        record_.failures.emplace_back(words.rest());
    }

    Recorded finished() {
        if (pending_) commit(Moment::max(), Moment::max());  // nobody looked whether it was
        return std::move(record_);
    }

private:
    struct Pending {
        PostState next;
        Moment begun;
    };

    void read(Words& words) {
        const auto author = words.number();
        const auto begun = words.moment();
        const auto ended = words.moment();
        record_.answers.push_back({author, begun, ended, first_body_ + words.number<std::size_t>()});
    }

    void begins(Words& words) {
        PostState next{.post = words.number(), .version = words.number()};
        next.status = parse_status(words.text());
        next.authors = words.authors();
        record_.newest_version = std::max(record_.newest_version, next.version);
        pending_ = {std::move(next), words.moment()};
    }

    void done(Words& words) {
        const auto committed = words.moment();
        commit(committed, words.moment());
    }

    void commit(Moment committed_by, Moment visible_by) {
        const auto& next = pending_->next;
        record_.writes.push_back({next.post, next.version, next.shown_by(), pending_->begun, committed_by, visible_by});
        record_.posts[next.post] = next;
        pending_.reset();
    }

    // The first look of a new process: its bodies are numbered anew.
    void found(Words& words) {
        first_body_ = record_.bodies.size();
        const auto post = words.number();
        const auto version = words.version();
        const auto looked_at = words.moment();
        const auto visible_by = words.moment();
        if (pending_ && pending_->next.post == post) {
            if (is(pending_->next, version)) return commit(looked_at, visible_by);
            pending_.reset();
        }
        const auto& committed = record_.posts.try_emplace(post, PostState{.post = post}).first->second;
        if (!is(committed, version))
            throw std::runtime_error("post " + std::to_string(post) + " is there in version " + text_of(version) +
                                     ", but was committed in " + std::to_string(committed.version));
    }

    static bool is(const PostState& state, std::optional<int> version) {
        return state.status.has_value() == version.has_value() && (!version || *version == state.version);
    }

    Recorded record_;
    std::optional<Pending> pending_;
    std::size_t first_body_ = 0;
};

}  // namespace

Journal::Journal(const std::filesystem::path& file) : file_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (!file_) throw io_error("cannot open", file);
}

void Journal::begins(const PostState& next, Moment begun) {
    write("begins " + std::to_string(next.post) + ' ' + std::to_string(next.version) + ' ' +
          std::string(next.status ? to_text(*next.status) : kNone) + ' ' + text_of(next.authors) + ' ' + text_of(begun));
}

void Journal::done(std::chrono::milliseconds grace, Moment committed_by) {
    write("done " + text_of(committed_by) + ' ' + text_of(committed_by + grace));
}

void Journal::found(int post, std::optional<int> version, std::chrono::milliseconds grace) {
    const auto now = Moment::clock::now();
    write("found " + std::to_string(post) + ' ' + text_of(version) + ' ' + text_of(now) + ' ' + text_of(now + grace));
}

void Journal::read(int author, Moment begun, const std::string& body) {
    const auto ended = Moment::clock::now();
    const auto [known, is_new] = bodies_.try_emplace(body, bodies_.size());
    if (is_new) write("body " + body);
    write("read " + std::to_string(author) + ' ' + text_of(begun) + ' ' + text_of(ended) + ' ' + std::to_string(known->second));
}

void Journal::failed(const std::string& why) { write("failed " + why); }

// One write a line: it is there whole, or not at all.
void Journal::write(const std::string& line) {
    const auto text = line + '\n';
    if (::write(file_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw io_error("cannot write to", "a journal");
}

Recorded read_journal(const std::filesystem::path& file) {
    const auto text = read_file(file);
    JournalReader reader;
    for (std::string_view rest = text; rest.find('\n') != std::string_view::npos;) {
        reader.take(rest.substr(0, rest.find('\n')));
        rest.remove_prefix(rest.find('\n') + 1);
    }
    return reader.finished();
}

}  // namespace recto
