// entry_fuzz.cpp - any bytes as an item of memcached: no crash, and what is taken for an entry is one that can be used.
//
// The bytes are taken for a whole item, and for what follows the checksum of one: no fuzzer would guess that.
#include <chrono>
#include <string>
#include <string_view>

#include "cache/entry_codec.hpp"
#include "tests/support/fuzzing.hpp"

namespace recto::entry_fuzz {

inline std::string sealed(std::string_view content, const Hash128& name) {
    const auto checksum = sip_hash(content, name);
    auto item = encode_entry({}, name).substr(0, 4);  // the format
    return item.append(checksum.begin(), checksum.end()).append(content);
}

inline void look_at(std::string_view item, const Hash128& name) {
    const auto entry = decode_entry(item, name);
    if (!entry) return;
    require(entry->key.size() + entry->bytes.size() < item.size(), "there is more in the entry than in its bytes");
    require(entry->slots == slots_of(entry->tags), "the slots are not those of the tags");
    require(entry->expires + std::chrono::days(30) > entry->expires, "a time overflows");  // as the cache does
    require(20 * entry->cost >= entry->cost && entry->hard_end.value_or(entry->created) >= TimePoint(), "a time overflows");
    const auto again = encode_entry(*entry, name);
    const auto decoded = decode_entry(again, name);
    require(decoded && encode_entry(*decoded, name) == again, "it comes back as another");
}

}  // namespace recto::entry_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto name = recto::hash128("name");
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    recto::entry_fuzz::look_at(bytes, name);
    recto::entry_fuzz::look_at(recto::entry_fuzz::sealed(bytes, name), name);
    return 0;
}
