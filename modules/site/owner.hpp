// owner.hpp - whose files a site's files are.
#pragma once

#include <filesystem>

namespace recto {

// As root: from here on as the owner of the data folder, so that no file of root's gets between the workers' ones. Does nothing for
// others, and when the folder isn't there or is root's. Throws std::system_error.
void become_owner_of(const std::filesystem::path& data);

}  // namespace recto
