#include "tests/support/history.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <unordered_map>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kStories = 5;
constexpr std::size_t kVersionsAround = 3;

std::string_view in_words(Wrong what) {
    switch (what) {
        case Wrong::never_so:
            return "no write made it so";
        case Wrong::older_than_written:
            return "older than a write that had to be visible";
        case Wrong::older_than_shown:
            return "older than what somebody had been shown";
        case Wrong::newer_than_begun:
            return "newer than what had begun to be written";
        case Wrong::of_no_moment:
            return "what it shows was not there together";
    }
    return "";
}

// `+120 us`, from where the read in question began.
std::string since(Moment begin, Moment time) {
    if (time == Moment::max()) return "never";
    if (time == Moment::min()) return "always";
    const auto distance = std::chrono::duration_cast<std::chrono::microseconds>(time - begin).count();
    return (distance < 0 ? "" : "+") + std::to_string(distance) + " us";
}

std::string numbers(const std::vector<int>& all) {
    std::vector<std::string> texts;
    for (const int one : all) texts.push_back(std::to_string(one));
    return '[' + join(texts, " ") + ']';
}

}  // namespace

// The versions of one post; number 0 is that it isn't there.
class History::Timeline {
public:
    Timeline() {
        versions_.push_back(
            {.post = 0, .version = 0, .authors = {}, .begun = Moment::min(), .committed_by = Moment::min(), .visible_by = Moment::min()});
    }

    void add(const Write& write) { versions_.push_back(write); }

    // What a later write says of the former ones: once it is visible, so are they.
    void settle() {
        for (auto i = versions_.size() - 1; i-- > 0;) {
            versions_[i].committed_by = std::min(versions_[i].committed_by, versions_[i + 1].committed_by);
            versions_[i].visible_by = std::min(versions_[i].visible_by, versions_[i + 1].visible_by);
        }
    }

    [[nodiscard]] std::size_t size() const { return versions_.size(); }
    [[nodiscard]] const Write& operator[](std::size_t version) const { return versions_[version]; }
    [[nodiscard]] Moment gone_by(std::size_t version) const {
        return version + 1 < versions_.size() ? versions_[version + 1].committed_by : Moment::max();
    }

    // At the very moment counts neither for "before" nor for "after": the reader gets the benefit of the doubt.
    [[nodiscard]] std::size_t oldest_visible(Moment at) const {
        return last_of([&](const Write& version) { return version.visible_by < at; });
    }
    [[nodiscard]] std::size_t newest_begun(Moment at) const {
        return last_of([&](const Write& version) { return version.begun <= at; });
    }

private:
    template <class Condition>
    [[nodiscard]] std::size_t last_of(Condition condition) const {
        return static_cast<std::size_t>(std::ranges::partition_point(versions_, condition) - versions_.begin()) - 1;
    }

    std::vector<Write> versions_;
};

class History::Judge {
public:
    explicit Judge(const History& history) : history_(history) {
        for (const auto& write : history.writes_) {
            const auto post = static_cast<std::size_t>(write.post);
            if (timelines_.size() <= post) timelines_.resize(post + 1);
            timelines_[post].add(write);
        }
        for (auto& timeline : timelines_) timeline.settle();
        seen_.oldest.resize(timelines_.size());
    }

    // In the order of time: what a reader must be shown is known when he asks, what he was shown when he is answered.
    Verdict judge() {
        for (const auto& event : events()) {
            if (event.is_end)
                answered(event.read);
            else
                asked_.emplace(event.read, seen_);
        }
        return std::move(verdict_);
    }

private:
    // What all answers so far have shown: no later reader may be shown less.
    struct Seen {
        Moment moment = Moment::min();    // of the newest answer, at the earliest
        std::vector<std::size_t> oldest;  // by post: the version
    };

    struct Event {
        Moment time;
        bool is_end;
        std::size_t read;
        // Of what happens at once, nothing came before the other: questions first.
        auto operator<=>(const Event&) const = default;
    };

    // What an answer says of one post, and which versions it may mean.
    struct Candidates {
        const Shown* shown;                // null: it is left out
        std::size_t written, seen, begun;  // the oldest versions allowed for two reasons, and the newest one
        std::vector<std::size_t> versions;
    };

    [[nodiscard]] std::vector<Event> events() const {
        std::vector<Event> all;
        for (std::size_t i = 0; i < history_.reads_.size(); ++i) {
            all.push_back({history_.reads_[i].begun, false, i});
            all.push_back({history_.reads_[i].ended, true, i});
        }
        std::ranges::sort(all);
        return all;
    }

    void answered(std::size_t number) {
        const auto& read = history_.reads_[number];
        const auto asked = asked_.extract(number);
        if (const auto wrong = look_at(read, asked.mapped())) report(*wrong, read);
        ++verdict_.reads;
    }

    std::optional<Wrong> look_at(const Read& read, const Seen& seen) {
        if (auto wrong = find_candidates(read, seen)) return wrong;
        const auto moment = first_common_moment(seen.moment);
        if (!moment) return first_common_moment(Moment::min()) ? Wrong::older_than_shown : Wrong::of_no_moment;
        seen_.moment = std::max(seen_.moment, *moment);
        for (std::size_t post = 0; post < candidates_.size(); ++post)
            seen_.oldest[post] = std::max(seen_.oldest[post], *version_from(post, *moment));
        return {};
    }

    std::optional<Wrong> find_candidates(const Read& read, const Seen& seen) {
        const auto& answer = history_.answers_[read.answer];
        candidates_.clear();
        for (const auto& timeline : timelines_)
            candidates_.push_back({nullptr, timeline.oldest_visible(read.begun), 0, timeline.newest_begun(read.ended), {}});
        for (const auto& shown : answer) {
            const auto post = static_cast<std::size_t>(shown.post);
            if (shown.post < 0 || post >= candidates_.size() || candidates_[post].shown != nullptr) return Wrong::never_so;
            candidates_[post].shown = &shown;
        }
        for (std::size_t post = 0; post < candidates_.size(); ++post) {
            candidates_[post].seen = seen.oldest[post];
            if (auto wrong = find_versions(post, read.author)) return wrong;
        }
        return {};
    }

    std::optional<Wrong> find_versions(std::size_t post, int author) {
        auto& candidate = candidates_[post];
        const auto oldest = std::max(candidate.written, candidate.seen);
        for (auto version = oldest; version <= candidate.begun; ++version)
            if (explains(timelines_[post][version], candidate.shown, author)) candidate.versions.push_back(version);
        if (candidate.versions.empty()) return why_none(post, author);
        return {};
    }

    static bool explains(const Write& version, const Shown* shown, int author) {
        const bool is_listed = std::ranges::find(version.authors, author) != version.authors.end();
        if (shown == nullptr) return !is_listed;
        return is_listed && version.version == shown->version && version.authors.front() == shown->author;
    }

    [[nodiscard]] Wrong why_none(std::size_t post, int author) const {
        const auto& candidate = candidates_[post];
        const auto& timeline = timelines_[post];
        for (auto version = timeline.size(); version-- > 0;) {
            if (!explains(timeline[version], candidate.shown, author)) continue;
            if (version > candidate.begun) continue;
            return version < candidate.written ? Wrong::older_than_written : Wrong::older_than_shown;
        }
        for (auto version = candidate.begun + 1; version < timeline.size(); ++version)
            if (explains(timeline[version], candidate.shown, author)) return Wrong::newer_than_begun;
        return Wrong::never_so;
    }

    // The oldest version in question that may still have been there at the moment or came after it.
    [[nodiscard]] std::optional<std::size_t> version_from(std::size_t post, Moment moment) const {
        for (const auto version : candidates_[post].versions)
            if (timelines_[post].gone_by(version) >= moment) return version;
        return {};
    }

    // Each post moves the moment on to where one of its versions begins, until all agree.
    [[nodiscard]] std::optional<Moment> first_common_moment(Moment moment) const {
        for (auto before = moment;; before = moment) {
            for (std::size_t post = 0; post < candidates_.size(); ++post) {
                const auto version = version_from(post, moment);
                if (!version) return {};
                moment = std::max(moment, timelines_[post][*version].begun);
            }
            if (moment == before) return moment;
        }
    }

    void report(Wrong what, const Read& read) {
        ++verdict_.wrong;
        if (verdict_.first.size() < kStories) verdict_.first.push_back({what, verdict_.reads, story(what, read)});
    }

    [[nodiscard]] std::string story(Wrong what, const Read& read) const {
        std::string text = "read " + std::to_string(verdict_.reads) + " (" + read.reader + ", author " + std::to_string(read.author) +
                           ", answered at " + since(read.begun, read.ended) + "): " + std::string(in_words(what)) + '\n';
        const auto is_unexplained = [](const Candidates& candidate) { return candidate.versions.empty(); };
        const bool is_of_all = std::ranges::none_of(candidates_, is_unexplained);
        for (std::size_t post = 0; post < candidates_.size(); ++post)
            if (is_of_all || is_unexplained(candidates_[post])) text += story_of(post, read);
        return text;
    }

    [[nodiscard]] std::string story_of(std::size_t post, const Read& read) const {
        const auto& candidate = candidates_[post];
        const auto& timeline = timelines_[post];
        auto text = "  post " + std::to_string(post);
        text += candidate.shown == nullptr
                    ? ": left out"
                    : ": version " + std::to_string(candidate.shown->version) + " by " + std::to_string(candidate.shown->author);
        text += "; at least " + std::to_string(candidate.written) + " was written, " + std::to_string(candidate.seen) + " shown\n";
        const auto oldest = std::min(candidate.written, candidate.seen);
        const auto end = std::min(std::max(candidate.begun, candidate.seen) + kVersionsAround, timeline.size());
        for (auto i = oldest - std::min(oldest, kVersionsAround); i < end; ++i)
            text += "    " + std::to_string(i) + ": version " + std::to_string(timeline[i].version) + " in the lists of " +
                    numbers(timeline[i].authors) + ", begun " + since(read.begun, timeline[i].begun) + ", committed by " +
                    since(read.begun, timeline[i].committed_by) + ", visible by " + since(read.begun, timeline[i].visible_by) + '\n';
        return text;
    }

    const History& history_;
    std::vector<Timeline> timelines_;
    Seen seen_;
    std::unordered_map<std::size_t, Seen> asked_;  // by read that isn't answered yet
    std::vector<Candidates> candidates_;           // by post, of the read in question
    Verdict verdict_;
};

std::size_t History::add_answer(std::vector<Shown> answer) {
    answers_.push_back(std::move(answer));
    return answers_.size() - 1;
}

History::Verdict History::judge() const { return Judge(*this).judge(); }

}  // namespace recto
