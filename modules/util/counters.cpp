#include "util/counters.hpp"

#include <cassert>
#include <utility>

#include <pthread.h>

#include "util/crypto.hpp"
#include "util/file.hpp"

namespace recto {
namespace {

constexpr std::size_t kCacheLine = 64;

std::size_t whole_cache_lines(std::size_t words) {
    constexpr auto words_of_a_line = kCacheLine / sizeof(std::uint64_t);
    return (words + words_of_a_line - 1) / words_of_a_line * words_of_a_line;
}

std::string file_name(std::span<const std::string> names) {
    std::string all;
    for (const auto& name : names) all += name + '\n';
    return "recto.counters." + hex(hash128(all)).substr(0, 16);
}

// Threads have their stacks far apart, so the high bits of a product tell them apart (Knuth, multiplicative hashing).
std::size_t stripe_of_this_thread(std::size_t stripes) {
    return static_cast<std::size_t>((static_cast<std::uint64_t>(::pthread_self()) >> 12) * 0x9e3779b97f4a7c15u >> 32) % stripes;
}

}  // namespace

Counters Counters::open(const std::filesystem::path& folder, std::span<const std::string> names) {
    const auto path = folder / file_name(names);
    const auto size = kStripes * whole_cache_lines(names.size()) * sizeof(Word);
    const auto lock = FileLock::wait(folder / ".recto.counters.lock", FileLock::Mode::exclusive);
    auto file = SharedFile::attach(path);
    if (!file || file->bytes().size() != size) file = SharedFile::create(path, size, [](std::span<std::byte>) {});  // zeros are a start
    return {std::move(*file), names.size()};
}

Counters::Counters(SharedFile file, std::size_t rows) : file_(std::move(file)), rows_(rows), stripe_size_(whole_cache_lines(rows)) {}

Counters::Word& Counters::word(std::size_t stripe, std::size_t row) const {
    assert(row < rows_);
    return reinterpret_cast<Word*>(file_.bytes().data())[stripe * stripe_size_ + row];
}

void Counters::add(std::size_t row, std::uint64_t count) noexcept {
    word(stripe_of_this_thread(kStripes), row).fetch_add(count, std::memory_order_relaxed);
}

// In one stripe only, so that sum() gives the value back. Most often it is what stands there: no other processor loses its cache line.
void Counters::set(std::size_t row, std::uint64_t value) noexcept {
    auto& place = word(0, row);
    if (place.load(std::memory_order_relaxed) != value) place.store(value, std::memory_order_relaxed);
}

std::uint64_t Counters::sum(std::size_t row) const {
    std::uint64_t total = 0;
    for (std::size_t stripe = 0; stripe < kStripes; ++stripe) total += word(stripe, row).load(std::memory_order_relaxed);
    return total;
}

}  // namespace recto
