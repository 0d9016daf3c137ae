#include "util/gzip.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <new>

namespace recto {
namespace {

constexpr int kLevel = 6;              // zlib's default too: higher ones cost much for little
constexpr std::size_t kWorthIt = 256;  // below, headers outweigh what is saved
constexpr std::size_t kFirstRoom = 64u << 10;

struct FreeCompressor {
    void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
};
struct FreeDecompressor {
    void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

// Empty when it takes more than `room`; no gzip file is.
std::string gzip_into(std::string_view bytes, std::size_t room) {
    const std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor(libdeflate_alloc_compressor(kLevel));
    if (!compressor) throw std::bad_alloc();
    if (room == 0) room = libdeflate_gzip_compress_bound(compressor.get(), bytes.size());
    std::string out(room, '\0');
    out.resize(libdeflate_gzip_compress(compressor.get(), bytes.data(), bytes.size(), out.data(), out.size()));
    return out;
}

}  // namespace

std::string gzip(std::string_view bytes) { return gzip_into(bytes, 0); }

// Room for nine tenths: a result that doesn't fit is one we don't want.
std::string gzip_if_worth_it(std::string_view body) {
    if (body.size() < kWorthIt) return {};
    return gzip_into(body, body.size() - body.size() / 10);
}

std::optional<std::string> gunzip(std::string_view bytes, std::size_t max_bytes) {
    std::string all;
    for (std::string member; !bytes.empty();) {
        const auto taken = gunzip_member(bytes, member, max_bytes - all.size());
        if (!taken) return {};
        bytes.remove_prefix(*taken);
        all += member;
    }
    return all;
}

std::optional<std::size_t> gunzip_member(std::string_view bytes, std::string& out, std::size_t max_bytes) {
    const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(libdeflate_alloc_decompressor());
    if (!decompressor) throw std::bad_alloc();
    out.resize(std::min(max_bytes, std::max(kFirstRoom, out.capacity())));
    for (;;) {
        std::size_t taken = 0, made = 0;
        const auto result =
            libdeflate_gzip_decompress_ex(decompressor.get(), bytes.data(), bytes.size(), out.data(), out.size(), &taken, &made);
        if (result == LIBDEFLATE_SUCCESS) {
            out.resize(made);
            return taken;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE || out.size() >= max_bytes) return {};
        out.resize(std::min(max_bytes, 2 * out.size()));
    }
}

}  // namespace recto
