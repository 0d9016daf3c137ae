#include "cache/memcached_reply.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace recto {

namespace {

using Command = MemcachedRequest::Command;
using State = MemcachedReply::State;

constexpr std::size_t kMaxLine = 300;  // libmemcached's buffer for a line has 350 bytes
constexpr std::size_t kMaxStatistics = 64 << 10;
constexpr std::size_t kMaxText = 1024;  // of an error, of a list of mechanisms, of what a log-in says
constexpr std::uint64_t kMaxValue = 1 << 30;

constexpr MemcachedReply kWrong{State::wrong, 0};
constexpr MemcachedReply kWhole{State::whole, 0};
constexpr MemcachedReply partial(std::size_t expected = 0) { return {State::partial, expected}; }

bool is_graphic(char c) { return c > ' ' && c < 0x7f; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c == ' ' || is_graphic(c); });
}

// A part of `expected` that may yet become all of it.
bool begins_like(std::string_view received, std::string_view expected) {
    return received.substr(0, expected.size()) == expected.substr(0, received.size());
}

MemcachedReply whole_if_at_end(std::string_view rest) { return rest.empty() ? kWhole : kWrong; }

// Takes what must come next; what has come so far of it, if it is right, is partial.
std::optional<MemcachedReply> take(std::string_view& rest, std::string_view expected) {
    if (!begins_like(rest, expected)) return kWrong;
    if (rest.size() < expected.size()) return partial();
    rest.remove_prefix(expected.size());
    return std::nullopt;
}

// The text protocol

// Without its \r\n.
struct Line {
    MemcachedReply reply;  // if there is no line
    std::optional<std::string_view> text;
};
Line take_line(std::string_view& rest) {
    const auto end = rest.substr(0, kMaxLine).find('\n');
    if (end == std::string_view::npos) return {rest.size() < kMaxLine ? partial() : kWrong, std::nullopt};
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.ends_with('\r') || !is_printable(line.substr(0, end - 1))) return {kWrong, std::nullopt};
    return {{}, line.substr(0, end - 1)};
}

std::string_view take_while(std::string_view& rest, bool (*is_part)(char)) {
    const auto end = std::ranges::find_if_not(rest, is_part);
    const auto part = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    rest.remove_prefix(part.size());
    return part;
}

bool take_blank(std::string_view& rest) {
    if (!rest.starts_with(' ')) return false;
    rest.remove_prefix(1);
    return true;
}

std::optional<std::uint64_t> take_number(std::string_view& rest, std::uint64_t limit) {
    const auto digits = take_while(rest, is_digit);
    if (digits.empty() || digits.size() > 10) return std::nullopt;
    std::uint64_t number = 0;
    for (const auto digit : digits) number = number * 10 + static_cast<std::uint64_t>(digit - '0');
    return number <= limit ? std::optional(number) : std::nullopt;
}

bool is_error(std::string_view line) { return line == "ERROR" || line.starts_with("CLIENT_ERROR ") || line.starts_with("SERVER_ERROR "); }

// The size of the value in `VALUE key flags size`.
std::optional<std::uint64_t> value_size(std::string_view line, std::string_view key) {
    constexpr std::string_view kValue = "VALUE ";
    if (!line.starts_with(kValue) || line.substr(kValue.size(), key.size()) != key) return std::nullopt;
    line.remove_prefix(kValue.size() + key.size());
    if (!take_blank(line) || !take_number(line, UINT32_MAX) || !take_blank(line)) return std::nullopt;
    const auto size = take_number(line, kMaxValue);
    return line.empty() ? size : std::nullopt;
}

MemcachedReply check_get(const MemcachedRequest& request, std::string_view received) {
    constexpr std::string_view kEnd = "\r\nEND\r\n";
    auto rest = received;
    const auto line = take_line(rest);
    if (!line.text) return line.reply;
    if (*line.text == "END" || is_error(*line.text)) return whole_if_at_end(rest);
    const auto size = value_size(*line.text, request.key);
    if (!size) return kWrong;
    if (rest.size() < *size) return partial(received.size() - rest.size() + *size + kEnd.size());
    rest.remove_prefix(*size);
    return take(rest, kEnd).value_or(whole_if_at_end(rest));
}

MemcachedReply check_line(std::string_view received, bool (*is_expected)(std::string_view)) {
    const auto line = take_line(received);
    if (!line.text) return line.reply;
    return is_expected(*line.text) || is_error(*line.text) ? whole_if_at_end(received) : kWrong;
}

// Three numbers with points between them, whatever follows.
bool is_version(std::string_view line) {
    constexpr std::string_view kVersion = "VERSION ";
    if (!line.starts_with(kVersion)) return false;
    line.remove_prefix(kVersion.size());
    for (const bool is_last : {false, false, true}) {
        if (!take_number(line, UINT8_MAX)) return false;
        if (is_last) return true;
        if (!line.starts_with('.')) return false;
        line.remove_prefix(1);
    }
    return false;
}

bool is_statistic(std::string_view line) {
    constexpr std::string_view kStat = "STAT ";
    if (!line.starts_with(kStat)) return false;
    line.remove_prefix(kStat.size());
    return !take_while(line, is_graphic).empty() && take_blank(line);
}

MemcachedReply check_stats(std::string_view received) {
    if (received.size() > kMaxStatistics) return kWrong;
    for (bool is_first = true;; is_first = false) {
        const auto line = take_line(received);
        if (!line.text) return line.reply;
        if (*line.text == "END" || (is_first && is_error(*line.text))) return whole_if_at_end(received);
        if (!is_statistic(*line.text)) return kWrong;
    }
}

MemcachedReply check_text(const MemcachedRequest& request, std::string_view received) {
    switch (request.command) {
        case Command::get:
            return check_get(request, received);
        case Command::set:
            return check_line(received, [](std::string_view line) { return line == "STORED"; });
        case Command::remove:
            return check_line(received, [](std::string_view line) { return line == "DELETED" || line == "NOT_FOUND"; });
        case Command::version:
            return check_line(received, is_version);
        case Command::stats:
            return check_stats(received);
        default:
            return kWrong;
    }
}

// The binary protocol

enum Opcode : unsigned char {
    kGet = 0x0c,   // GETK
    kGetQ = 0x0d,  // GETKQ: says nothing about what isn't there
    kSet = 0x01,
    kDelete = 0x04,
    kNoop = 0x0a,
    kVersion = 0x0b,
    kStat = 0x10,
    kListMechanisms = 0x20,
    kLogIn = 0x21,
    kLogInStep = 0x22,
};

constexpr std::size_t kHeader = 24;
constexpr unsigned kLogInGoesOn = 0x21;  // a status

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint32_t number = 0;
    for (const auto byte : bytes.substr(at, size)) number = number << 8 | static_cast<unsigned char>(byte);
    return number;
}

struct Packet {
    unsigned char opcode;
    std::uint32_t key_size, extras_size, status;
    std::uint32_t body_size;  // of extras, key and value
    std::string_view body;    // what has come of it

    [[nodiscard]] bool is_error() const { return status != 0 && status != kLogInGoesOn; }
    [[nodiscard]] bool is_whole() const { return body.size() == body_size; }
    [[nodiscard]] bool has_value_alone() const { return key_size == 0 && extras_size == 0; }
};

// nullopt: less than a header has come.
std::optional<Packet> take_packet(std::string_view& rest) {
    if (rest.size() < kHeader) return std::nullopt;
    Packet packet{.opcode = static_cast<unsigned char>(rest[1]),
                  .key_size = number_at(rest, 2, 2),
                  .extras_size = number_at(rest, 4, 1),
                  .status = number_at(rest, 6, 2),
                  .body_size = number_at(rest, 8, 4),
                  .body = rest.substr(kHeader, number_at(rest, 8, 4))};
    rest.remove_prefix(kHeader + packet.body.size());
    return packet;
}

bool is_own_value(const Packet& packet, std::string_view key) {
    constexpr std::uint32_t kFlags = 4;
    if (packet.extras_size != kFlags || packet.key_size != key.size() || packet.body_size < kFlags + key.size()) return false;
    return packet.body_size <= kMaxValue && (packet.body.size() <= kFlags || begins_like(packet.body.substr(kFlags), key));
}

bool is_own_statistic(const Packet& packet) {
    const bool fits = packet.extras_size == 0 && packet.body_size <= kMaxLine && packet.key_size <= packet.body_size;
    return fits && (packet.key_size > 0 || packet.body_size == 0) && is_printable(packet.body);
}

bool is_own_success(const Packet& packet, const MemcachedRequest& request) {
    switch (packet.opcode) {
        case kGet:
        case kGetQ:
            return is_own_value(packet, request.key);
        case kStat:
            return is_own_statistic(packet);
        case kVersion:
            return packet.has_value_alone() && packet.body_size <= 16 && is_printable(packet.body);
        case kListMechanisms:
        case kLogIn:
        case kLogInStep:
            return packet.has_value_alone() && packet.body_size <= kMaxText && is_printable(packet.body);
        default:
            return packet.has_value_alone() && packet.body_size == 0;
    }
}

bool is_own_packet(const Packet& packet, const MemcachedRequest& request) {
    const bool ends_a_get = request.opcode == kGetQ && packet.opcode == kNoop;
    if (packet.opcode != request.opcode && !ends_a_get) return false;
    if (packet.status == kLogInGoesOn && request.command != Command::log_in) return false;
    if (packet.is_error()) return !ends_a_get && packet.has_value_alone() && packet.body_size <= kMaxText;
    return is_own_success(packet, request);
}

bool is_a_log_in(const MemcachedRequest& request) {
    return request.command == Command::list_mechanisms || request.command == Command::log_in;
}

bool is_last(const Packet& packet, const MemcachedRequest& request) {
    if (request.opcode == kGetQ) return packet.opcode == kNoop;
    return request.opcode != kStat || packet.is_error() || packet.body_size == 0;
}

MemcachedReply check_binary(const MemcachedRequest& request, std::string_view received) {
    if (request.command == Command::unknown || (request.command == Command::stats && received.size() > kMaxStatistics)) return kWrong;
    auto rest = received;
    for (bool has_value = false;;) {
        if (!rest.empty() && rest.front() != '\x81') return kWrong;
        const auto packet = take_packet(rest);
        if (!packet) return partial();
        if (!is_own_packet(*packet, request) || (has_value && packet->opcode == kGetQ)) return kWrong;
        if (!packet->is_whole()) return partial(received.size() + packet->body_size - packet->body.size());
        if (packet->is_error() && is_a_log_in(request)) return {State::refused, 0};
        if (is_last(*packet, request)) return whole_if_at_end(rest);
        has_value = true;
    }
}

Command command_of(unsigned char opcode) {
    switch (opcode) {
        case kGet:
        case kGetQ:
            return Command::get;
        case kSet:
            return Command::set;
        case kDelete:
            return Command::remove;
        case kVersion:
            return Command::version;
        case kStat:
            return Command::stats;
        case kListMechanisms:
            return Command::list_mechanisms;
        case kLogIn:
        case kLogInStep:
            return Command::log_in;
        default:
            return Command::unknown;
    }
}

MemcachedRequest parse_binary(std::string_view sent) {
    const auto opcode = static_cast<unsigned char>(sent[1]);
    MemcachedRequest request{.command = command_of(opcode), .binary = true, .opcode = opcode, .key = {}};
    if (request.command == Command::get) request.key = sent.substr(kHeader + number_at(sent, 4, 1), number_at(sent, 2, 2));
    return request;
}

MemcachedRequest parse_text(std::string_view sent) {
    constexpr std::array<std::pair<std::string_view, Command>, 5> kWords{{{"get", Command::get},
                                                                          {"set", Command::set},
                                                                          {"delete", Command::remove},
                                                                          {"stats", Command::stats},
                                                                          {"version", Command::version}}};
    MemcachedRequest request;
    const auto word = take_while(sent, is_graphic);
    for (const auto& [name, command] : kWords)
        if (word == name) request.command = command;
    if (request.command == Command::get && take_blank(sent)) request.key = take_while(sent, is_graphic);
    return request;
}

}  // namespace

MemcachedRequest MemcachedRequest::parse(std::string_view sent) {
    return sent.size() >= kHeader && sent.front() == '\x80' ? parse_binary(sent) : parse_text(sent);
}

MemcachedReply check_reply(const MemcachedRequest& request, std::string_view received) {
    return request.binary ? check_binary(request, received) : check_text(request, received);
}

}  // namespace recto
