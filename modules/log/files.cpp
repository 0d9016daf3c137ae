#include "log/files.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCompressed = ".gz";
constexpr std::string_view kOtherwise[] = {".xz", ".bz2", ".zst", ".lz4", ".lzma", ".lzo", ".Z", ".zip", ".7z"};
constexpr std::size_t kLeastDate = 6;  // 202611

// What the name of a file says. The current one has the number 0 and no date.
struct Name {
    int instance = 0;
    int number = 0;
    std::string date = {};       // its digits
    std::string_view form = {};  // `.gz`, `.xz`; empty: plain

    [[nodiscard]] bool is_dated() const { return !date.empty(); }
    [[nodiscard]] bool is_current() const { return number == 0 && !is_dated(); }

    // The oldest lines first; of two files with the same lines the plain one. Dates grow, our numbers fall. A number above kMostBackups
    // that is shorter than a date comes before the dates.
    [[nodiscard]] auto order() const { return std::tuple(instance, !is_dated(), date.size() >= kLeastDate, date, -number, form); }
};

// Takes a number from the beginning of the text, as we write it: without zeros in front.
std::optional<int> take_number(std::string_view& text) {
    int number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{} || number < 1 || text.front() == '0') return {};
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool take(std::string_view& text, std::string_view what) {
    if (!text.starts_with(what)) return false;
    text.remove_prefix(what.size());
    return true;
}

// Cuts `.gz` or the like off the end of the text.
std::string_view cut_form(std::string_view& text) {
    const auto cut = [&](std::string_view form) {
        const bool has_form = text.ends_with(form);
        if (has_form) text.remove_suffix(form.size());
        return has_form;
    };
    if (cut(kCompressed)) return kCompressed;
    for (const auto form : kOtherwise)
        if (cut(form)) return form;
    return {};
}

// `.2`, ours if gzip packed it, if at all.
bool take_backup(std::string_view text, Name& name) {
    if (!take(text, ".")) return false;
    const auto number = take_number(text);
    if (!number || !text.empty() || *number > kMostBackups) return false;
    name.number = *number;
    return true;
}

// `-20261127`, `.20261127`, `-2026-11-27T14:05`, `-20261127-1796083200`. Of numbers behind a dot those above kMostBackups are dates too.
bool take_date(std::string_view text, Name& name) {
    const bool has_dot = text.starts_with('.');
    if (!has_dot && !text.starts_with('-') && !text.starts_with('_')) return false;
    text.remove_prefix(1);
    if (text.size() > 32 || text.empty() || !is_digit(text.front()) || text.front() == '0' || !is_digit(text.back())) return false;
    if (text.find_first_not_of("0123456789-_.:T") != std::string_view::npos) return false;
    std::string digits;
    std::ranges::copy_if(text, std::back_inserter(digits), is_digit);
    if (digits.size() < (has_dot ? 4 : kLeastDate)) return false;
    name.date = std::move(digits);
    return true;
}

// `pattern` is the current file's name, perhaps with `%i` in it.
std::optional<Name> parse_name(std::string_view text, std::string_view pattern) {
    Name name;
    const auto mark = pattern.find(kInstanceMark);
    if (!take(text, pattern.substr(0, mark))) return {};
    if (mark != std::string_view::npos) {
        const auto instance = take_number(text);
        if (!instance || !take(text, pattern.substr(mark + kInstanceMark.size()))) return {};
        name.instance = *instance;
    }
    if (text.empty()) return name;
    name.form = cut_form(text);
    const bool is_numbered = take_backup(text, name);
    return is_numbered || take_date(text, name) ? std::optional(name) : std::nullopt;
}

struct Found {
    Name name;
    fs::path path;
};

std::vector<Found> find_files(const fs::path& file) {
    std::vector<Found> found;
    const auto pattern = file.filename().string();
    const auto folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
    std::error_code problem;
    for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end; entry.increment(problem))
        if (const auto name = parse_name(entry->path().filename().string(), pattern)) found.push_back({*name, entry->path()});
    std::ranges::sort(found, {}, [](const Found& one) { return one.name.order(); });
    return found;
}

}  // namespace

bool is_of_instances(const fs::path& file) { return file.filename().string().find(kInstanceMark) != std::string::npos; }

fs::path file_of_instance(const fs::path& file, int instance) {
    auto name = file.filename().string();
    if (const auto mark = name.find(kInstanceMark); mark != std::string::npos)
        name.replace(mark, kInstanceMark.size(), std::to_string(instance));
    return file.parent_path() / name;
}

bool is_name_of(const fs::path& file, const fs::path& other) {
    const auto mine = file.lexically_normal(), others = file_of_instance(other.lexically_normal(), 1);
    const auto name = parse_name(others.filename().string(), mine.filename().string());
    return name && mine.parent_path() == others.parent_path() && (!name->is_current() || name->instance > 0);
}

std::vector<fs::path> files_of(const LogHandler& handler) {
    std::vector<fs::path> files;
    if (handler.file.empty()) return files;
    for (const auto& [name, path] : find_files(handler.file))
        if (name.form.empty() || files.empty() || files.back() != path.parent_path() / path.stem()) files.push_back(path);
    return files;
}

std::vector<LogBackup> backups_of(const fs::path& file) {
    std::vector<LogBackup> backups;
    for (const auto& [name, path] : find_files(file))
        if (name.number > 0 && !is_packed_otherwise(path)) backups.push_back({name.number, !name.form.empty(), path});
    return backups;
}

bool is_packed_otherwise(const fs::path& file) { return std::ranges::find(kOtherwise, file.extension().string()) != std::end(kOtherwise); }

fs::path backup_path(const fs::path& file, int number) { return file.string() + '.' + std::to_string(number); }

fs::path compressed(const fs::path& backup) { return backup.string() + std::string(kCompressed); }

}  // namespace recto
