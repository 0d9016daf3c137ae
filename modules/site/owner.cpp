#include "site/owner.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.hpp"

namespace recto {

void become_owner_of(const std::filesystem::path& data) {
    struct stat status {};
    if (::geteuid() != 0 || ::stat(data.c_str(), &status) != 0 || status.st_uid == 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(status.st_gid) != 0 || ::setuid(status.st_uid) != 0)
        throw io_error("cannot go on as the owner of", data);
}

}  // namespace recto
