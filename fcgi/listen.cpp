#include "fcgi/listen.hpp"

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr int kFirstPassedFd = 3;  // SD_LISTEN_FDS_START
constexpr int kBacklog = 4096;     // a full backlog of a unix socket is an immediate 502

struct Address {
    sockaddr_un sun{};
    socklen_t length = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&sun); }
};

Address unix_address(std::string_view path) {
    Address address;
    if (path.empty() || path.size() >= sizeof address.sun.sun_path)
        throw std::runtime_error("the socket path " + std::string(path) + " must have 1 to 107 bytes");
    address.sun.sun_family = AF_UNIX;
    std::memcpy(address.sun.sun_path, path.data(), path.size());
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path.front() == '@' ? 0 : 1));
    if (path.front() == '@') address.sun.sun_path[0] = '\0';
    return address;
}

UniqueFd unix_socket(int type) {
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!fd) throw std::system_error(errno, std::generic_category(), "cannot make a unix socket");
    return fd;
}

bool is_listening(int fd) {
    int listening = 0;
    socklen_t size = sizeof listening;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

long environment_number(const char* name) {
    const char* const text = std::getenv(name);
    long number = 0;
    if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
    return number;
}

bool systemd_passed_a_socket() { return environment_number("LISTEN_PID") == ::getpid() && environment_number("LISTEN_FDS") == 1; }

void remove_if_nobody_listens(const fs::path& path, const Address& address) {
    const auto probe = unix_socket(SOCK_STREAM);
    if (::connect(probe.get(), address.get(), address.length) == 0 || errno == EAGAIN)
        throw std::runtime_error("another process already listens on " + path.string());
    if (errno != ECONNREFUSED) return;
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))  // a file is refused in the same words
        throw std::runtime_error(path.string() + " is there and is not a socket");
    ::unlink(path.c_str());
}

UniqueFd bind_socket(const fs::path& path) {
    const auto address = unix_address(path.native());
    remove_if_nobody_listens(path, address);
    auto fd = unix_socket(SOCK_STREAM);
    if (::bind(fd.get(), address.get(), address.length) != 0) throw io_error("cannot make the socket", path);
    if (::chmod(path.c_str(), 0660) != 0 || ::listen(fd.get(), kBacklog) != 0) throw io_error("cannot listen on", path);
    return fd;
}

}  // namespace

bool is_plain_cgi() { return std::getenv("REQUEST_METHOD") != nullptr && !is_listening(STDIN_FILENO); }

UniqueFd listening_socket(const fs::path& path) {
    if (systemd_passed_a_socket()) return UniqueFd(kFirstPassedFd);
    if (is_listening(STDIN_FILENO)) return UniqueFd(STDIN_FILENO);
    return bind_socket(path);
}

void notify_service_manager(std::string_view state) noexcept {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return;
    try {
        const auto address = unix_address(path);
        const auto fd = unix_socket(SOCK_DGRAM);
        ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, address.get(), address.length);
    } catch (const std::exception&) {
        // The service manager notices by itself when nobody reports.
    }
}

}  // namespace recto
