#include "tests/support/fake_memcached.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace recto {

FakeMemcached::FakeMemcached(const std::filesystem::path& socket, Answer answer)
    : answer_(std::move(answer)), address_("unix:" + socket.string()), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket.c_str(), std::min(socket.native().size(), sizeof address.sun_path - 1));
    std::filesystem::remove(socket);
    listen(&address, sizeof address);
}

FakeMemcached::FakeMemcached(std::uint16_t port, Answer answer)
    : answer_(std::move(answer)),
      address_("127.0.0.1:" + std::to_string(port)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen(&address, sizeof address);
}

void FakeMemcached::listen(const void* address, unsigned size) {
    if (::bind(listener_.get(), static_cast<const sockaddr*>(address), size) != 0 || ::listen(listener_.get(), 64) != 0)
        throw std::runtime_error("cannot listen on " + address_);
    thread_ = std::thread([this] { serve(); });
}

FakeMemcached::~FakeMemcached() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    for (const auto& talk : talks_) ::shutdown(talk.client.get(), SHUT_RDWR);
    for (auto& talk : talks_) talk.thread.join();
}

void FakeMemcached::serve() {
    for (;;) {
        UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) return;
        ++connections_;
        end_talks();
        auto& talk = talks_.emplace_back();
        talk.client = std::move(client);
        talk.thread = std::thread([this, &talk] {
            this->talk(talk.client.get());
            talk.has_ended = true;
        });
    }
}

void FakeMemcached::end_talks() {
    std::erase_if(talks_, [](Talk& talk) {
        if (talk.has_ended) talk.thread.join();
        return !talk.thread.joinable();
    });
}

// The descriptor is closed with the object: its number must not be another's while the destructor may shut it down.
void FakeMemcached::talk(int client) {
    std::string request(1 << 16, '\0');
    for (;;) {
        const auto got = ::recv(client, request.data(), request.size(), 0);
        if (got <= 0 || !say(client, answer_({request.data(), static_cast<std::size_t>(got)}))) break;
    }
    ::shutdown(client, SHUT_RDWR);
}

bool FakeMemcached::say(int client, const Reply& reply) {
    for (int i = 0; i < reply.times && !ending_; ++i)
        if (!send(client, reply)) return false;
    return !reply.close && !ending_;
}

bool FakeMemcached::send(int client, const Reply& reply) const {
    const auto step = reply.pause.count() > 0 ? reply.piece : std::max<std::size_t>(reply.bytes.size(), 1);
    for (std::size_t at = 0; at < reply.bytes.size() && !ending_; at += step) {
        if (::send(client, reply.bytes.data() + at, std::min(step, reply.bytes.size() - at), MSG_NOSIGNAL) < 0) return false;
        if (reply.pause.count() > 0) std::this_thread::sleep_for(reply.pause);
    }
    return true;
}

}  // namespace recto
