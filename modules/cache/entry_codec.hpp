// entry_codec.hpp - an entry as bytes for memcached, and back.
//
// Every length is checked before it is used, and a checksum keyed by the item's name covers the rest: cut, flipped or moved to another
// name it is no entry. It is no proof against somebody who may write to memcached: who can do that can forge pages.
//
// Errors:   what is not exactly an entry of this format is absent.
// Threads:  pure functions.
// Limits:   a key or tag below 4 GiB. Written by another version of the format: absent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.hpp"
#include "util/crypto.hpp"

namespace recto {

[[nodiscard]] std::string encode_entry(const CacheEntry& entry, const Hash128& name);
[[nodiscard]] std::optional<CacheEntry> decode_entry(std::string_view item, const Hash128& name);

// The slots of `tags`, in order and each once.
[[nodiscard]] std::vector<Slot> slots_of(const std::vector<std::string>& tags);

}  // namespace recto
