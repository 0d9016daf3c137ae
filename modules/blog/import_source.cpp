#include "blog/import_source.hpp"

#include <algorithm>
#include <vector>

namespace recto {
namespace {

constexpr std::string_view kUnknown;  // the source of posts that were imported before sources were kept

struct Match {
    std::int64_t posts = 0;
    std::int64_t equal = 0;  // whose file is in the folder with the same hash
};

std::optional<KnownPost> find_in(WriteTransaction& transaction, std::string_view source, std::string_view path) {
    auto rows = transaction.query(
        "SELECT id, slug, source_hash, updated_at > imported_at, status = 'published' FROM post WHERE source = ? AND source_path = ?",
        {source, path});
    if (!rows.next()) return {};
    return KnownPost{rows.integer(0), std::string(rows.text(1)), rows.maybe_text(2).value_or(""), rows.maybe_integer(3) != 0,
                     rows.integer(4) != 0};
}

bool has_hash(const FileHashes& files, std::string_view path, std::string_view hash) {
    const auto found = files.find(std::string(path));
    return found != files.end() && found->second == hash;
}

// `old`: the rows of unknown source whose path is in the folder.
std::vector<std::string> adoptable(WriteTransaction& transaction, const FileHashes& files) {
    std::vector<std::string> equal, other;
    auto rows = transaction.query("SELECT source_path, coalesce(source_hash, '') FROM post WHERE source = ?", {kUnknown});
    while (rows.next()) {
        const std::string path(rows.text(0));
        if (!files.contains(path)) continue;
        (has_hash(files, path, rows.text(1)) ? equal : other).push_back(path);
    }
    if (equal.size() > other.size()) equal.insert(equal.end(), other.begin(), other.end());
    return equal;
}

}  // namespace

std::optional<std::string> ImportSource::moved_from(Snapshot& snapshot, const FileHashes& files) const {
    std::map<std::string, Match> sources;
    auto rows = snapshot.query("SELECT source, source_path, coalesce(source_hash, '') FROM post WHERE source > ?", {kUnknown});
    while (rows.next()) {
        if (rows.text(0) == name_) return {};
        auto& match = sources[std::string(rows.text(0))];
        ++match.posts;
        if (has_hash(files, rows.text(1), rows.text(2))) ++match.equal;
    }
    const auto best = std::ranges::max_element(sources, {}, [](const auto& source) { return source.second.equal; });
    if (best == sources.end() || best->second.equal * 2 <= best->second.posts) return {};
    return best->first;
}

void ImportSource::adopt(WriteTransaction& transaction, const std::optional<std::string>& moved, const FileHashes& files) const {
    const auto give_name = [&](std::string_view sql, std::string_view from) { transaction.execute(sql, {name_, from}); };
    if (moved) give_name("UPDATE post SET source = ? WHERE source = ?", *moved);
    for (const auto& path : adoptable(transaction, files))
        if (!find_in(transaction, name_, path)) give_name("UPDATE post SET source = ? WHERE source = '' AND source_path = ?", path);
}

std::optional<KnownPost> ImportSource::find(WriteTransaction& transaction, const std::string& path) const {
    if (auto known = find_in(transaction, name_, path)) return known;
    const auto whole = (folder_ / path).generic_string();
    for (auto slash = whole.rfind('/'); slash != std::string::npos && slash > 0; slash = whole.rfind('/', slash - 1))
        if (auto known = find_in(transaction, whole.substr(0, slash), whole.substr(slash + 1))) return known;
    return {};
}

}  // namespace recto
