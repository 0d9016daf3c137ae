#include "cache/entry_codec.hpp"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <ranges>

namespace recto {

namespace {

constexpr std::string_view kFormat = "rct1";  // another one for each change of what follows it
constexpr std::size_t kHeader = kFormat.size() + sizeof(Hash128);

// Little-endian on the wire, whatever the machine is.
class Writer {
public:
    explicit Writer(std::string& out) : out_(out) {}

    void number(std::unsigned_integral auto value) {
        for (std::size_t i = 0; i < sizeof value; ++i) out_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    }
    void time(TimePoint value) { number(static_cast<std::uint64_t>(value.time_since_epoch().count())); }
    void text(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        out_.append(value);
    }

private:
    std::string& out_;
};

// Says once, at the end, whether all that was asked for was there.
class Reader {
public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    template <std::unsigned_integral T>
    T number() {
        T value = 0;
        const auto bytes = take(sizeof value);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[i])) << (8 * i));
        return value;
    }
    TimePoint time() { return TimePoint(std::chrono::microseconds(static_cast<std::int64_t>(number<std::uint64_t>()))); }
    std::string_view text() { return take(number<std::uint32_t>()); }
    std::string_view rest() { return take(rest_.size()); }

    [[nodiscard]] bool failed() const { return failed_; }

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

std::string_view as_text(const Hash128& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }

std::optional<CacheEntry> read_content(Reader content) {
    CacheEntry entry;
    entry.epoch = content.number<std::uint64_t>();
    entry.seq = content.number<std::uint64_t>();
    entry.created = content.time();
    entry.expires = content.time();
    const bool has_end = content.number<std::uint8_t>() != 0;
    const auto hard_end = content.time();
    if (has_end) entry.hard_end = hard_end;
    entry.key = content.text();
    for (auto left = content.number<std::uint32_t>(); left > 0 && !content.failed(); --left) entry.tags.emplace_back(content.text());
    entry.bytes = content.rest();
    if (content.failed()) return std::nullopt;
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

std::string encode_entry(const CacheEntry& entry, const Hash128& name) {
    std::string item;
    item.reserve(kHeader + 64 + entry.key.size() + entry.tags.size() * 32 + entry.bytes.size());
    item.append(kFormat).append(sizeof(Hash128), '\0');
    Writer content(item);
    content.number(entry.epoch);
    content.number(entry.seq);
    content.time(entry.created);
    content.time(entry.expires);
    content.number(std::uint8_t{entry.hard_end.has_value()});
    content.time(entry.hard_end.value_or(TimePoint{}));
    content.text(entry.key);
    content.number(static_cast<std::uint32_t>(entry.tags.size()));
    for (const auto& tag : entry.tags) content.text(tag);
    item.append(entry.bytes);
    const auto checksum = sip_hash(std::string_view(item).substr(kHeader), name);
    item.replace(kFormat.size(), checksum.size(), as_text(checksum));
    return item;
}

std::optional<CacheEntry> decode_entry(std::string_view item, const Hash128& name) {
    if (item.size() < kHeader || !item.starts_with(kFormat)) return std::nullopt;
    const auto content = item.substr(kHeader);
    if (item.substr(kFormat.size(), sizeof(Hash128)) != as_text(sip_hash(content, name))) return std::nullopt;
    return read_content(Reader(content));
}

}  // namespace recto
