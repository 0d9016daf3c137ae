// import_source.hpp - which post a file of an imported folder is.
//
// A post is known by its source and the file's path in it. The source is a name that the operator gives, else the folder's real path.
// A folder that was moved or renamed is recognised: if most posts of a source are in the folder, with files of equal hashes, it is that
// source. Posts of databases made before sources were kept have the source ''; each is adopted by the first folder that has its file.
//
// Errors:   DatabaseError from the store.
// Threads:  for one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "store/store.hpp"

namespace recto {

struct KnownPost {
    std::int64_t id;
    std::string slug;
    std::string hash;
    bool edited;  // in Recto, since it was imported
    bool published;
};

using FileHashes = std::map<std::string, std::string>;  // by the path in the folder

class ImportSource {
public:
    ImportSource(std::filesystem::path folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

    // The source that this folder was before it was moved, if it is one.
    [[nodiscard]] std::optional<std::string> moved_from(Snapshot& snapshot, const FileHashes& files) const;

    // The source's posts, and those of unknown source that are in the folder, get this source's name.
    void adopt(WriteTransaction& transaction, const std::optional<std::string>& moved, const FileHashes& files) const;

    // Also a post that came from the same file when a folder above or below this one was imported.
    [[nodiscard]] std::optional<KnownPost> find(WriteTransaction& transaction, const std::string& path) const;

    [[nodiscard]] const std::string& name() const { return name_; }

private:
    std::filesystem::path folder_;
    std::string name_;
};

}  // namespace recto
