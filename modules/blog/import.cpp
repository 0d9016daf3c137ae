#include "blog/import.hpp"

#include <algorithm>
#include <iterator>
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

// Folders and links that can't be followed are problems too.
std::vector<fs::path> markdown_files(const fs::path& folder, ImportReport& report) {
    if (!fs::is_directory(folder)) throw std::runtime_error("not a folder: " + folder.string());
    std::vector<fs::path> files;
    std::error_code problem;
    for (const auto& entry : fs::directory_iterator(folder, problem)) {
        std::error_code ignored;
        if (fs::is_directory(entry.symlink_status(ignored)))
            std::ranges::copy(markdown_files(entry.path(), report), std::back_inserter(files));
        else if (is_markdown(entry.path()))
            files.push_back(entry.path());
    }
    if (problem) report.problems.push_back(folder.string() + ": " + problem.message());
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
        const auto text = content(path);
        if (!text) return problem(path, "1: " + text.error());
        const auto hash = hex(hash256(*text));
        const auto source = path.lexically_relative(folder_).generic_string();

        const auto known = find(transaction, source);
        if (known && known->hash == hash) return void(++report_.unchanged);
        if (known && known->edited && !force_) return report_.left.push_back(path.string());

        auto parsed = parse_post_file(*text, path.filename().string());
        if (!parsed) return problem(path, parsed.error());
        if (auto good = checked(parsed->content); !good) return problem(path, "1: " + good.error());
        write(transaction, *parsed, known, source, hash);
        ++(known ? report_.updated : report_.added);
    }

private:
    static Result<std::string> content(const fs::path& path) try {
        if (!fs::is_regular_file(path)) return Error{"not a file"};
        if (fs::file_size(path) > kMaxFileBytes) return Error{"longer than 1 MiB"};
        return read_file(path);
    } catch (const std::system_error& problem) {
        return Error{problem.code().message()};
    }

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
    const auto files = markdown_files(folder, report);
    for (std::size_t begin = 0; begin < files.size(); begin += kFilesPerTransaction) {
        auto transaction = store.write();
        for (const auto& path : std::span(files).subspan(begin, std::min(kFilesPerTransaction, files.size() - begin)))
            import.one_file(transaction, path);
        transaction.commit();
    }
    return report;
}

}  // namespace recto
