#include "log/files.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCompressed = ".gz";

// What the name of a file says. The current one has the number 0.
struct Name {
    int instance = 0;
    int number = 0;
    bool is_compressed = false;

    [[nodiscard]] bool is_dated() const { return number > kMostBackups; }

    // The oldest lines first; of two files with the same lines the plain one. Dates grow, our numbers fall.
    [[nodiscard]] auto order() const { return std::tuple(instance, !is_dated(), is_dated() ? number : -number, is_compressed); }
};

// Takes a number from the beginning of the text, as we write it: without zeros in front.
std::optional<int> take_number(std::string_view& text) {
    int number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{} || number < 1 || text.front() == '0') return {};
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

bool take(std::string_view& text, std::string_view what) {
    if (!text.starts_with(what)) return false;
    text.remove_prefix(what.size());
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
    if (!take(text, ".")) return {};
    const auto number = take_number(text);
    if (!number) return {};
    name.number = *number;
    name.is_compressed = take(text, kCompressed);
    return text.empty() ? std::optional(name) : std::nullopt;
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
    return name && mine.parent_path() == others.parent_path() && (name->number > 0 || name->instance > 0);
}

std::vector<fs::path> files_of(const LogHandler& handler) {
    std::vector<fs::path> files;
    if (handler.file.empty()) return files;
    for (const auto& [name, path] : find_files(handler.file))
        if (files.empty() || compressed(files.back()) != path) files.push_back(path);
    return files;
}

std::vector<LogBackup> backups_of(const fs::path& file) {
    std::vector<LogBackup> backups;
    for (const auto& [name, path] : find_files(file))
        if (name.number > 0 && !name.is_dated()) backups.push_back({name.number, name.is_compressed, path});
    return backups;
}

fs::path backup_path(const fs::path& file, int number) { return file.string() + '.' + std::to_string(number); }

fs::path compressed(const fs::path& backup) { return backup.string() + std::string(kCompressed); }

}  // namespace recto
