// line.hpp - the text of one line: what is in it, what is masked, escaped and cut.
//
// Nothing from outside can end a line or a JSON string early, move a terminal's cursor or make a line longer than `max_bytes`. What
// is too long is cut where a character begins; then data is a string with the beginning of its JSON, followed by `"cut":n`, the bytes
// left out (in bare text ` cut=n`). A value whose key looks like a secret (password, token, cookie…), at any depth, is `********`.
//
// Errors:   parse() answers with one sentence; a line can always be made.
// Threads:  safe to call from any thread; pid and tid are the caller's, also after fork().
// Source:   ECS: ecs-logging's spec.json (@timestamp, log.level, message, ecs.version); the names of a pattern's fields are those of
//           Python's logging in the style `{`.
#pragma once

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "log/log.hpp"
#include "util/context.hpp"
#include "util/json.hpp"
#include "util/result.hpp"

namespace recto {

// What is logged, while it is being logged: a plain view.
struct LogRecord {
    Level level = Level::info;
    std::string_view logger;
    std::string_view event;             // empty: it is a message
    const json::value* data = nullptr;  // of an event
    std::string_view text;              // of a message
    const RequestContext* context = nullptr;
    timespec time{};
};

class LineFormat {
public:
    // `verbose` (asctime, process, thread, message), `json`, `ecs`, or a pattern with {asctime} {levelname} {name} {process} {thread}
    // {message} {txid} {uid}.
    [[nodiscard]] static Result<LineFormat> parse(std::string_view text);

    [[nodiscard]] std::string line(const LogRecord& record, std::size_t max_bytes) const;  // with its newline

private:
    enum class Kind { pattern, json, ecs };
    enum class Field { literal, asctime, levelname, name, process, thread, message, txid, uid };
    struct Piece {
        Field field;
        std::string text;  // of a literal
    };
    struct Draft;

    void append_pattern(Draft& draft, const LogRecord& record) const;
    static void append(Draft& draft, const Piece& piece, const LogRecord& record);

    Kind kind_ = Kind::pattern;
    std::vector<Piece> pieces_;
};

[[nodiscard]] std::string_view word_of(Level level);

// `invalid_event` for what isn't of [a-z0-9._-], 1 to 64 characters.
[[nodiscard]] bool is_event_name(std::string_view name);

}  // namespace recto
