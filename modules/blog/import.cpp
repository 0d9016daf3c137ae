#include "blog/import.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <span>

#include <pwd.h>
#include <unistd.h>

#include "blog/import_source.hpp"
#include "blog/post_file.hpp"
#include "blog/post_writer.hpp"
#include "util/crypto.hpp"
#include "util/file.hpp"
#include "util/slug.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxFileBytes = 1u << 20;
constexpr std::size_t kFilesPerTransaction = 50;  // other writers wait no longer than that

// `the user recto`
std::string this_user() {
    const auto id = ::geteuid();
    const auto* const entry = ::getpwuid(id);
    return "the user " + (entry == nullptr ? std::to_string(id) : std::string(entry->pw_name));
}

std::string reason_of(const std::error_code& problem) {
    const bool denied = problem == std::errc::permission_denied || problem == std::errc::operation_not_permitted;
    return problem.message() + (denied ? " for " + this_user() : "");
}

[[noreturn]] void refuse_folder(const fs::path& folder, const std::error_code& problem) {
    throw std::runtime_error("cannot read the folder " + folder.string() + ": " + reason_of(problem));
}

// Texts in languages of markup that Recto doesn't know, which may be meant as posts.
std::string other_text(const fs::path& path) {
    constexpr std::string_view kOthers[] = {".html", ".htm", ".org", ".rst", ".adoc", ".asciidoc", ".textile", ".ipynb", ".rmd", ".qmd"};
    auto extension = lower_ascii(path.extension().string());
    return std::ranges::find(kOthers, extension) == std::end(kOthers) ? std::string() : extension;
}

struct File {
    fs::path path;
    std::string name;  // in the folder
};

class Files {
public:
    Files(const fs::path& folder, ImportReport& report) : folder_(folder), report_(report) {
        std::error_code problem;
        const bool is_folder = fs::is_directory(folder, problem);
        if (problem && problem != std::errc::no_such_file_or_directory) refuse_folder(folder, problem);
        if (!is_folder) throw std::runtime_error("not a folder: " + folder.string());
        fs::directory_iterator first(folder, problem);
        if (problem) refuse_folder(folder, problem);
        add_all_of(folder);
        std::ranges::sort(found_, {}, &File::name);
    }

    [[nodiscard]] const std::vector<File>& found() const { return found_; }

private:
    // Folders and links that can't be followed are problems too.
    void add_all_of(const fs::path& folder) {
        std::error_code problem;
        for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end; entry.increment(problem)) add(*entry);
        if (problem) refuse(folder, "cannot be read: " + reason_of(problem));
    }

    void add(const fs::directory_entry& entry) {
        std::error_code ignored;
        const auto& path = entry.path();
        if (fs::is_directory(entry.symlink_status(ignored))) return add_all_of(path);
        if (is_post_file_name(path.filename().string())) return found_.push_back({path, name_of(path)});
        if (fs::is_directory(entry.status(ignored))) return refuse(path, "a link to a folder; it isn't followed");
        if (const auto extension = other_text(path); !extension.empty()) ++report_.others[extension];
    }

    void refuse(const fs::path& path, const std::string& why) {
        report_.problems.push_back(path.string() + ": " + why);
        ++report_.reasons["not taken in: a folder that can't be read, or a link to one"];
    }

    [[nodiscard]] std::string name_of(const fs::path& path) const { return path.lexically_relative(folder_).generic_string(); }

    const fs::path& folder_;
    ImportReport& report_;
    std::vector<File> found_;
};

Result<std::string> content_of(const fs::path& path) try {
    if (!fs::is_regular_file(path)) return Error{"1: not a file"};
    if (fs::file_size(path) > kMaxFileBytes) return Error{"1: longer than 1 MiB"};
    return read_file(path);
} catch (const std::system_error& problem) {
    return Error{"1: " + reason_of(problem.code())};
}

std::string hash_of(std::string_view text) { return hex(hash256(text)); }

// `7: there is no month 13` -> `there is no month 13`
std::string without_line(const std::string& problem) { return problem.substr(problem.find(' ') + 1); }

// What is wrong, without what the file has there.
std::string kind_of(const std::string& problem) {
    const auto sentence = without_line(problem);
    return sentence.substr(0, std::min(sentence.find(", found"), sentence.find(": ")));
}

class Import {
public:
    Import(Store& store, const ImportOptions& options, const fs::path& folder, TimePoint now, ImportReport& report)
        : store_(store), options_(options), folder_(folder), now_(now), report_(report), source_(folder, report.source) {}

    void run(const std::vector<File>& files) {
        for (const auto& file : files)
            if (const auto text = content_of(file.path)) hashes_[file.name] = hash_of(*text);
        moved_from_ = moved_from();
        report_.moved_from = moved_from_.value_or("");
        for (std::size_t begin = 0; begin < files.size(); begin += kFilesPerTransaction) {
            options_.progress(begin, files.size());
            some_files(std::span(files).subspan(begin, std::min(kFilesPerTransaction, files.size() - begin)));
        }
        options_.progress(files.size(), files.size());
    }

private:
    std::optional<std::string> moved_from() {
        auto snapshot = store_.read();
        return source_.moved_from(snapshot, hashes_);
    }

    // A dry run does all of it and takes it back.
    void some_files(std::span<const File> files) {
        auto transaction = store_.write();
        source_.adopt(transaction, moved_from_, hashes_);
        for (const auto& file : files) one_file(transaction, file);
        if (!options_.dry_run) transaction.commit();
    }

    void one_file(WriteTransaction& transaction, const File& file) {
        const auto text = content_of(file.path);
        if (!text) return refuse(file, text.error());
        const auto hash = hash_of(*text);
        const auto known = source_.find(transaction, file.name);
        const bool same = known && known->hash == hash;
        const bool takes_file = known && known->edited && options_.force;
        if (same && !takes_file && (known->edited || !known->published)) return void(++report_.unchanged);

        auto parsed = parse_post_file(*text, {folder_.filename().string() + '/' + file.name, options_.time_zone, now_});
        const bool is_right = same && !takes_file && (!parsed || parsed->content.status == PostStatus::published);
        if (is_right) return void(++report_.unchanged);
        if (known && known->edited && !options_.force) return report_.left.push_back(file.path.string());
        if (!parsed) return refuse(file, parsed.error());
        if (auto good = checked(parsed->content); !good)
            return refuse(file, "1: " + good.error());
        else
            parsed->content = *std::move(good);

        const auto slug = write(transaction, *parsed, known, file, hash);
        ++(known ? report_.updated : report_.added);
        note(file, *parsed, known ? "replaced " + known->slug : std::string(), slug);
    }

    void refuse(const File& file, const std::string& what) {
        report_.problems.push_back(file.path.string() + ':' + what);
        ++report_.reasons["not taken in: " + kind_of(what)];
    }

    // The slug that it got.
    std::string write(WriteTransaction& transaction, ImportedPost& post, const std::optional<KnownPost>& known, const File& file,
                      const std::string& hash) {
        const std::int64_t own = known ? known->id : 0;
        if (known && keeps_slug(*known, post))
            post.content.slug = known->slug;
        else
            post.content.slug = free_slug(*post.content.slug, [&](const std::string& slug) {
                return !slugs_of_dry_run_.contains(slug) &&
                       !transaction.query("SELECT 1 FROM post WHERE slug = ? AND id <> ?", {slug, own}).next();
            });
        if (options_.dry_run && !known) slugs_of_dry_run_.insert(*post.content.slug);
        // Neither can fail now: the slug is free and missing authors are made.
        const auto id = known ? update_post(transaction, own, post.content, now_, MissingAuthors::add).value()
                              : insert_post(transaction, post.content, now_, MissingAuthors::add).value();
        transaction.execute("UPDATE post SET extra = ?, source_hash = ?, imported_at = updated_at WHERE id = ?",
                            {json::serialize(post.extra), hash, id});
        if (!known) transaction.execute("UPDATE post SET source = ?, source_path = ? WHERE id = ?", {source_.name(), file.name, id});
        return *post.content.slug;
    }

    // An address stays as it is while its wish does: `hello-2` for `hello`, and what was made of a title.
    static bool keeps_slug(const KnownPost& known, const ImportedPost& post) {
        if (post.slug_is_of_title || known.slug == *post.content.slug) return true;
        if (!known.slug.starts_with(*post.content.slug + '-')) return false;
        return known.slug.find_first_not_of("0123456789", post.content.slug->size() + 1) == std::string::npos;
    }

    void note(const File& file, const ImportedPost& post, std::string said, const std::string& slug) {
        const auto add = [&](const std::string& sentence) { said += (said.empty() ? "" : "; ") + sentence; };
        if (!said.empty() && !said.ends_with(' ' + slug)) add("its slug is now " + slug);
        std::set<std::string_view> reasons;
        for (const auto& [reason, detail] : post.remarks) {
            add(std::string(reason) + (detail.empty() ? "" : ": " + detail));
            reasons.insert(reason);
        }
        for (const auto reason : reasons) ++report_.reasons[std::string(reason)];
        if (!said.empty()) report_.notes.push_back(file.path.string() + ": " + said);
        for (const auto& [key, value] : post.extra) {
            auto& unused = report_.unused[std::string(key)];
            if (++unused.files == 1) unused.example = file.name;
        }
    }

    Store& store_;
    const ImportOptions& options_;
    const fs::path& folder_;
    const TimePoint now_;
    ImportReport& report_;
    const ImportSource source_;
    FileHashes hashes_;
    std::optional<std::string> moved_from_;
    std::set<std::string> slugs_of_dry_run_;  // given to posts whose transaction was taken back
};

}  // namespace

ImportReport import_folder(Store& store, const ImportOptions& options, TimePoint now) {
    ImportReport report;
    const Files files(options.folder, report);
    std::error_code problem;
    const auto folder = fs::canonical(options.folder, problem);
    if (problem) refuse_folder(options.folder, problem);
    report.source = options.source.empty() ? folder.string() : options.source;
    Import(store, options, folder, now, report).run(files.found());
    return report;
}

}  // namespace recto
