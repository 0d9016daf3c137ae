#include "util/standard_descriptors.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "util/file.hpp"

namespace recto {
namespace {

bool is_closed(int fd) { return ::fcntl(fd, F_GETFD) < 0 && errno == EBADF; }

}  // namespace

// In this order the lowest free descriptor is the one to fill. Not O_CLOEXEC: a program that we start needs them too.
void fill_standard_descriptors() {
    constexpr int kModes[] = {O_WRONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd < 3; ++fd)
        if (is_closed(fd) && ::open("/dev/null", kModes[fd]) != fd) throw io_error("cannot open", "/dev/null");
}

}  // namespace recto
