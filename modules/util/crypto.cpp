#include "util/crypto.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <boost/uuid/uuid.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <sodium.h>

namespace recto {
namespace {

void ensure_sodium() {
    static const bool ready = sodium_init() >= 0;
    if (!ready) throw std::runtime_error("libsodium could not be initialised: no source of random bytes");
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

template <class Hash>
Hash blake2b(std::string_view text) {
    Hash out;
    crypto_generichash(out.data(), out.size(), bytes_of(text), text.size(), nullptr, 0);
    return out;
}

}  // namespace

void random_bytes(std::span<std::uint8_t> out) {
    ensure_sodium();
    randombytes_buf(out.data(), out.size());
}

std::uint64_t random_number() {
    std::uint64_t number = 0;
    ensure_sodium();
    randombytes_buf(&number, sizeof number);
    return number;
}

Hash128 hash128(std::string_view text) { return blake2b<Hash128>(text); }
Hash256 hash256(std::string_view text) { return blake2b<Hash256>(text); }

Hash256 keyed_hash256(std::string_view text, const Hash256& key) {
    Hash256 out;
    crypto_generichash(out.data(), out.size(), bytes_of(text), text.size(), key.data(), key.size());
    return out;
}

Hash128 sip_hash(std::string_view text, const SipKey& key) {
    Hash128 out;
    static_assert(crypto_shorthash_siphashx24_BYTES == sizeof(Hash128) && crypto_shorthash_siphashx24_KEYBYTES == sizeof(SipKey));
    crypto_shorthash_siphashx24(out.data(), bytes_of(text), text.size(), key.data());
    return out;
}

std::string hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 0xF];
    }
    return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_uuid() {
    boost::uuids::uuid uuid{};
    random_bytes({uuid.data, sizeof uuid.data});
    uuid.data[6] = static_cast<std::uint8_t>((uuid.data[6] & 0x0F) | 0x40);  // version 4
    uuid.data[8] = static_cast<std::uint8_t>((uuid.data[8] & 0x3F) | 0x80);  // RFC 9562 variant
    return boost::uuids::to_string(uuid);
}

}  // namespace recto
