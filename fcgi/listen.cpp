#include "fcgi/listen.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/units.hpp"

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

// An integer option of the socket; -1: it isn't one.
int socket_option(int fd, int option) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool is_listening(int fd) { return socket_option(fd, SO_ACCEPTCONN) > 0; }
bool is_listening_stream(int fd) { return is_listening(fd) && socket_option(fd, SO_TYPE) == SOCK_STREAM; }

std::optional<long> environment_number(const char* name) {
    const char* const text = std::getenv(name);
    const auto number = parse_integer(text == nullptr ? "" : text);
    return number ? std::optional<long>(*number) : std::nullopt;
}

// How many descriptors systemd passed to this process. A variable that was meant for a parent says nothing.
long passed_by_systemd() {
    if (std::getenv("LISTEN_FDS") == nullptr || environment_number("LISTEN_PID") != ::getpid()) return 0;
    const auto count = environment_number("LISTEN_FDS");
    if (!count || *count < 0)
        throw WrongSockets(std::string("LISTEN_FDS=") + std::getenv("LISTEN_FDS") + ": expected the number of sockets");
    return *count;
}

std::string name_of_address(const sockaddr_storage& address, socklen_t length) {
    if (address.ss_family == AF_UNIX) {
        const auto* const path = reinterpret_cast<const sockaddr_un*>(&address)->sun_path;
        const auto size = length - std::min<std::size_t>(length, offsetof(sockaddr_un, sun_path));
        if (size == 0) return "unix, without a name";
        return "unix " + (path[0] == '\0' ? '@' + std::string(path + 1, size - 1) : std::string(path, ::strnlen(path, size)));
    }
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    const auto* const any = reinterpret_cast<const sockaddr*>(&address);
    if (::getnameinfo(any, length, host.data(), host.size(), port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "family " + std::to_string(address.ss_family);
    return "address " + std::string(host.data()) + " port " + port.data();
}

// `descriptor 3 (unix /run/recto.sock, stream, listening)`
std::string describe(int fd) {
    const auto named = "descriptor " + std::to_string(fd);
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        return named + (errno == ENOTSOCK ? " (not a socket)" : " (not open)");
    const int type = socket_option(fd, SO_TYPE);
    const auto* const kind = type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "neither stream nor datagram";
    return named + " (" + name_of_address(address, length) + ", " + kind + (is_listening(fd) ? ", listening)" : ", not listening)");
}

std::string describe_all(long count) {
    constexpr long kMost = 16;
    std::string text;
    for (long i = 0; i < std::min(count, kMost); ++i) text += (i == 0 ? "" : ", ") + describe(kFirstPassedFd + static_cast<int>(i));
    return count > kMost ? text + ", …" : text;
}

void remove_if_dead(const fs::path& path, const Address& address) {
    const auto probe = unix_socket(SOCK_STREAM | SOCK_NONBLOCK);  // a full backlog is an answer too, not a wait
    if (::connect(probe.get(), address.get(), address.length) == 0 || errno == EAGAIN)
        throw std::runtime_error("another process already listens on " + path.string());
    if (errno != ECONNREFUSED) return;
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))  // a file is refused in the same words
        throw std::runtime_error(path.string() + " is there and is not a socket");
    ::unlink(path.c_str());
}

}  // namespace

UniqueFd own_socket(const fs::path& path) {
    const auto address = unix_address(path.native());
    remove_if_dead(path, address);
    auto fd = unix_socket(SOCK_STREAM);
    if (::bind(fd.get(), address.get(), address.length) != 0) throw io_error("cannot make the socket", path);
    if (::chmod(path.c_str(), 0660) != 0 || ::listen(fd.get(), kBacklog) != 0) throw io_error("cannot listen on", path);
    return fd;
}

bool is_plain_cgi() { return std::getenv("REQUEST_METHOD") != nullptr && !is_listening(STDIN_FILENO) && passed_by_systemd() == 0; }

std::optional<UniqueFd> passed_socket() {
    if (const auto count = passed_by_systemd(); count > 0) {
        if (count != 1 || !is_listening_stream(kFirstPassedFd))
            throw WrongSockets("expected one listening stream socket, the service manager passed " + describe_all(count));
        ::fcntl(kFirstPassedFd, F_SETFD, FD_CLOEXEC);
        return UniqueFd(kFirstPassedFd);
    }
    if (!is_listening(STDIN_FILENO)) return {};
    if (!is_listening_stream(STDIN_FILENO)) throw WrongSockets("expected a listening stream socket, there is " + describe(STDIN_FILENO));
    return UniqueFd(STDIN_FILENO);
}

void notify_service_manager(std::string_view state) noexcept {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr) return;
    try {
        const auto address = unix_address(path);
        const auto fd = unix_socket(SOCK_DGRAM);
        ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, address.get(), address.length);
    } catch (const std::exception&) {
        // The service manager has a timeout of its own.
    }
}

}  // namespace recto
