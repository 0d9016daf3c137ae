#include "cache/entry_codec.hpp"

#include <algorithm>
#include <cstring>
#include <ranges>

#include "util/bytes.hpp"

namespace recto {

namespace {

constexpr std::string_view kFormat = "rct2";  // another one for each change of what follows it
constexpr std::size_t kHeader = kFormat.size() + sizeof(Hash128);

std::uint64_t number_of(TimePoint time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

TimePoint read_time(ByteReader& content) {
    return TimePoint(std::chrono::microseconds(static_cast<std::int64_t>(content.number<std::uint64_t>())));
}

std::string_view as_text(const Hash128& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }

// Times that can be added to without overflow.
bool is_plausible(const CacheEntry& entry) {
    constexpr TimePoint begin{}, end{std::chrono::days(365 * 10'000)};
    const auto is_between = [&](TimePoint time) { return begin <= time && time <= end; };
    return is_between(entry.created) && is_between(entry.expires) && is_between(entry.hard_end.value_or(begin)) &&
           entry.cost >= std::chrono::microseconds(0) && entry.cost <= std::chrono::days(1);
}

std::optional<CacheEntry> read_content(ByteReader content) {
    CacheEntry entry;
    entry.epoch = content.number<std::uint64_t>();
    entry.seq = content.number<std::uint64_t>();
    entry.created = read_time(content);
    entry.expires = read_time(content);
    entry.cost = std::chrono::microseconds(static_cast<std::int64_t>(content.number<std::uint64_t>()));
    const bool has_end = content.number<std::uint8_t>() != 0;
    const auto hard_end = read_time(content);
    if (has_end) entry.hard_end = hard_end;
    entry.key = content.text();
    for (auto left = content.number<std::uint32_t>(); left > 0 && !content.failed(); --left) entry.tags.emplace_back(content.text());
    entry.bytes = content.rest();
    if (content.failed() || !is_plausible(entry)) return std::nullopt;
    entry.slots = slots_of(entry.tags);
    return entry;
}

}  // namespace

std::vector<Slot> slots_of(const std::vector<std::string>& tags) {
    std::vector<Slot> slots;
    slots.reserve(tags.size());
    for (const auto& tag : tags) slots.push_back(slot_of(tag));
    std::ranges::sort(slots);
    slots.erase(std::ranges::unique(slots).begin(), slots.end());
    return slots;
}

std::string encode_entry(const CacheEntry& entry, const SipKey& mac_key) {
    std::string item;
    item.reserve(kHeader + 64 + entry.key.size() + entry.tags.size() * 32 + entry.bytes.size());
    item.append(kFormat).append(sizeof(Hash128), '\0');
    ByteWriter content(item);
    content.number(entry.epoch);
    content.number(entry.seq);
    content.number(number_of(entry.created));
    content.number(number_of(entry.expires));
    content.number(static_cast<std::uint64_t>(entry.cost.count()));
    content.number(std::uint8_t{entry.hard_end.has_value()});
    content.number(number_of(entry.hard_end.value_or(TimePoint{})));
    content.text(entry.key);
    content.number(static_cast<std::uint32_t>(entry.tags.size()));
    for (const auto& tag : entry.tags) content.text(tag);
    item.append(entry.bytes);
    const auto mac = sip_hash(std::string_view(item).substr(kHeader), mac_key);
    item.replace(kFormat.size(), mac.size(), as_text(mac));
    return item;
}

std::optional<CacheEntry> decode_entry(std::string_view item, const SipKey& mac_key) {
    if (item.size() < kHeader || !item.starts_with(kFormat)) return std::nullopt;
    const auto content = item.substr(kHeader);
    if (!equal_in_constant_time(item.substr(kFormat.size(), sizeof(Hash128)), as_text(sip_hash(content, mac_key)))) return std::nullopt;
    return read_content(ByteReader(content));
}

}  // namespace recto
