// crypto.hpp - libsodium's random bytes, hashes and comparison.
//
// Errors:   none once initialised; a machine where libsodium can't start ends the program with a sentence (std::runtime_error).
// Threads:  safe to call from any thread.
// Source:   BLAKE2b is RFC 7693; SipHash-2-4 is Aumasson and Bernstein, 2012.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace recto {

using Hash128 = std::array<std::uint8_t, 16>;
using Hash256 = std::array<std::uint8_t, 32>;
using SipKey = std::array<std::uint8_t, 16>;

void random_bytes(std::span<std::uint8_t> out);
[[nodiscard]] std::uint64_t random_number();

[[nodiscard]] Hash128 hash128(std::string_view bytes);                            // BLAKE2b
[[nodiscard]] Hash256 hash256(std::string_view bytes);                            // BLAKE2b
[[nodiscard]] Hash256 keyed_hash256(std::string_view bytes, const Hash256& key);  // BLAKE2b with a key: only who has it can compute it

// SipHash-2-4 with 128 bits of output: cheap, and nobody without the key can aim at a value.
[[nodiscard]] Hash128 sip_hash(std::string_view bytes, const SipKey& key);

[[nodiscard]] std::string hex(std::span<const std::uint8_t> bytes);
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

// A random (version 4) UUID, RFC 9562 section 5.4: 8-4-4-4-12 hexadecimal digits.
[[nodiscard]] std::string random_uuid();

}  // namespace recto
