// import.hpp - a folder of Markdown files becomes posts.
//
// A post is known by its source and its file's path in it (import_source.hpp). The same file again changes nothing; a changed file updates
// its post; a post that was edited in Recto since is reported and left, unless forced. A post that is public although its file says that it
// isn't (any more) becomes a draft, also if the file is the same. A file that can't be read is reported, the rest goes on.
//
// Errors:   a file's are in the report; std::runtime_error for the folder, DatabaseError from the store.
// Threads:  one import at a time is enough; others' writes come between.
// Limits:   files of 1 MiB whose names end in .md, .markdown, .mkd, .mkdn, .mdown, .mdwn or .mdx, in the folder and below it. Links to
//           folders are not followed.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "store/store.hpp"
#include "util/time_zone.hpp"

namespace recto {

struct ImportOptions {
    std::filesystem::path folder;
    std::string source = {};  // empty: the folder's real path
    TimeZone time_zone = {};  // of dates that name none
    bool force = false;       // also over posts that were edited in Recto since
    bool dry_run = false;     // writes nothing; the report is what would be done
    std::function<void(std::size_t done, std::size_t all)> progress = [](std::size_t, std::size_t) {};
};

struct UnusedKey {
    int files = 0;
    std::string example;  // the first file that has it
};

// Files are named by their path in the folder. Texts may hold what files hold: control characters too.
struct ImportReport {
    int added = 0;
    int updated = 0;
    int unchanged = 0;
    std::string source;
    std::string moved_from;                   // the source was known by this name before; empty: it wasn't moved
    std::vector<std::string> left;            // edited in Recto since the last import
    std::vector<std::string> problems;        // not taken in: `folder/file.md:7: what was wrong`
    std::vector<std::string> notes;           // taken in: `folder/file.md: replaced hello; a draft: draft: yes`
    std::map<std::string, int> reasons;       // how many files each reason of problems and notes holds for
    std::map<std::string, UnusedKey> unused;  // keys that mean nothing to Recto
    std::map<std::string, int> others;        // files left out, by the end of their names
};

[[nodiscard]] ImportReport import_folder(Store& store, const ImportOptions& options, TimePoint now);

}  // namespace recto
