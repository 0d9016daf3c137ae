// connection.hpp - one accepted FastCGI connection: its bytes, in and out.
//
// Errors:   a function that fails says so; the connection is then good for nothing but close().
// Threads:  one thread at a time; cut_reading() from any, while close() is excluded.
// Limits:   a response is written within transfer_time() of the first time that its peer is slow. read_body() has no limit of its own: its
//           caller ends it with cut_reading() after the transfer_time() of the body.
// Source:   a timeout of the socket (SO_SNDTIMEO) starts anew with each buffer that the kernel gets rid of, so a peer that reads a little
//           now and then could hold a thread for ever: we wait in poll() until a deadline instead. signal(7): a signal, or a stop that
//           goes on again (a debugger), ends such a wait early, so we wait again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fcgi/record.hpp"
#include "util/file.hpp"

namespace recto {

// The slowest peer that we wait for. The peer is the web server on the same machine: it takes some hundred megabytes a second, whatever
// its own client does.
inline constexpr std::uint64_t kSlowestBytesPerSecond = 1u << 20;

// How long so many bytes of a request or a response may take: io_timeout, and a second for each megabyte.
[[nodiscard]] std::chrono::milliseconds transfer_time(std::chrono::milliseconds io_timeout, std::uint64_t bytes);

class ClientConnection {
public:
    ~ClientConnection() { close(); }

    void open(UniqueFd fd, std::chrono::milliseconds io_timeout);
    void close() noexcept;
    [[nodiscard]] int fd() const { return fd_.get(); }

    // What has arrived and was not used yet, without waiting; it is in `window` (of kWindow bytes) or kept here. Empty text: nothing.
    // Nothing: the other side is gone.
    [[nodiscard]] std::optional<std::string_view> receive(std::span<char> window);
    void keep(std::string_view received);  // for the next receive()
    void forget();                         // it is used
    [[nodiscard]] bool hung_up() const;

    // The rest of a request's body, to its end. False: it ended early or didn't end, or has more than `limit` bytes: more are in `body`
    // then, few.
    [[nodiscard]] bool read_body(BodyReader& reader, std::string& body, std::size_t limit) const;
    void cut_reading() const noexcept;

    // Whether an answer of so many bytes can be written without waiting.
    [[nodiscard]] bool fits(std::size_t bytes);

    // The answer to the request `id`, and its end.
    [[nodiscard]] bool write(std::uint16_t id, std::string_view head, std::string_view body);

    void write_without_waiting(std::string_view bytes) const noexcept;

    // Lets a client that is still sending read our answer: closing with its bytes unread would reset the connection.
    void linger(std::chrono::milliseconds at_most) const;

private:
    UniqueFd fd_;
    std::chrono::milliseconds io_timeout_{};
    std::string kept_;
    std::size_t send_buffer_ = 0;
    std::size_t perhaps_unread_ = 0;  // of what we wrote; an upper bound
};

}  // namespace recto
