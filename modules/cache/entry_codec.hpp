// entry_codec.hpp - an entry as bytes for memcached, and back.
//
// Every length is checked before it is used, and a keyed checksum (a MAC) covers the rest: cut, flipped, moved to another name, or made by
// one that doesn't know the site's secret (site_secret.hpp) it is no entry.
//
// Errors:   what is not exactly an entry of this format is absent.
// Threads:  pure functions.
// Limits:   a key or tag below 4 GiB. Written by another version of the format: absent.
// Source:   SipHash-2-4 with 128 bits is a MAC (Aumasson and Bernstein, 2012).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.hpp"
#include "util/crypto.hpp"

namespace recto {

// `mac_key` is secret and each item's own.
[[nodiscard]] std::string encode_entry(const CacheEntry& entry, const SipKey& mac_key);
[[nodiscard]] std::optional<CacheEntry> decode_entry(std::string_view item, const SipKey& mac_key);

// The slots of `tags`, in order and each once.
[[nodiscard]] std::vector<Slot> slots_of(const std::vector<std::string>& tags);

}  // namespace recto
