// backups.hpp - what happens to the numbered backups of a log: they move one up, the oldest goes, one gets its compressed form.
//
// Errors:   std::system_error naming the file.
// Threads:  the caller holds the rotation's lock. Safe to be killed anywhere: a chain that died half-way leaves a free
//           number, which the next one fills; a backup may be there plain and compressed, then the compressed one is whole.
#pragma once

#include <filesystem>
#include <optional>

#include <sys/types.h>

#include "util/file.hpp"

namespace recto {

[[nodiscard]] std::filesystem::path rotation_lock_path(const std::filesystem::path& file);  // `.recto.log.lock` beside the file

// Another process holds it for a fraction of a millisecond. Empty after half a second: one that was stopped meanwhile must not stop us.
[[nodiscard]] std::optional<FileLock> lock_rotation(const std::filesystem::path& file);

// The file becomes `name.1`; the others move one up as far as the first free number, the oldest goes when there is none. Those above
// `backup_count` go too: it was higher before.
void shift_backups(const std::filesystem::path& file, int backup_count);

// False when there is none.
bool remove_oldest_backup(const std::filesystem::path& file);

// `whole` becomes the compressed form of the backup that has this inode and size, whichever number it has by now. False when there is none.
bool put_compressed(const std::filesystem::path& file, const std::filesystem::path& whole, ino_t inode, off_t size);

// The plain ones of those that are there in both forms.
void remove_compressed_twice(const std::filesystem::path& file);

}  // namespace recto
