// bare_responder - the least that libfcgi can do: kept connections in one epoll set, the same bytes for every request.
//
// What `make bench` measures Recto against. Usage: bare_responder FILE, the listening socket on descriptor 0; FILE holds the whole
// answer, headers and body.

#include <cstdio>
#include <memory>
#include <string>

#include <fcgiapp.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/file.hpp"

namespace {

using namespace recto;

struct Connection {
    FCGX_Request request;
};

void watch(int epoll, int fd, void* data) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = data;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void accept_all(int epoll) {
    for (;;) {
        const int fd = ::accept4(STDIN_FILENO, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        auto connection = std::make_unique<Connection>();
        FCGX_InitRequest(&connection->request, -1, 0);
        connection->request.ipcFd = fd;
        connection->request.keepConnection = 1;
        watch(epoll, fd, connection.release());
    }
}

// False when nginx has closed the connection.
bool answer(FCGX_Request& request, const std::string& bytes) {
    if (FCGX_Accept_r(&request) != 0) return false;
    FCGX_PutStr(bytes.data(), static_cast<int>(bytes.size()), request.out);
    FCGX_Finish_r(&request);
    return request.ipcFd >= 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 || FCGX_Init() != 0) {
        std::fputs("usage: bare_responder FILE < listening socket\n", stderr);
        return 64;
    }
    const auto bytes = read_file(argv[1]);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    ::fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    watch(epoll, STDIN_FILENO, nullptr);
    for (;;) {
        epoll_event events[64];
        const int count = ::epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; ++i) {
            auto* const connection = static_cast<Connection*>(events[i].data.ptr);
            if (connection == nullptr) {
                accept_all(epoll);
            } else if (!answer(connection->request, bytes)) {
                delete connection;
            }
        }
    }
}
