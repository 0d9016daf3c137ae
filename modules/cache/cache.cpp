#include "cache/cache.hpp"

#include <algorithm>
#include <stdexcept>

#include "cache/entry_codec.hpp"
#include "cache/memcached.hpp"
#include "cache/process_memory.hpp"

namespace recto {

namespace {

constexpr std::size_t kMaxPrefix = 200;  // with "raw:" and a hash well below memcached's 250

std::string checked_prefix(const std::string& prefix) {
    const bool printable = std::ranges::all_of(prefix, [](char c) { return c > ' ' && c < 0x7f; });
    if (prefix.size() > kMaxPrefix || !printable)
        throw std::runtime_error("cache prefix: expected at most 200 printable characters without blanks");
    return prefix;
}

bool is_valid(const CacheEntry& entry, std::string_view key, const ChangeClock::Reading& reading, TimePoint now) {
    return entry.epoch == reading.epoch() && entry.key == key && entry.expires > now && reading.is_valid(entry.seq, entry.slots);
}

// A valid entry is as good as the reading that it was checked against, which was taken before.
CacheHit noted(CacheHit hit, const ChangeClock::Reading& reading) {
    note_read(hit->epoch, std::max(hit->seq, reading.synced()), hit->tags);
    if (hit->hard_end) note_hard_end(*hit->hard_end);
    return hit;
}

CacheHit make_entry(std::string_view key, std::string bytes, const Reads& reads, std::chrono::milliseconds ttl, TimePoint now) {
    auto entry = std::make_shared<CacheEntry>();
    entry->key = key;
    entry->epoch = reads.epoch;
    entry->seq = reads.seq;
    entry->tags = reads.tags;
    entry->slots = slots_of(reads.tags);
    entry->created = now;
    entry->expires = std::min(now + ttl, reads.hard_end.value_or(TimePoint::max()));
    entry->hard_end = reads.hard_end;
    entry->bytes = std::move(bytes);
    return entry;
}

}  // namespace

class Cache::State {
public:
    State(const CacheOptions& options, Store& store)
        : store_(store),
          prefix_(checked_prefix(options.prefix)),
          build_(options.build),
          memory_(options.memory),
          memcached_(options.servers, options.timeout) {}

    [[nodiscard]] Store& store() { return store_; }
    [[nodiscard]] Memcached& memcached() { return memcached_; }

    [[nodiscard]] CacheHit from_memory(std::string_view key, const ChangeClock::Reading& reading, TimePoint now) {
        auto hit = memory_.find(key, now);
        if (!hit || !is_valid(*hit, key, reading, now)) return nullptr;
        return noted(std::move(hit), reading);
    }

    [[nodiscard]] CacheHit from_memcached(std::string_view key, const ChangeClock::Reading& reading, TimePoint now) {
        const auto name = name_of(key, reading.epoch());
        const auto item = memcached_.get(prefix_ + hex(name));
        if (!item) return nullptr;
        auto entry = decode_entry(item->view(), name);
        if (!entry || !is_valid(*entry, key, reading, now)) return nullptr;
        CacheHit hit = std::make_shared<const CacheEntry>(std::move(*entry));
        memory_.put(hit, now);
        return noted(std::move(hit), reading);
    }

    void put(const CacheHit& entry, TimePoint now) {
        memory_.put(entry, now);
        const auto name = name_of(entry->key, entry->epoch);
        memcached_.set(prefix_ + hex(name), encode_entry(*entry, name), std::chrono::ceil<std::chrono::milliseconds>(entry->expires - now));
    }

    [[nodiscard]] std::string raw_name(std::string_view key) const { return prefix_ + "raw:" + hex(hash128(key)); }

private:
    // What another build or epoch stored has another name.
    [[nodiscard]] Hash128 name_of(std::string_view key, std::uint64_t epoch) const {
        std::string text = std::to_string(build_.size()) + ':' + build_ + ':' + std::to_string(epoch) + ':';
        return hash128(text.append(key));
    }

    Store& store_;
    const std::string prefix_;
    const std::string build_;
    ProcessMemory memory_;
    Memcached memcached_;
};

Cache::Cache(const CacheOptions& options, Store& store) : state_(std::make_unique<State>(options, store)) {}
Cache::~Cache() = default;

CacheHit Cache::find_in_memory(std::string_view key, TimePoint now) {
    if (is_writing()) return nullptr;
    const auto reading = store().clock().read();
    if (!reading.is_fresh()) return nullptr;
    return state_->from_memory(key, reading, now);
}

CacheHit Cache::find_in_memcached(std::string_view key, TimePoint now) {
    if (is_writing()) return nullptr;
    const auto reading = store().fresh_reading();
    if (!reading) return nullptr;
    return state_->from_memcached(key, *reading, now);
}

CacheHit Cache::find(std::string_view key, TimePoint now) {
    if (is_writing()) return nullptr;
    const auto reading = store().fresh_reading();
    if (!reading) return nullptr;
    if (auto hit = state_->from_memory(key, *reading, now)) return hit;
    return state_->from_memcached(key, *reading, now);
}

void Cache::put(std::string_view key, std::string bytes, const Reads& reads, std::chrono::milliseconds ttl, TimePoint now) {
    if (is_writing() || !reads.storable) return;
    auto entry = make_entry(key, std::move(bytes), reads, ttl, now);
    const auto reading = store().clock().read();
    if (entry->seq > reading.synced()) return;  // this host doesn't know yet what has changed up to there
    if (!is_valid(*entry, key, reading, now)) return;
    state_->put(entry, now);
}

bool Cache::set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl) {
    return state_->memcached().set(state_->raw_name(key), value, ttl);
}

std::optional<std::string> Cache::get(std::string_view key) {
    const auto value = state_->memcached().get(state_->raw_name(key));
    if (!value) return std::nullopt;
    return std::string(value->view());
}

bool Cache::remove(std::string_view key) { return state_->memcached().remove(state_->raw_name(key)); }

void Cache::invalidate(std::string_view tag) {
    auto write = store().write();
    write.touch(tag);
    write.commit();
}

Store& Cache::store() { return state_->store(); }

std::vector<Cache::ServerStats> Cache::server_stats() { return state_->memcached().stats(); }

}  // namespace recto
