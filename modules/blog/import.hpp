// import.hpp - a folder of Markdown files becomes posts.
//
// A post is known by its file's path in the folder. The same file again changes nothing; a changed file updates its post; a post that was
// edited in Recto since is reported and left, unless forced. A file that can't be read is reported, the rest goes on.
//
// Errors:   a file's are in the report; std::runtime_error for the folder, DatabaseError from the store.
// Threads:  one import at a time is enough; others' writes come between.
// Limits:   files of 1 MiB that end in .md or .markdown, in the folder and below it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace recto {

struct ImportReport {
    int added = 0;
    int updated = 0;
    int unchanged = 0;
    std::vector<std::string> left;      // edited in Recto since the last import
    std::vector<std::string> problems;  // `folder/file.md:7: what was wrong`
};

[[nodiscard]] ImportReport import_folder(Store& store, const std::filesystem::path& folder, bool force, TimePoint now);

}  // namespace recto
