// gunzip.hpp - a gzip file, unpacked piece by piece: one of any size, and what can be read of one that is damaged.
//
// Errors:   std::bad_alloc. What is wrong with the bytes is what finish() returns.
// Threads:  one per thread.
// Limits:   256 KB, however large the file is.
// Source:   RFC 1952; zlib, because libdeflate (gzip.hpp) unpacks whole members only.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace recto {

class Gunzip {
public:
    using Taker = std::function<void(std::string_view bytes)>;

    explicit Gunzip(Taker take);
    ~Gunzip();
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;

    // The next bytes of the file. What they unpack to is taken at once. False when there is nothing more to read in this file.
    bool feed(std::string_view packed);

    // After the last bytes: empty when the file was one or more whole members, with zeros behind them or nothing; else what is wrong.
    [[nodiscard]] std::string_view finish() const;

private:
    struct Stream;
    void begin_member();
    void step();
    [[nodiscard]] std::string_view problem_here() const;

    Taker take_;
    std::unique_ptr<Stream> stream_;
    bool in_member_ = false;
    bool has_member_ = false;
    bool has_more_ = false;
    std::string_view problem_;
};

}  // namespace recto
