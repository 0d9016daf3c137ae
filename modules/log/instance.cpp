#include "log/instance.hpp"

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

#include <fcntl.h>

#include "util/shared_file.hpp"
#include "util/units.hpp"

namespace recto {
namespace {

constexpr int kMost = 1000;

std::optional<int> number_in_environment() {
    const char* const text = std::getenv("RECTO_INSTANCE");
    if (text == nullptr || *text == '\0') return {};
    const auto number = parse_integer(text);
    if (!number || *number < 1 || *number > kMost)
        throw std::runtime_error("RECTO_INSTANCE=" + std::string(text) + ": expected a number of 1 to " + std::to_string(kMost));
    return static_cast<int>(*number);
}

// A lock of the open file, not of the process (F_SETLK): closing another descriptor of the same file would end one of those.
bool lock_byte(int fd, int number) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = number;
    lock.l_len = 1;
    return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

int lowest_free(int fd) {
    for (int number = 1; number <= kMost; ++number)
        if (lock_byte(fd, number)) return number;
    throw std::runtime_error("more than " + std::to_string(kMost) + " workers want a log file of their own");
}

}  // namespace

Instance Instance::claim(const std::filesystem::path& runtime_dir) {
    const auto given = number_in_environment();
    if (runtime_dir.empty()) return {UniqueFd(), given.value_or(1)};

    make_private_directory(runtime_dir);
    const auto path = runtime_dir / "log.instances";
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot open", path);
    if (!given) {
        const auto number = lowest_free(fd.get());
        return {std::move(fd), number};
    }
    // Held too, so that a process without the variable takes another. Someone who came earlier shares the file with us, which it bears.
    (void)lock_byte(fd.get(), *given);
    return {std::move(fd), *given};
}

}  // namespace recto
