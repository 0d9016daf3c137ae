#include "fcgi/record.hpp"

#include "util/units.hpp"

namespace recto {
namespace {

constexpr std::size_t kHeader = 8;
constexpr unsigned kVersion = 1;
constexpr unsigned kBegin = 1;
constexpr unsigned kEnd = 3;
constexpr unsigned kParams = 4;
constexpr unsigned kStdin = 5;
constexpr unsigned kResponder = 1;
constexpr unsigned kUnknownRole = 3;

unsigned byte_at(std::string_view bytes, std::size_t index) { return static_cast<unsigned char>(bytes[index]); }

unsigned two_bytes_at(std::string_view bytes, std::size_t index) { return byte_at(bytes, index) << 8 | byte_at(bytes, index + 1); }

// A name's or a value's length: one byte, or four with the highest bit set. Nothing: cut off.
std::optional<std::size_t> take_length(std::string_view& rest) {
    if (rest.empty()) return std::nullopt;
    const auto first = byte_at(rest, 0);
    const std::size_t width = first < 0x80 ? 1 : 4;
    if (rest.size() < width) return std::nullopt;
    const std::size_t length = width == 1 ? first : (first & 0x7f) << 24 | byte_at(rest, 1) << 16 | two_bytes_at(rest, 2);
    rest.remove_prefix(width);
    return length;
}

// CONTENT_LENGTH of the parameters, empty where it is not said; or false: they are not well-formed.
bool find_content_length(std::string_view params, std::optional<std::uint64_t>& content_length) {
    while (!params.empty()) {
        const auto name_size = take_length(params);
        const auto value_size = take_length(params);
        if (!name_size || !value_size || *name_size > params.size() || *value_size > params.size() - *name_size) return false;
        const auto name = params.substr(0, *name_size);
        const auto value = params.substr(*name_size, *value_size);
        params.remove_prefix(*name_size + *value_size);
        if (name != "CONTENT_LENGTH" || value.empty()) continue;
        const auto length = parse_integer(value);
        if (!length || *length < 0) return false;
        content_length = static_cast<std::uint64_t>(*length);
    }
    return true;
}

class Look {
public:
    explicit Look(std::string_view bytes) : bytes_(bytes), rest_(bytes) {}

    Arrived result() {
        look();
        return arrived_;
    }

private:
    // Each step says whether to go on; if not, arrived_ has the verdict (incomplete unless it says otherwise).
    void look() {
        if (!begin() || !params()) return;
        const auto body_begin = bytes_.size() - rest_.size();
        if (body()) return finish();
        const bool too_large =
            arrived_.content_length.value_or(0) > kAwaitedBody || bytes_.size() - body_begin > kAwaitedBody || bytes_.size() >= kWindow;
        if (arrived_.state == Arrival::incomplete && too_large) arrived_.state = Arrival::large_body;
    }

    bool begin() {
        if (!take_record(kBegin)) return false;
        if (content_.size() != kHeader || padding_ != 0 || arrived_.id == 0) return verdict(Arrival::malformed);
        if (two_bytes_at(content_, 0) != kResponder) return verdict(Arrival::other_role);
        return true;
    }

    bool params() {
        std::string joined;
        std::string_view all;
        for (int records = 0; take_record(kParams); ++records) {
            if (content_.empty()) return padding_ == 0 && find_content_length(all, arrived_.content_length) ? true : malformed();
            if (records == 0) {
                all = content_;  // the usual case: one record, nothing copied
                continue;
            }
            if (records == 1) joined = all;
            all = joined += content_;
        }
        return bytes_.size() >= kWindow ? malformed() : false;
    }

    bool body() {
        while (take_record(kStdin))
            if (content_.empty()) return padding_ == 0 ? true : malformed();
        return false;
    }

    void finish() {
        arrived_.state = Arrival::complete;
        arrived_.more_follows = !rest_.empty();
    }

    // The next record's content, if all of it is there.
    bool take_record(unsigned type) {
        if (rest_.size() < kHeader) return !rest_.empty() && byte_at(rest_, 0) != kVersion ? malformed() : false;
        const auto id = static_cast<std::uint16_t>(two_bytes_at(rest_, 2));
        if (type == kBegin) arrived_.id = id;
        if (byte_at(rest_, 0) != kVersion || byte_at(rest_, 1) != type || id != arrived_.id) return malformed();
        const std::size_t length = two_bytes_at(rest_, 4);
        padding_ = byte_at(rest_, 6);
        if (rest_.size() < kHeader + length + padding_) return false;
        content_ = rest_.substr(kHeader, length);
        rest_.remove_prefix(kHeader + length + padding_);
        return true;
    }

    bool malformed() { return verdict(Arrival::malformed); }
    bool verdict(Arrival state) {
        arrived_.state = state;
        return false;
    }

    std::string_view bytes_;
    std::string_view rest_;
    std::string_view content_;
    std::size_t padding_ = 0;
    Arrived arrived_;
};

}  // namespace

Arrived look_at_request(std::string_view bytes) { return Look(bytes).result(); }

std::string unknown_role_record(std::uint16_t id) {
    std::string record(kHeader + kHeader, '\0');
    record[0] = static_cast<char>(kVersion);
    record[1] = static_cast<char>(kEnd);
    record[2] = static_cast<char>(id >> 8);
    record[3] = static_cast<char>(id & 0xff);
    record[5] = static_cast<char>(kHeader);
    record[kHeader + 4] = static_cast<char>(kUnknownRole);
    return record;
}

}  // namespace recto
