#include "fcgi/connection.hpp"

#include <fcgiapp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <mutex>

namespace recto {
namespace {

using namespace std::chrono_literals;

void set_send_timeout(int fd, std::chrono::milliseconds timeout) {
    const timeval value{.tv_sec = timeout.count() / 1000, .tv_usec = timeout.count() % 1000 * 1000};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

std::size_t send_buffer_of(int fd) {
    int size = 0;
    socklen_t length = sizeof size;
    return ::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0 ? static_cast<std::size_t>(std::max(size, 0)) : 0;
}

// The kernel counts its own overhead against the buffer too: at most as much again, and some for a short write.
constexpr std::size_t cost_in_buffer(std::size_t bytes) { return 2 * bytes + 2048; }

}  // namespace

void prepare_libfcgi() {
    static std::once_flag once;
    std::call_once(once, [] {
        constexpr std::array kTaken{SIGPIPE, SIGUSR1, SIGTERM};
        std::array<struct sigaction, kTaken.size()> ours{};
        for (std::size_t i = 0; i < kTaken.size(); ++i) ::sigaction(kTaken[i], nullptr, &ours[i]);
        FCGX_Init();
        for (std::size_t i = 0; i < kTaken.size(); ++i) ::sigaction(kTaken[i], &ours[i], nullptr);
    });
    std::signal(SIGPIPE, SIG_IGN);
}

Connection::Connection() : request_(std::make_unique<FCGX_Request>()) {}

Connection::~Connection() { close(); }

void Connection::open(UniqueFd fd, std::chrono::milliseconds io_timeout) {
    fd_ = std::move(fd);
    set_send_timeout(fd_.get(), io_timeout);
    send_buffer_ = send_buffer_of(fd_.get());
    perhaps_unread_ = 0;
    FCGX_InitRequest(request_.get(), -1, 0);
}

void Connection::close() noexcept {
    drop_request();
    fd_.reset();
}

void Connection::drop_request() noexcept {
    if (fd_) FCGX_Free(request_.get(), 0);  // its memory; the descriptor is ours
}

std::optional<std::string_view> Connection::peek(std::span<char> window) const {
    const auto got = ::recv(fd_.get(), window.data(), window.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return std::string_view(window.data(), static_cast<std::size_t>(got));
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::string_view();
    return std::nullopt;
}

bool Connection::hung_up() const {
    pollfd poll{.fd = fd_.get(), .events = POLLRDHUP, .revents = 0};
    return ::poll(&poll, 1, 0) > 0;  // POLLHUP and POLLERR are always reported
}

std::optional<Request> Connection::take_request() {
    // Under "Don't use anything below here" in fcgiapp.h, but there is no other way to give libfcgi a connection. keepConnection is what
    // the last request left; 0 would make FCGX_Accept_r close this one before it reads.
    request_->ipcFd = fd_.get();
    request_->keepConnection = 1;
    FCGX_Detach(request_.get());
    if (FCGX_Accept_r(request_.get()) != 0) {
        if (request_->ipcFd < 0) (void)fd_.release();  // closed by FCGX_Accept_r
        return std::nullopt;
    }
    return request_from_environment(request_->envp);
}

bool Connection::read_body(std::string& body, std::size_t limit) {
    std::array<char, 16u << 10> part;
    body.clear();
    while (body.size() <= limit) {
        const auto wanted = std::min(part.size(), limit + 1 - body.size());
        const auto got = FCGX_GetStr(part.data(), static_cast<int>(wanted), request_->in);
        if (got > 0) body.append(part.data(), static_cast<std::size_t>(got));
        if (got < static_cast<int>(wanted)) return FCGX_GetError(request_->in) == 0;
    }
    return false;
}

void Connection::cut_reading() const noexcept { ::shutdown(fd_.get(), SHUT_RD); }

// Asks the kernel only when the bytes written since it was asked last could fill the buffer: nginx has read an answer long before it
// sends the next request, so this costs a system call in some dozen answers.
bool Connection::fits(std::size_t bytes) {
    if (perhaps_unread_ + cost_in_buffer(bytes) <= send_buffer_) return true;
    int unread = 0;
    if (::ioctl(fd_.get(), SIOCOUTQ, &unread) != 0) return false;
    perhaps_unread_ = static_cast<std::size_t>(std::max(unread, 0));
    return perhaps_unread_ + cost_in_buffer(bytes) <= send_buffer_;
}

// Closing the streams ourselves instead of FCGX_Finish_r, which would close the descriptor after an error.
bool Connection::write(std::string_view head, std::string_view body) {
    perhaps_unread_ += cost_in_buffer(head.size() + body.size());
    const auto put = [this](std::string_view text) {
        return text.empty() || FCGX_PutStr(text.data(), static_cast<int>(text.size()), request_->out) == static_cast<int>(text.size());
    };
    bool good = put(head) && put(body);
    good &= FCGX_FClose(request_->err) == 0;
    good &= FCGX_FClose(request_->out) == 0;
    drop_request();
    return good;
}

bool Connection::is_kept() const { return request_->keepConnection != 0; }

void Connection::write_without_waiting(std::string_view bytes) const noexcept {
    (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Connection::linger(std::chrono::milliseconds at_most) const {
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
