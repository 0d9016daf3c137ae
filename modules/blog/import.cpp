#include "blog/import.hpp"

#include <algorithm>
#include <span>

#include "blog/front_matter.hpp"
#include "blog/post_writer.hpp"
#include "util/crypto.hpp"
#include "util/file.hpp"
#include "util/slug.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxFileBytes = 1u << 20;
constexpr std::size_t kFilesPerTransaction = 50;  // other writers wait no longer than that

bool is_markdown(const fs::path& path) { return path.extension() == ".md" || path.extension() == ".markdown"; }

std::vector<fs::path> markdown_files(const fs::path& folder) {
    if (!fs::is_directory(folder)) throw std::runtime_error("not a folder: " + folder.string());
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && is_markdown(entry.path())) files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
}

struct KnownPost {
    std::int64_t id;
    std::string hash;
    bool edited;  // in Recto, since it was imported
};

class Import {
public:
    Import(const fs::path& folder, bool force, TimePoint now, ImportReport& report)
        : folder_(folder), force_(force), now_(now), report_(report) {}

    void one_file(WriteTransaction& transaction, const fs::path& path) {
        if (fs::file_size(path) > kMaxFileBytes) return problem(path, "1: longer than 1 MiB");
        const auto text = read_file(path);
        const auto hash = hex(hash256(text));
        const auto source = fs::relative(path, folder_).generic_string();

        const auto known = find(transaction, source);
        if (known && known->hash == hash) return void(++report_.unchanged);
        if (known && known->edited && !force_) return report_.left.push_back(path.string());

        auto parsed = parse_post_file(text, path.filename().string());
        if (!parsed) return problem(path, parsed.error());
        if (auto good = checked(parsed->content); !good) return problem(path, "1: " + good.error());
        write(transaction, *parsed, known, source, hash);
        ++(known ? report_.updated : report_.added);
    }

private:
    void problem(const fs::path& path, const std::string& what) { report_.problems.push_back(path.string() + ':' + what); }

    static std::optional<KnownPost> find(WriteTransaction& transaction, const std::string& source) {
        auto rows = transaction.query("SELECT id, source_hash, updated_at > imported_at FROM post WHERE source_path = ?", {source});
        if (!rows.next()) return {};
        return KnownPost{rows.integer(0), std::string(rows.text(1)), rows.integer(2) != 0};
    }

    void write(WriteTransaction& transaction, ImportedPost& post, const std::optional<KnownPost>& known, const std::string& source,
               const std::string& hash) {
        const std::int64_t own = known ? known->id : 0;
        post.content.slug = free_slug(*post.content.slug, [&](const std::string& slug) {
            return !transaction.query("SELECT 1 FROM post WHERE slug = ? AND id <> ?", {slug, own}).next();
        });
        // Neither can fail now: the slug is free and missing authors are made.
        const auto id = known ? update_post(transaction, own, post.content, now_, MissingAuthors::add).value()
                              : insert_post(transaction, post.content, now_, MissingAuthors::add).value();
        transaction.execute("UPDATE post SET extra = ?, source_path = ?, source_hash = ?, imported_at = updated_at WHERE id = ?",
                            {json::serialize(post.extra), source, hash, id});
    }

    const fs::path& folder_;
    const bool force_;
    const TimePoint now_;
    ImportReport& report_;
};

}  // namespace

ImportReport import_folder(Store& store, const fs::path& folder, bool force, TimePoint now) {
    ImportReport report;
    Import import(folder, force, now, report);
    const auto files = markdown_files(folder);
    for (std::size_t begin = 0; begin < files.size(); begin += kFilesPerTransaction) {
        auto transaction = store.write();
        for (const auto& path : std::span(files).subspan(begin, std::min(kFilesPerTransaction, files.size() - begin)))
            import.one_file(transaction, path);
        transaction.commit();
    }
    return report;
}

}  // namespace recto
