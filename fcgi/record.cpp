#include "fcgi/record.hpp"

#include <algorithm>

#include "util/units.hpp"

namespace recto {
namespace {

constexpr unsigned kVersion = 1;
constexpr unsigned kBegin = 1;
constexpr unsigned kEnd = 3;
constexpr unsigned kParams = 4;
constexpr unsigned kStdin = 5;
constexpr unsigned kStdout = 6;
constexpr unsigned kResponder = 1;
constexpr unsigned kKeepConnection = 1;
constexpr unsigned kUnknownRole = 3;

unsigned byte_at(std::string_view bytes, std::size_t index) { return static_cast<unsigned char>(bytes[index]); }

unsigned two_bytes_at(std::string_view bytes, std::size_t index) { return byte_at(bytes, index) << 8 | byte_at(bytes, index + 1); }

// A name's or a value's length: one byte, or four with the highest bit set. False: cut off.
bool take_length(std::string_view& rest, std::size_t& length) {
    if (rest.empty()) return false;
    length = byte_at(rest, 0);
    const std::size_t width = length < 0x80 ? 1 : 4;
    if (rest.size() < width) return false;
    if (width == 4) length = (length & 0x7f) << 24 | byte_at(rest, 1) << 16 | two_bytes_at(rest, 2);
    rest.remove_prefix(width);
    return true;
}

// CONTENT_LENGTH of the parameters, empty where it is not said; or false: they are not well-formed.
bool find_content_length(std::string_view params, std::optional<std::uint64_t>& content_length) {
    while (!params.empty()) {
        const auto param = take_param(params);
        if (!param) return false;
        if (param->name != "CONTENT_LENGTH" || param->value.empty()) continue;
        const auto length = parse_integer(param->value);
        if (!length || *length < 0) return false;
        const auto said = static_cast<std::uint64_t>(*length);
        if (content_length.value_or(said) != said) return false;  // two of them: which is it?
        content_length = said;
    }
    return true;
}

void put_header(char* out, unsigned type, std::uint16_t id, std::size_t size) {
    out[0] = static_cast<char>(kVersion);
    out[1] = static_cast<char>(type);
    out[2] = static_cast<char>(id >> 8);
    out[3] = static_cast<char>(id & 0xff);
    out[4] = static_cast<char>(size >> 8);
    out[5] = static_cast<char>(size & 0xff);
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
        arrived_.body = rest_;
        if (body()) return finish();
        const bool too_large =
            arrived_.content_length.value_or(0) > kAwaitedBody || arrived_.body.size() > kAwaitedBody || bytes_.size() >= kWindow;
        if (arrived_.state == Arrival::incomplete && too_large) arrived_.state = Arrival::large_body;
    }

    bool begin() {
        if (!take_record(kBegin)) return false;
        if (content_.size() != kHeader || padding_ != 0 || arrived_.id == 0) return verdict(Arrival::malformed);
        if (two_bytes_at(content_, 0) != kResponder) return verdict(Arrival::other_role);
        arrived_.is_kept = (byte_at(content_, 2) & kKeepConnection) != 0;
        return true;
    }

    bool params() {
        for (int records = 0; take_record(kParams); ++records) {
            if (content_.empty())
                return padding_ == 0 && find_content_length(arrived_.params(), arrived_.content_length) ? true : malformed();
            if (records == 0) {
                arrived_.params_of_one_record = content_;
                continue;
            }
            if (records == 1) arrived_.joined_params = arrived_.params_of_one_record;
            arrived_.joined_params += content_;
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

std::optional<Param> take_param(std::string_view& params) {
    std::size_t name_size = 0;
    std::size_t value_size = 0;
    if (!take_length(params, name_size) || !take_length(params, value_size)) return std::nullopt;
    if (name_size > params.size() || value_size > params.size() - name_size) return std::nullopt;
    const Param param{params.substr(0, name_size), params.substr(name_size, value_size)};
    params.remove_prefix(name_size + value_size);
    return param;
}

bool BodyReader::take(std::string_view bytes, std::string& body) {
    while (!bytes.empty() && !at_end_) {
        const auto content = bytes.substr(0, content_left_);
        body += content;
        content_left_ -= content.size();
        bytes.remove_prefix(content.size());
        const auto padding = std::min(bytes.size(), padding_left_);
        padding_left_ -= padding;
        bytes.remove_prefix(padding);
        const auto header = bytes.substr(0, kHeader - header_.size());
        header_ += header;
        bytes.remove_prefix(header.size());
        if (header_.size() == kHeader && !begin_record()) return false;
    }
    more_follows_ = !bytes.empty();
    return true;
}

bool BodyReader::begin_record() {
    const std::string_view header = header_;
    if (byte_at(header, 0) != kVersion || byte_at(header, 1) != kStdin || two_bytes_at(header, 2) != id_) return false;
    content_left_ = two_bytes_at(header, 4);
    padding_left_ = byte_at(header, 6);
    at_end_ = content_left_ == 0;
    header_.clear();
    return !at_end_ || padding_left_ == 0;
}

std::array<char, kHeader> content_header(std::uint16_t id, std::size_t size) {
    std::array<char, kHeader> record{};
    put_header(record.data(), kStdout, id, size);
    return record;
}

// The end of its content, and END_REQUEST: all went well.
std::array<char, 3 * kHeader> end_of_answer(std::uint16_t id) {
    std::array<char, 3 * kHeader> records{};
    put_header(records.data(), kStdout, id, 0);
    put_header(records.data() + kHeader, kEnd, id, kHeader);
    return records;
}

std::array<char, 2 * kHeader> unknown_role_record(std::uint16_t id) {
    std::array<char, 2 * kHeader> record{};
    put_header(record.data(), kEnd, id, kHeader);
    record[kHeader + 4] = static_cast<char>(kUnknownRole);
    return record;
}

}  // namespace recto
