#include "fcgi/gzip.hpp"

#include <libdeflate.h>

#include <memory>
#include <new>

namespace recto {
namespace {

constexpr int kLevel = 6;              // zlib's default too: higher ones cost much for little
constexpr std::size_t kWorthIt = 256;  // below, headers outweigh what is saved

struct FreeCompressor {
    void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
};

}  // namespace

// Room for nine tenths: a result that doesn't fit is one we don't want.
std::string gzip_if_worth_it(std::string_view body) {
    if (body.size() < kWorthIt) return {};
    const std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor(libdeflate_alloc_compressor(kLevel));
    if (!compressor) throw std::bad_alloc();
    std::string out(body.size() - body.size() / 10, '\0');
    out.resize(libdeflate_gzip_compress(compressor.get(), body.data(), body.size(), out.data(), out.size()));
    return out;
}

}  // namespace recto
