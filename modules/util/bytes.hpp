// bytes.hpp - numbers and texts as bytes, and back: what is stored in the cache.
//
// Little-endian, whatever the machine is; a text is its length in 32 bits and its bytes. The reader checks each length before it uses it
// and says once, at the end, whether all that was asked for was there: what it gave before that is zero or empty where it wasn't.
//
// Threads:  plain values. What the reader gives points into its text.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace recto {

class ByteWriter {
public:
    explicit ByteWriter(std::string& out) : out_(out) {}

    void number(std::unsigned_integral auto value) {
        for (std::size_t i = 0; i < sizeof value; ++i) out_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    }
    void text(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        out_.append(value);
    }

private:
    std::string& out_;
};

class ByteReader {
public:
    explicit ByteReader(std::string_view rest) : rest_(rest) {}

    template <std::unsigned_integral T>
    T number() {
        T value = 0;
        const auto bytes = take(sizeof value);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i));
        return value;
    }
    std::string_view text() { return take(number<std::uint32_t>()); }
    std::string_view rest() { return take(rest_.size()); }

    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] bool at_end() const { return rest_.empty() && !failed_; }

private:
    std::string_view take(std::size_t size) {
        failed_ = failed_ || size > rest_.size();
        if (failed_) return {};
        const auto taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace recto
