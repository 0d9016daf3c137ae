// files.hpp - the names of a handler's files: the current one, its numbered backups, and one set of them for each worker where the name
// has `%i`.
//
// `recto.log` is the current file, `recto.log.1` its newest backup; from 2 on one may be compressed, `recto.log.2.gz`. With the name
// `recto.%i.log` each worker has its own: `recto.1.log`, `recto.1.log.1` and so on. What has a date instead, or a number above
// kMostBackups, is another rotator's: logrotate's `recto.log-20261127`, `-2026112714`, `-20261127-1796083200`, `.2026-11-27`, with `.gz` or
// packed otherwise (`.xz`). It is read like ours, or named as unreadable, and never touched.
//
// Errors:   none; a folder that isn't there or can't be read has no files.
// Threads:  pure functions of what is on the disk. A rotation may move a name on while it is being read: whoever wants each line once
//           opens all files first and looks again (by inode) for what moved.
#pragma once

#include <filesystem>
#include <vector>

#include "log/log.hpp"

namespace recto {

inline constexpr std::string_view kInstanceMark = "%i";  // in the name of a file, not in its folder
inline constexpr int kMostBackups = 1000;                // of one file, as [log] backup_count allows

[[nodiscard]] bool is_of_instances(const std::filesystem::path& file);  // whether each worker has one of its own
[[nodiscard]] std::filesystem::path file_of_instance(const std::filesystem::path& file, int instance);

// Whether `other`, which isn't `file`, has the name of a backup of `file` or of a worker's own: with two handlers of such names each would
// rotate over the other's lines. Of what `%i` stands for in `other` one number is tried.
[[nodiscard]] bool is_name_of(const std::filesystem::path& file, const std::filesystem::path& other);

// All that there is for a handler, whoever wrote it: the workers in the order of their numbers, of each the oldest lines first, so the
// current file comes last. A backup that is there plain and compressed, because a process died in between, is listed once, plain.
// Nothing for standard error.
[[nodiscard]] std::vector<std::filesystem::path> files_of(const LogHandler& handler);

struct LogBackup {
    int number;
    bool is_compressed;
    std::filesystem::path path;
};

// Of the one file, ours only, the oldest first (the highest number); plain and compressed ones of the same number are both listed.
[[nodiscard]] std::vector<LogBackup> backups_of(const std::filesystem::path& file);

[[nodiscard]] bool is_packed_otherwise(const std::filesystem::path& file);  // .xz, .bz2, .zst, …: found, and can't be read

[[nodiscard]] std::filesystem::path backup_path(const std::filesystem::path& file, int number);
[[nodiscard]] std::filesystem::path compressed(const std::filesystem::path& backup);  // with `.gz`

}  // namespace recto
