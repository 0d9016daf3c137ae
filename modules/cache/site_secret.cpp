#include "cache/site_secret.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <stdexcept>

#include "log/log.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace recto {

namespace {

constexpr std::size_t kMinBytes = 32, kMaxBytes = 4096;

std::runtime_error unusable(const std::filesystem::path& file, const char* why) {
    return std::runtime_error("secret file " + file.string() + ' ' + why);
}

// Its folder may keep others out, which the mode doesn't tell: so it is used.
void warn_of_readers(const std::filesystem::path& file) {
    log_event("cache.secret_readable", {{"file", file.string()}, {"error", "may be read by all, expected 0600 or 0640"}}, "recto.cache",
              Level::warning);
}

void check(int fd, const std::filesystem::path& file) {
    struct stat found {};
    if (::fstat(fd, &found) != 0) throw io_error("cannot look at", file);
    if (!S_ISREG(found.st_mode)) throw unusable(file, "is no file");
    if ((found.st_mode & S_IWOTH) != 0) throw unusable(file, "may be written by all");
    if ((found.st_mode & S_IROTH) != 0) warn_of_readers(file);
}

// nullopt: there is no such file. Not opened with O_NONBLOCK, a pipe of the name would hold us.
std::optional<std::string> content_of(const std::filesystem::path& file) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) return std::nullopt;
    if (!fd) throw io_error("cannot open", file);
    check(fd.get(), file);
    std::string content(kMaxBytes + 1, '\0');
    const auto size = ::read(fd.get(), content.data(), content.size());
    if (size < 0) throw io_error("cannot read", file);
    content.resize(static_cast<std::size_t>(size));
    return content;
}

Hash256 secret_in(const std::string& content, const std::filesystem::path& file) {
    const auto trimmed = trim(content);
    if (trimmed.size() < kMinBytes) throw unusable(file, "is too short: expected at least 32 bytes");
    if (content.size() > kMaxBytes) throw unusable(file, "is too long: expected at most 4096 bytes");
    return hash256(trimmed);
}

void sync(int fd, const std::filesystem::path& path) {
    if (::fsync(fd) != 0) throw io_error("cannot write to the disk", path);
}

// As root, of the folder's owner: the workers are.
void give_to_owner_of(const std::filesystem::path& folder, int fd) {
    struct stat found {};
    if (::geteuid() != 0 || ::stat(folder.c_str(), &found) != 0) return;
    if (::fchown(fd, found.st_uid, found.st_gid) != 0) throw io_error("cannot give a file to the owner of", folder);
}

void write_new(const std::filesystem::path& path, const std::filesystem::path& folder) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) throw io_error("cannot make", path);
    Hash256 secret;
    random_bytes(secret);
    give_to_owner_of(folder, fd.get());
    write_all(fd.get(), hex(secret) + '\n', path);
    sync(fd.get(), path);
}

// Another process may be first: then its file stays.
void publish(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::link(from.c_str(), to.c_str()) != 0 && errno != EEXIST) throw io_error("cannot make", to);
    const auto folder = to.parent_path();
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) throw io_error("cannot open", folder);
    sync(fd.get(), folder);
}

struct Temporary {
    explicit Temporary(const std::filesystem::path& file) : path(file.string() + '.' + hex_of_random()) {}
    ~Temporary() { ::unlink(path.c_str()); }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;

    static std::string hex_of_random() {
        Hash128 random;
        random_bytes(random);
        return hex(random);
    }

    const std::filesystem::path path;
};

void make(const std::filesystem::path& file) {
    const Temporary temporary(file);
    write_new(temporary.path, file.parent_path());
    publish(temporary.path, file);
}

}  // namespace

Hash256 site_secret(const std::filesystem::path& file) {
    auto content = content_of(file);
    if (!content) {
        make(file);
        content = content_of(file);
    }
    if (!content) throw unusable(file, "was removed meanwhile");
    return secret_in(*content, file);
}

}  // namespace recto
