#include "blog/post_status.hpp"

#include <algorithm>
#include <array>

#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::string_view kSaysSo = "a draft: the file says that it isn't public";
constexpr std::string_view kUnclear = "a draft: its status isn't understood";
constexpr std::string_view kPlace = "a draft: it is in a place for what isn't public";
constexpr std::string_view kExpired = "a draft: it has expired";
constexpr std::string_view kScheduled = "scheduled";
constexpr std::string_view kStaysPublic = "its expiry isn't kept: it stays public until you change it";

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

// YAML 1.1's words; TOML and JSON have true and false.
std::optional<bool> yes_or_no(const json::value& value) {
    constexpr std::array<std::string_view, 5> kYes{"true", "yes", "on", "y", "1"};
    constexpr std::array<std::string_view, 5> kNo{"false", "no", "off", "n", "0"};
    const auto word = lower_ascii(scalar_text(value));
    if (is_one_of(kYes, word)) return true;
    if (is_one_of(kNo, word)) return false;
    return {};
}

class Decision {
public:
    Decision(PostKeys& keys, const PostDates& dates, TimePoint now, std::vector<Remark>& remarks)
        : keys_(keys), dates_(dates), now_(now), remarks_(remarks) {}

    PostStatus status(std::string_view path) {
        yes_means_public();
        yes_means_hidden();
        words();
        later();
        never_means_hidden();
        secrets();
        expiry();
        for (const auto& date : dates_.unclear) hold_back(kUnclear, date);
        place(path);
        if (!is_public_) return status_;
        if (is_due_later()) remarks_.push_back({kScheduled, rfc3339(*dates_.published)});
        return PostStatus::published;
    }

private:
    void hold_back(std::string_view reason, std::string detail) {
        remarks_.push_back({reason, std::move(detail)});
        is_public_ = false;
    }

    void yes_means_public() {
        for (const auto* key : keys_.take({"published", "publish", "public", "ispublished", "ispublic", "visible", "isvisible", "live",
                                           "dgpublish", "render", "listed", "discoverable"})) {
            const auto yes = yes_or_no(key->value);
            if (!yes)
                hold_back(kUnclear, shown(*key));
            else if (!*yes)
                hold_back(kSaysSo, shown(*key));
        }
    }

    void yes_means_hidden() {
        for (const auto* key : keys_.take({"draft",
                                           "drafts",
                                           "isdraft",
                                           "hidden",
                                           "ishidden",
                                           "private",
                                           "isprivate",
                                           "unlisted",
                                           "unpublished",
                                           "archived",
                                           "trashed",
                                           "deleted",
                                           "headless",
                                           "protected",
                                           "membersonly",
                                           "wip",
                                           "excludefromcollections",
                                           "eleventyexcludefromcollections",
                                           "premium",
                                           "secret",
                                           "pending"})) {
            const auto yes = yes_or_no(key->value);
            if (!yes)
                hold_back(kUnclear, shown(*key));
            else if (*yes)
                hold_back(kSaysSo, shown(*key));
        }
    }

    void words() {
        for (const auto* key : keys_.take({"status", "poststatus", "wpstatus", "publishstatus", "publicationstatus", "state", "poststate",
                                           "visibility", "privacy", "access", "workflowstate"}))
            word(*key, lower_ascii(scalar_text(key->value)));
    }

    void word(const PostKeys::Key& key, const std::string& word) {
        constexpr std::array<std::string_view, 3> kPublic{"published", "publish", "public"};
        constexpr std::array<std::string_view, 3> kLater{"future", "scheduled", "schedule"};
        constexpr std::array<std::string_view, 17> kHidden{"draft",    "drafts",  "auto-draft", "private", "pending",    "trash",
                                                           "trashed",  "hidden",  "unlisted",   "inherit", "members",    "paid",
                                                           "archived", "archive", "deleted",    "expired", "unpublished"};
        if (is_one_of(kPublic, word)) return;
        if (is_one_of(kLater, word) && is_due_later()) return;
        if (word == "archived" || word == "archive") status_ = PostStatus::archived;
        hold_back(is_one_of(kHidden, word) ? kSaysSo : kUnclear, shown(key));
    }

    bool is_due_later() const { return dates_.published && *dates_.published > now_; }

    // Dates of these names were taken before.
    void later() {
        for (const auto* key : keys_.take({"scheduled", "schedule", "embargo", "embargoed"})) {
            const auto yes = yes_or_no(key->value);
            if (yes == false || (yes == true && is_due_later())) continue;
            hold_back(yes ? kSaysSo : kUnclear, shown(*key));
        }
    }

    // Values that are something else for a post that is public: an address, a rule.
    void never_means_hidden() {
        const auto says_no = [](const PostKeys::Key& key) { return yes_or_no(key.value) == false; };
        for (const auto* key : keys_.take_if({"permalink", "url"}, says_no)) hold_back(kSaysSo, shown(*key));
        for (const auto* key : keys_.take({"build.render", "build.list", "build.publishresources"})) build(*key);
        const auto says_draft = [](const PostKeys::Key& key) { return lower_ascii(scalar_text(key.value)) == "draft"; };
        for (const auto* key : keys_.take_if({"layout", "type", "kind"}, says_draft)) hold_back(kSaysSo, shown(*key));
    }

    void build(const PostKeys::Key& key) {
        constexpr std::array<std::string_view, 3> kShown{"always", "true", "link"};
        const auto word = lower_ascii(scalar_text(key.value));
        if (key.word == "build.publishresources" || (is_one_of(kShown, word) && word != "link")) return;
        hold_back(word == "never" || word == "false" || word == "local" || word == "link" ? kSaysSo : kUnclear, shown(key));
    }

    // A post that only readers with a password may see.
    void secrets() {
        const auto is_given = [](const PostKeys::Key& key) { return !key.value.is_null() && yes_or_no(key.value) != false; };
        const auto is_empty = [](const PostKeys::Key& key) { return key.value.is_string() && scalar_text(key.value).empty(); };
        for (const auto* key : keys_.take_if({"password", "postpassword"}, is_given))
            if (!is_empty(*key)) hold_back(kSaysSo, key->name);
    }

    void expiry() {
        if (!dates_.expires) return;
        if (*dates_.expires <= now_)
            hold_back(kExpired, rfc3339(*dates_.expires));
        else
            remarks_.push_back({kStaysPublic, rfc3339(*dates_.expires)});
    }

    void place(std::string_view path) {
        constexpr std::array<std::string_view, 8> kFolders{"drafts", "draft",  "unpublished", "private",
                                                           "trash",  "hidden", "scheduled",   "wip"};
        auto parts = split_list(path, '/');
        if (parts.empty()) return;
        const auto name = parts.back();
        parts.pop_back();
        for (const auto& part : parts) {
            const auto word = lower_ascii(part.substr(std::min(part.find_first_not_of("_."), part.size())));
            if (is_one_of(kFolders, word)) return hold_back(kPlace, part + '/');
        }
        if (name.starts_with('_') || name.starts_with('.')) return hold_back(kPlace, name);
        const auto lower = lower_ascii(name);
        if (lower.find(".draft.") != std::string::npos) hold_back(kPlace, name);
    }

    PostKeys& keys_;
    const PostDates& dates_;
    const TimePoint now_;
    std::vector<Remark>& remarks_;
    bool is_public_ = true;
    PostStatus status_ = PostStatus::draft;
};

}  // namespace

PostStatus take_status(PostKeys& keys, std::string_view path, const PostDates& dates, TimePoint now, std::vector<Remark>& remarks) {
    return Decision(keys, dates, now, remarks).status(path);
}

}  // namespace recto
