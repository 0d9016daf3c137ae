// listen.hpp - where requests come from, and what the service manager is told.
//
// Errors:   WrongSockets, which names what was passed; std::runtime_error or std::system_error naming the socket.
// Threads:  for the main thread at start and stop.
// Source:   sd_listen_fds(3) and sd_notify(3), whose protocols need no library; RFC 3875 for plain CGI.
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "util/file.hpp"

namespace recto {

// A CGI environment, and no listening socket on descriptor 0: one request from the command line.
[[nodiscard]] bool is_plain_cgi();

// What was passed is not one listening stream socket.
class WrongSockets : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// LISTEN_FDS (systemd; only if LISTEN_PID names this process), else descriptor 0 (spawn-fcgi): unix or TCP. Empty: none was passed.
[[nodiscard]] std::optional<UniqueFd> passed_socket();

// A new socket at `path`, mode 0660. A socket that another process listens on is refused, and so is a file; a socket that no process
// listens on is replaced.
[[nodiscard]] UniqueFd own_socket(const std::filesystem::path& path);

// `READY=1`, `STOPPING=1`, `STATUS=…` to $NOTIFY_SOCKET; nothing without one.
void notify_service_manager(std::string_view state) noexcept;

}  // namespace recto
