// listen.hpp - where requests come from, and what the service manager is told.
//
// Errors:   std::runtime_error or std::system_error naming the socket.
// Threads:  for the main thread at start and stop.
// Source:   sd_listen_fds(3) and sd_notify(3), whose protocols need no library; RFC 3875 for plain CGI.
#pragma once

#include <filesystem>
#include <string_view>

#include "util/file.hpp"

namespace recto {

// A CGI environment, and no listening socket on descriptor 0: one request from the command line.
[[nodiscard]] bool is_plain_cgi();

// LISTEN_FDS (systemd), else descriptor 0 (spawn-fcgi), else a new socket at `path`, mode 0660. A socket that another process listens
// on is refused; one that nobody listens on is replaced.
[[nodiscard]] UniqueFd listening_socket(const std::filesystem::path& path);

// `READY=1`, `STOPPING=1` to $NOTIFY_SOCKET; nothing without one.
void notify_service_manager(std::string_view state) noexcept;

}  // namespace recto
