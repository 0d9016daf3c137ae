#include "util/gunzip.hpp"

#include <zlib.h>

#include <array>
#include <new>
#include <utility>

namespace recto {
namespace {

constexpr int kGzipOnly = 16 + MAX_WBITS;
constexpr Bytef kFirstByte = 0x1F;  // RFC 1952 section 2.3.1, ID1
constexpr std::size_t kRoom = 64 << 10;

}  // namespace

struct Gunzip::Stream {
    z_stream z{};
    std::array<char, kRoom> room;

    Stream() {
        if (::inflateInit2(&z, kGzipOnly) != Z_OK) throw std::bad_alloc();
    }
    ~Stream() { ::inflateEnd(&z); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    int unpack() {
        z.next_out = reinterpret_cast<Bytef*>(room.data());
        z.avail_out = kRoom;
        return ::inflate(&z, Z_NO_FLUSH);
    }
    [[nodiscard]] std::string_view unpacked() const { return {room.data(), kRoom - z.avail_out}; }
};

Gunzip::Gunzip(Taker take) : take_(std::move(take)), stream_(std::make_unique<Stream>()) {}
Gunzip::~Gunzip() = default;

void Gunzip::begin_member() {
    ::inflateReset(&stream_->z);
    in_member_ = true;
}

bool Gunzip::feed(std::string_view packed) {
    auto& z = stream_->z;
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    z.avail_in = static_cast<uInt>(packed.size());
    while (problem_.empty() && (z.avail_in > 0 || has_more_)) step();
    return problem_.empty();
}

void Gunzip::step() {
    auto& z = stream_->z;
    // Tapes and copies are filled up with zeros; gzip(1) takes them for nothing.
    if (!in_member_ && has_member_ && *z.next_in == 0) {
        ++z.next_in;
        --z.avail_in;
        return;
    }
    if (!in_member_) begin_member();
    if (z.total_in == 0 && *z.next_in != kFirstByte) {  // zlib would wait for a second one
        problem_ = problem_here();
        return;
    }
    const auto result = stream_->unpack();
    if (const auto bytes = stream_->unpacked(); !bytes.empty()) take_(bytes);
    if (result == Z_MEM_ERROR) throw std::bad_alloc();
    if (result == Z_STREAM_END) {
        in_member_ = false;
        has_member_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {  // the latter: nothing to do without more bytes
        problem_ = problem_here();
    }
    has_more_ = in_member_ && z.avail_out == 0;  // the bytes are read, and what they unpack to had no room
}

std::string_view Gunzip::problem_here() const {
    if (stream_->z.total_out > 0) return "it is damaged";
    return has_member_ ? "something that isn't gzip follows its end" : "it isn't gzip";
}

std::string_view Gunzip::finish() const {
    if (!problem_.empty()) return problem_;
    if (in_member_) return "its end is missing";
    return has_member_ ? "" : "it is empty";
}

}  // namespace recto
