#include "cache/cache.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <stdexcept>
#include <tuple>

#include "cache/entry_codec.hpp"
#include "cache/memcached.hpp"
#include "cache/process_memory.hpp"
#include "cache/site_secret.hpp"
#include "log/log.hpp"
#include "util/context.hpp"
#include "util/counters.hpp"

namespace recto {

namespace {

using State = CacheLookup::State;

constexpr std::size_t kMaxPrefix = 200;          // with "raw:" and a hash well below memcached's 250
constexpr std::size_t kItemOverhead = 512;       // memcached's limit counts its own header and the key
constexpr std::chrono::seconds kClocksApart{2};  // of the hosts of one site

constexpr std::array<std::string_view, kCacheEvents> kEventNames{"memory_hit",     "memory_miss",       "memory_invalid", "memcached_hit",
                                                                 "memcached_miss", "memcached_invalid", "stale",          "collapsed",
                                                                 "stored",         "too_large",         "error"};

std::string checked_prefix(const std::string& prefix) {
    const bool printable = std::ranges::all_of(prefix, [](char c) { return c > ' ' && c < 0x7f; });
    if (prefix.size() > kMaxPrefix || !printable)
        throw std::runtime_error("cache prefix: expected at most 200 printable characters without blanks");
    return prefix;
}

std::vector<std::string> rows_of(std::vector<std::string> subjects) {
    subjects.emplace_back("functions");
    std::vector<std::string> rows;
    for (const auto& subject : subjects)
        for (const auto event : kEventNames) rows.push_back(subject + ' ' + std::string(event));
    return rows;
}

Counters open_counters(const CacheOptions& options) {
    make_private_directory(options.runtime_dir);
    return Counters::open(options.runtime_dir, rows_of(options.subjects));
}

// Nothing without servers: then no entry leaves the process.
std::optional<Hash256> secret_of(const CacheOptions& options) {
    if (options.servers.empty()) return std::nullopt;
    try {
        return site_secret(options.secret_file.empty() ? options.runtime_dir / "recto.cache.secret" : options.secret_file);
    } catch (const std::runtime_error& error) {
        log_event("cache.no_secret", {{"error", error.what()}, {"memcached", "not used"}}, "recto.cache", Level::warning);
        return std::nullopt;
    }
}

// What is stored under a key, and how it is known to be ours. One hash with the secret makes both, so that the one, which memcached sees,
// says nothing about the other.
struct ItemName {
    Hash128 name;
    SipKey mac_key;
};

ItemName item_name(std::string_view text, const Hash256& secret) {
    const auto hash = keyed_hash256(text, secret);
    ItemName item;
    std::ranges::copy_n(hash.begin(), item.name.size(), item.name.begin());
    std::ranges::copy_n(hash.begin() + item.name.size(), item.mac_key.size(), item.mac_key.begin());
    return item;
}

// The nearer the end and the dearer the making, the likelier: with many who ask one of them comes just in time (XFetch, beta = 1).
bool should_be_made_early(const CacheEntry& entry, TimePoint now) {
    constexpr int kUnlikely = 20;  // -ln(random) is above it once in 5e8
    const auto left = entry.expires - now;
    if (left > kUnlikely * entry.cost) return false;
    thread_local std::minstd_rand random(std::random_device{}());
    const auto uniform = std::uniform_real_distribution<double>(1e-9, 1.0)(random);
    return static_cast<double>(left.count()) <= static_cast<double>(entry.cost.count()) * -std::log(uniform);
}

CacheEvent event_of(State state, bool in_memory) {
    if (state <= State::aging) return in_memory ? CacheEvent::memory_hit : CacheEvent::memcached_hit;
    if (state == State::changed) return in_memory ? CacheEvent::memory_invalid : CacheEvent::memcached_invalid;
    return in_memory ? CacheEvent::memory_miss : CacheEvent::memcached_miss;
}

CacheHit make_entry(Cache::Computed&& computed) {
    const auto& reads = computed.reads;
    auto entry = std::make_shared<CacheEntry>();
    entry->key = computed.key;
    entry->epoch = reads.epoch;
    entry->seq = reads.seq;
    entry->tags = reads.tags;
    entry->slots = slots_of(reads.tags);
    entry->created = computed.begun;
    entry->expires = std::min(std::max(computed.begun, computed.ended) + computed.ttl, reads.hard_end.value_or(TimePoint::max()));
    entry->hard_end = reads.hard_end;
    entry->cost = std::max(computed.ended - computed.begun, TimePoint::duration(0));
    entry->bytes = std::move(computed.bytes);
    return entry;
}

}  // namespace

std::string_view to_text(CacheEvent event) { return kEventNames.at(static_cast<std::size_t>(event)); }

// A valid entry is as good as the reading that it was checked against, which was taken before.
CacheHit used(const CacheLookup& lookup) {
    const auto& entry = *lookup.entry;
    note_read(entry.epoch, std::max(entry.seq, lookup.synced), entry.tags);
    if (entry.hard_end) note_hard_end(*entry.hard_end);
    if (lookup.state == State::unverified) note_unstorable();
    return lookup.entry;
}

// When something is looked at, and by what it is judged. Whether the clock was fresh is asked once: a lease may end while one looks.
struct Cache::Look {
    ChangeClock::Reading clock;
    bool is_fresh;
    TimePoint now;
};

class Cache::State {
public:
    State(const CacheOptions& options, Store& store)
        : store_(store),
          prefix_(checked_prefix(options.prefix)),
          build_(options.build),
          max_item_(options.max_item.bytes),
          stale_while_revalidate_(options.stale_while_revalidate),
          stale_if_error_(options.stale_if_error),
          subjects_(options.subjects.size()),
          memory_(options.memory),
          counters_(open_counters(options)),
          secret_(secret_of(options)),
          memcached_(secret_ ? options.servers : std::vector<std::string>(), options.timeout, {options.user, options.password},
                     options.retry),
          flights_({.lock_file = options.runtime_dir / ".recto.cache.lock", .patience = options.patience}) {}

    [[nodiscard]] Store& store() { return store_; }
    [[nodiscard]] Memcached& memcached() { return memcached_; }
    [[nodiscard]] Flights& flights() { return flights_; }

    [[nodiscard]] CacheLookup from_memory(std::string_view key, const Look& look) {
        auto lookup = judged(memory_.find(key, look.now), key, look);
        lookup.in_memory = true;
        return lookup;
    }

    [[nodiscard]] std::optional<CacheEntry> stored(std::string_view key, std::uint64_t epoch) {
        if (!secret_) return std::nullopt;
        const auto name = name_of(key, epoch);
        const auto item = memcached_.get(prefix_ + hex(name.name));
        return item ? decode_entry(item->view(), name.mac_key) : std::nullopt;
    }

    [[nodiscard]] CacheLookup from_memcached(std::string_view key, const Look& look) {
        auto entry = stored(key, look.clock.epoch());
        if (!entry) return {};
        auto lookup = judged(std::make_shared<const CacheEntry>(std::move(*entry)), key, look);
        if (lookup.entry) memory_.put(lookup.entry, look.now);
        return lookup;
    }

    // What has changed, or belongs to another key, is not given out; nor what was made later than now, by a clock that ran ahead.
    [[nodiscard]] CacheLookup judged(CacheHit entry, std::string_view key, const Look& look) const {
        if (!entry || entry->key != key) return {};
        const bool is_over = entry->hard_end && *entry->hard_end <= look.now;
        const bool is_of_tomorrow = entry->created > look.now + kClocksApart;
        if (is_over || is_of_tomorrow || entry->epoch != look.clock.epoch() || !look.clock.is_valid(entry->seq, entry->slots))
            return {.state = recto::State::changed, .in_memory = false, .synced = 0, .entry = nullptr};
        const auto state = state_of(*entry, look);
        if (state == recto::State::absent) return {};
        return {.state = state, .in_memory = false, .synced = look.clock.synced(), .entry = std::move(entry)};
    }

    CacheHit put(CacheHit entry, TimePoint now, Subject subject, Reach reach) {
        memory_.put(entry, now);
        count(CacheEvent::stored, subject);
        if (reach == Reach::process || !secret_) return entry;
        const auto name = name_of(entry->key, entry->epoch);
        const auto item = encode_entry(*entry, name.mac_key);
        if (item.size() + kItemOverhead > max_item_)
            count(CacheEvent::too_large, subject);
        else
            memcached_.set(prefix_ + hex(name.name), item, std::chrono::ceil<std::chrono::milliseconds>(last_use(*entry) - now));
        return entry;
    }

    void count(CacheEvent event, Subject subject) noexcept { counters_.add(row(event, subject)); }
    [[nodiscard]] std::uint64_t counted(CacheEvent event, Subject subject) const { return counters_.sum(row(event, subject)); }

    [[nodiscard]] std::string raw_name(std::string_view key) const { return prefix_ + "raw:" + hex(hash128(key)); }

private:
    [[nodiscard]] recto::State state_of(const CacheEntry& entry, const Look& look) const {
        const auto now = look.now;
        const bool is_kept = now < entry.expires + stale_if_error_;
        if (!look.is_fresh) return is_kept && look.clock.age() < stale_if_error_ ? recto::State::unverified : recto::State::absent;
        if (now < entry.expires) return should_be_made_early(entry, now) ? recto::State::aging : recto::State::fresh;
        if (now < entry.expires + stale_while_revalidate_) return recto::State::expired;
        return is_kept ? recto::State::kept_for_errors : recto::State::absent;
    }

    [[nodiscard]] TimePoint last_use(const CacheEntry& entry) const {
        const auto kept = entry.expires + std::max(stale_while_revalidate_, stale_if_error_);
        return std::min(kept, entry.hard_end.value_or(kept));
    }

    // What another build or epoch stored has another name.
    [[nodiscard]] ItemName name_of(std::string_view key, std::uint64_t epoch) const {
        std::string text = std::to_string(build_.size()) + ':' + build_ + ':' + std::to_string(epoch) + ':';
        return item_name(text.append(key), *secret_);
    }

    // The functions' rows are the last.
    [[nodiscard]] std::size_t row(CacheEvent event, Subject subject) const {
        return std::min(subject, subjects_) * kCacheEvents + static_cast<std::size_t>(event);
    }

    Store& store_;
    const std::string prefix_;
    const std::string build_;
    const std::uint64_t max_item_;
    const std::chrono::milliseconds stale_while_revalidate_;
    const std::chrono::milliseconds stale_if_error_;
    const std::size_t subjects_;
    ProcessMemory memory_;
    Counters counters_;  // makes the folder for what follows
    const std::optional<Hash256> secret_;
    Memcached memcached_;
    Flights flights_;
};

Cache::Cache(const CacheOptions& options, Store& store) : state_(std::make_unique<State>(options, store)) {}
Cache::~Cache() = default;

// Without a recent look at the database nothing is known here: a thread that may wait looks.
CacheLookup Cache::look_in_memory(std::string_view key, TimePoint now, Subject subject) {
    if (is_writing()) return {};
    const auto clock = store().clock().read();
    auto lookup = clock.is_recent() ? state_->from_memory(key, {clock, true, now}) : CacheLookup{};
    count(event_of(lookup.state, true), subject);
    return lookup;
}

CacheLookup Cache::look_in_memcached(std::string_view key, TimePoint now, Subject subject) {
    if (is_writing()) return {};
    const PhaseScope scope(Phase::cache);
    auto lookup = state_->from_memcached(key, look_of_who_may_wait(now));
    count(event_of(lookup.state, false), subject);
    return lookup;
}

// Another thread or process may have made one since memory was looked at.
CacheLookup Cache::look_further(std::string_view key, TimePoint now, Subject subject) {
    if (is_writing()) return {};
    auto here = state_->from_memory(key, look_of_who_may_wait(now));
    if (here.state == recto::State::fresh) {
        count(CacheEvent::memory_hit, subject);
        return here;
    }
    auto there = look_in_memcached(key, now, subject);
    return there.state <= here.state ? there : here;
}

CacheLookup Cache::look(std::string_view key, TimePoint now, Subject subject) {
    auto lookup = look_in_memory(key, now, subject);
    return lookup.state == recto::State::fresh ? lookup : look_further(key, now, subject);
}

std::optional<CacheEntry> Cache::stored_in_memcached(std::string_view key) { return state_->stored(key, store().clock().read().epoch()); }

CacheLookup Cache::judge(const CacheHit& entry, std::string_view key, TimePoint now) {
    if (is_writing()) return {};
    const auto look = look_of_who_may_wait(now);
    return look.is_fresh ? state_->judged(entry, key, look) : CacheLookup{};
}

CacheHit Cache::put(Computed computed, Subject subject) {
    if (is_writing() || !computed.reads.storable) return nullptr;
    const PhaseScope scope(Phase::cache);
    const auto [begun, ended, reach] = std::tuple(computed.begun, std::max(computed.begun, computed.ended), computed.reach);
    auto entry = make_entry(std::move(computed));
    const auto clock = store().clock().read();
    if (entry->seq > clock.synced()) return nullptr;  // this host doesn't know yet what has changed up to there
    if (entry->expires <= ended || !state_->judged(entry, entry->key, {clock, true, ended}).entry) return nullptr;
    return state_->put(std::move(entry), ended, subject, reach);
}

Flights& Cache::flights() { return state_->flights(); }

void Cache::count(CacheEvent event, Subject subject) noexcept { state_->count(event, subject); }
std::uint64_t Cache::counted(CacheEvent event, Subject subject) const { return state_->counted(event, subject); }

bool Cache::set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl) {
    const PhaseScope scope(Phase::cache);
    return state_->memcached().set(state_->raw_name(key), value, ttl);
}

std::optional<std::string> Cache::get(std::string_view key) {
    const PhaseScope scope(Phase::cache);
    const auto value = state_->memcached().get(state_->raw_name(key));
    if (!value) return std::nullopt;
    return std::string(value->view());
}

bool Cache::remove(std::string_view key) {
    const PhaseScope scope(Phase::cache);
    return state_->memcached().remove(state_->raw_name(key));
}

// A table's name stands for its finer tags too.
void Cache::invalidate(std::string_view tag) {
    auto write = store().write();
    write.touch(tag);
    if (tag.find(':') == std::string_view::npos) write.touch(tag_of_all_finer(tag));
    write.commit();
}

void Cache::flush() {
    const auto source = store().change_source();
    source->renew_epoch(source->changes_since(store().clock().read().synced()).epoch);
    store().clock().sync(*source);
}

// Not fresh: the database can't be read.
Cache::Look Cache::look_of_who_may_wait(TimePoint now) {
    const auto clock = store().fresh_reading();
    return {clock.value_or(store().clock().read()), clock.has_value(), now};
}

Store& Cache::store() { return state_->store(); }

std::vector<Cache::ServerStats> Cache::server_stats() { return state_->memcached().stats(); }

}  // namespace recto
