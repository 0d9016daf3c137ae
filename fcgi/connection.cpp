#include "fcgi/connection.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace recto {
namespace {

using namespace std::chrono_literals;

std::size_t send_buffer_of(int fd) {
    int size = 0;
    socklen_t length = sizeof size;
    return ::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0 ? static_cast<std::size_t>(std::max(size, 0)) : 0;
}

// The kernel counts its own overhead against the buffer too: at most as much again, and some for a short write.
constexpr std::size_t cost_in_buffer(std::size_t bytes) { return 2 * bytes + 2048; }

iovec part(std::string_view bytes) { return {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()}; }

std::string_view take_front(std::string_view& bytes, std::size_t size) {
    const auto front = bytes.substr(0, size);
    bytes.remove_prefix(front.size());
    return front;
}

void drop_front(std::span<iovec>& parts, std::size_t bytes) {
    for (; !parts.empty() && bytes >= parts.front().iov_len; parts = parts.subspan(1)) bytes -= parts.front().iov_len;
    if (parts.empty()) return;
    parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + bytes;
    parts.front().iov_len -= bytes;
}

// Waits for a peer that is slow, as often as it has to, but not longer than `patience` in all. Asks no clock before the first wait.
class SlowPeer {
public:
    explicit SlowPeer(std::chrono::milliseconds patience) : patience_(patience) {}

    // False: the time is over.
    bool wait_until_writable(int fd) {
        const auto now = std::chrono::steady_clock::now();
        if (end_ == kNotYet) end_ = now + patience_;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - now);
        if (left <= 0ms) return false;
        pollfd poll{.fd = fd, .events = POLLOUT, .revents = 0};
        return ::poll(&poll, 1, static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX))) >= 0 || errno == EINTR;
    }

private:
    static constexpr auto kNotYet = std::chrono::steady_clock::time_point::max();

    std::chrono::milliseconds patience_;
    std::chrono::steady_clock::time_point end_ = kNotYet;  // of the patience, which begins with the first wait
};

bool send_all(int fd, std::span<iovec> parts, SlowPeer& peer) {
    while (!parts.empty()) {
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const auto sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            drop_front(parts, static_cast<std::size_t>(sent));
        else if (errno == EAGAIN ? !peer.wait_until_writable(fd) : errno != EINTR)
            return false;
    }
    return true;
}

}  // namespace

std::chrono::milliseconds transfer_time(std::chrono::milliseconds io_timeout, std::uint64_t bytes) {
    return io_timeout + std::chrono::milliseconds(bytes * 1000 / kSlowestBytesPerSecond);
}

void ClientConnection::open(UniqueFd fd, std::chrono::milliseconds io_timeout) {
    fd_ = std::move(fd);
    io_timeout_ = io_timeout;
    send_buffer_ = send_buffer_of(fd_.get());
    perhaps_unread_ = 0;
}

void ClientConnection::close() noexcept {
    forget();
    fd_.reset();
}

std::optional<std::string_view> ClientConnection::receive(std::span<char> window) {
    const auto got = ::recv(fd_.get(), window.data(), window.size() - kept_.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return std::nullopt;
    const std::string_view arrived(window.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (kept_.empty()) return arrived;
    return kept_ += arrived;
}

void ClientConnection::keep(std::string_view received) {
    if (received.data() != kept_.data()) kept_ = received;
}

// An idle connection holds no memory for what it once sent.
void ClientConnection::forget() {
    if (!kept_.empty()) kept_ = std::string();
}

bool ClientConnection::hung_up() const {
    pollfd poll{.fd = fd_.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&poll, 1, 0) > 0;  // POLLHUP and POLLERR are always reported
}

bool ClientConnection::read_body(BodyReader& reader, std::string& body, std::size_t limit) const {
    std::array<char, 16u << 10> window;
    while (!reader.at_end() && body.size() <= limit) {
        const auto got = ::recv(fd_.get(), window.data(), window.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || !reader.take({window.data(), static_cast<std::size_t>(got)}, body)) return false;
    }
    return body.size() <= limit;
}

void ClientConnection::cut_reading() const noexcept { ::shutdown(fd_.get(), SHUT_RD); }

// Asks the kernel only when the bytes written since it was asked last could fill the buffer: nginx has read an answer long before it
// sends the next request, so this costs a system call in some dozen answers.
bool ClientConnection::fits(std::size_t bytes) {
    if (perhaps_unread_ + cost_in_buffer(bytes) <= send_buffer_) return true;
    int unread = 0;
    if (::ioctl(fd_.get(), SIOCOUTQ, &unread) != 0) return false;
    perhaps_unread_ = static_cast<std::size_t>(std::max(unread, 0));
    return perhaps_unread_ + cost_in_buffer(bytes) <= send_buffer_;
}

// All of an answer that fits one record goes out at once: the web server is woken, and reads, once.
bool ClientConnection::write(std::uint16_t id, std::string_view head, std::string_view body) {
    perhaps_unread_ += cost_in_buffer(head.size() + body.size());
    SlowPeer peer(transfer_time(io_timeout_, head.size() + body.size()));
    const auto end = end_of_answer(id);
    for (bool is_last = false; !is_last;) {
        const auto from_head = take_front(head, kMaxContent);
        const auto from_body = take_front(body, kMaxContent - from_head.size());
        is_last = head.empty() && body.empty();
        const auto header = content_header(id, from_head.size() + from_body.size());
        std::array parts{part({header.data(), header.size()}), part(from_head), part(from_body),
                         part({end.data(), is_last ? end.size() : 0})};
        if (!send_all(fd_.get(), parts, peer)) return false;
    }
    return true;
}

void ClientConnection::write_without_waiting(std::string_view bytes) const noexcept {
    (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ClientConnection::linger(std::chrono::milliseconds at_most) const {
    const auto end = std::chrono::steady_clock::now() + at_most;
    ::shutdown(fd_.get(), SHUT_WR);
    std::array<char, 16u << 10> waste;
    for (auto left = at_most; left > 0ms; left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now())) {
        pollfd poll{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&poll, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return;
        const auto got = ::recv(fd_.get(), waste.data(), waste.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
    }
}

}  // namespace recto
