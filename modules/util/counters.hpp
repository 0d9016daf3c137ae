// counters.hpp - numbers that all processes of a host add to and anybody may read: what /metrics and `recto cache stats` show.
//
// They survive every process and end with the machine. The rows are known by their place; a file made for other names has another name,
// so versions of the program with different rows don't meet.
//
// Errors:   open() throws std::system_error when the file can't be made. add() can't fail.
// Threads:  safe to call from any thread of any process that opened the same rows; safe to be killed anywhere.
// Limits:   a sum is read row by row while others add: rows of one moment may differ by what happened in between.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "util/shared_file.hpp"

namespace recto {

class Counters {
public:
    // `folder` is private (make_private_directory).
    [[nodiscard]] static Counters open(const std::filesystem::path& folder, std::span<const std::string> names);

    void add(std::size_t row, std::uint64_t count = 1) noexcept;
    void set(std::size_t row, std::uint64_t value) noexcept;  // of a row that nobody adds to; the last one holds
    [[nodiscard]] std::uint64_t sum(std::size_t row) const;

private:
    // Each thread adds in the stripe it falls into, so that few of them meet on a cache line.
    static constexpr std::size_t kStripes = 16;
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

    Counters(SharedFile file, std::size_t rows);
    [[nodiscard]] Word& word(std::size_t stripe, std::size_t row) const;

    SharedFile file_;
    std::size_t rows_;
    std::size_t stripe_size_;  // in words
};

}  // namespace recto
