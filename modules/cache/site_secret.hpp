// site_secret.hpp - what only the processes of a site know: without it an entry in memcached can be neither found nor forged.
//
// The first process makes the file: under another name, private, with the folder's owner, written to the disk, and then link()ed, which
// never replaces one that is there. All read what is there then, so processes that start together agree.
//
// Errors:   std::runtime_error that names the path and what is wrong with it; never a byte of the content.
// Threads:  safe to call from any thread and any process.
// Limits:   32 to 4096 bytes besides blanks at the ends; a file that others than its owner and group may write is refused. One that
//           they may read is used, with a warning each time (`cache.secret_readable`). One that is there and wrong is never replaced.
#pragma once

#include <filesystem>

#include "util/crypto.hpp"

namespace recto {

[[nodiscard]] Hash256 site_secret(const std::filesystem::path& file);

}  // namespace recto
