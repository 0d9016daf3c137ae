// record.hpp - FastCGI's records: what has arrived of a request, the content of its body, and what goes around an answer.
//
// Errors:   `malformed`; its connection is to be closed. So are things that are legal but that no web server sends: management records,
//           interleaved requests, padding after an empty record.
// Threads:  pure functions; a BodyReader is one request's.
// Limits:   kWindow bytes of parameters; nginx itself sends at most one record of 65,535 bytes.
// Source:   the FastCGI specification 1.0, sections 3 to 5. libfcgi 2.4.2 blocks from a request's first byte to its last and trusts its
//           lengths, so it could be lent a connection only after such a look; reading all of it twice was a fifth of a cached hit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace recto {

inline constexpr std::size_t kWindow = 96u << 10;       // how much is looked at
inline constexpr std::size_t kAwaitedBody = 16u << 10;  // a body up to this is waited for without a thread

enum class Arrival {
    incomplete,  // wait for more
    complete,    // all of it is there
    large_body,  // the parameters are there, and a body too large to wait for
    other_role,  // well-formed so far, but not for a responder
    malformed,
};

// Its views point into the bytes that were looked at.
struct Arrived {
    Arrival state = Arrival::incomplete;
    std::uint16_t id = 0;
    bool is_kept = false;                         // the connection is to stay open after the answer
    std::optional<std::uint64_t> content_length;  // CONTENT_LENGTH, once the parameters are there
    std::string_view body;                        // its records, as far as they are there
    bool more_follows = false;                    // bytes of another request

    // For take_param(), once they are there.
    [[nodiscard]] std::string_view params() const { return joined_params.empty() ? params_of_one_record : joined_params; }
    std::string_view params_of_one_record;  // the usual case: nothing is copied
    std::string joined_params;              // of several
};

// `bytes` begin where a request begins, and are at most kWindow.
[[nodiscard]] Arrived look_at_request(std::string_view bytes);

// Takes the first parameter off. Nothing: there is none, or it is cut off, which those of an Arrived are not.
struct Param {
    std::string_view name;
    std::string_view value;
};
[[nodiscard]] std::optional<Param> take_param(std::string_view& params);

// The content of a body's records, which may come in pieces of any size.
class BodyReader {
public:
    explicit BodyReader(std::uint16_t id) : id_(id) {}

    // Appends what is in the next bytes. False: they are malformed.
    [[nodiscard]] bool take(std::string_view bytes, std::string& body);

    [[nodiscard]] bool at_end() const { return at_end_; }
    [[nodiscard]] bool more_follows() const { return more_follows_; }  // there were bytes behind the end

private:
    bool begin_record();

    std::uint16_t id_;
    std::string header_;  // as much as there is of the next one
    std::size_t content_left_ = 0;
    std::size_t padding_left_ = 0;
    bool at_end_ = false;
    bool more_follows_ = false;
};

// An answer is content in records of at most kMaxContent bytes, each behind such a header, and then the end of the request.
inline constexpr std::size_t kHeader = 8;
inline constexpr std::size_t kMaxContent = 65'528;
[[nodiscard]] std::array<char, kHeader> content_header(std::uint16_t id, std::size_t size);
[[nodiscard]] std::array<char, 3 * kHeader> end_of_answer(std::uint16_t id);

// The end of a request for a role that we don't play.
[[nodiscard]] std::array<char, 2 * kHeader> unknown_role_record(std::uint16_t id);

}  // namespace recto
