#include "cache/cached.hpp"

#include "util/crypto.hpp"

namespace recto {

namespace {

constexpr int kWaits = 2;  // for others, before one computes by himself

}  // namespace

std::string CachedResults::key(const json::array& arguments) const { return tag_of_all() + text_of_json(arguments); }

CacheHit CachedResults::find(std::string_view key) const { return cache_->find(key, time_now()); }
CacheHit CachedResults::find_in_memory(std::string_view key) const { return cache_->find_in_memory(key, time_now()); }

CacheHit CachedResults::obtain(const std::string& key, const Compute& compute) const {
    if (options_.ttl.count() == 0) return compute(), nullptr;
    auto found = cache_->look(key, time_now());
    for (int waits = 0;; ++waits) {
        if (found.state == CacheLookup::State::fresh || found.state == CacheLookup::State::unverified) return shown(found);
        if (!options_.one_at_a_time || is_writing() || waits == kWaits) return fill_or_old(key, compute, found, nullptr);
        if (found.may_be_shown_meanwhile()) {
            auto joined = cache_->flights().join(key, nullptr);
            return joined.lead ? lead(key, compute, std::move(*joined.lead), found) : shown(found);
        }
        auto landing = cache_->flights().join_and_wait(key);
        if (auto* own = std::get_if<Flights::Lead>(&landing)) return lead(key, compute, std::move(*own), found);
        found = after(std::get<Flights::Landing>(landing), key);
        if (found.is_fresh()) cache_->count(CacheEvent::collapsed);
    }
}

CacheHit CachedResults::shown(const CacheLookup& lookup) const {
    if (!lookup.is_fresh()) cache_->count(CacheEvent::stale);
    return used(lookup);
}

// Somebody may have landed after we looked and before we led.
CacheHit CachedResults::lead(const std::string& key, const Compute& compute, Flights::Lead lead, const CacheLookup& old) const {
    const auto found = cache_->look_further(key, time_now());
    if (!found.is_fresh() || !found.is_newer_than(old)) return fill_or_old(key, compute, found, &lead);
    lead.land(found.entry);
    return shown(found);
}

CacheHit CachedResults::fill_or_old(const std::string& key, const Compute& compute, const CacheLookup& old, Flights::Lead* lead) const {
    try {
        const auto made = fill(key, compute);
        if (lead != nullptr) lead->land(made);
        return nullptr;
    } catch (const DatabaseError&) {
        cache_->count(CacheEvent::error);
        if (!old.may_be_shown_on_error()) throw;
        note_unstorable();  // what is made from it must not live on as if nothing had happened
        return shown(old);
    }
}

CacheLookup CachedResults::after(const Flights::Landing& landing, const std::string& key) const {
    if (const auto* made = std::get_if<Flights::Made>(&landing)) return cache_->judge(made->entry, key, time_now());
    if (std::holds_alternative<Flights::LookAgain>(landing)) return cache_->look(key, time_now());
    return {};
}

CacheHit CachedResults::fill(const std::string& key, const Compute& compute) const {
    const auto begun = time_now();
    const auto reading = cache_->store().fresh_reading();
    if (is_writing() || !reading) {
        note_unstorable();
        compute();
        return nullptr;
    }
    // Our own tags are as of the reading: what the function reads outside of the store, it reads later.
    CollectReads collection(reading->epoch(), reading->synced());
    auto tags = options_.tags;
    tags.push_back(tag_of_all());
    tags.push_back(tag_of_one(key));
    note_read(reading->epoch(), reading->synced(), tags);
    auto bytes = compute();
    if (!bytes) return nullptr;
    return cache_->put(
        {.key = key, .bytes = std::move(*bytes), .reads = collection.reads(), .ttl = options_.ttl, .begun = begun, .ended = time_now()});
}

void CachedResults::invalidate_all() const { cache_->invalidate(tag_of_all()); }
void CachedResults::invalidate_one(const std::string& key) const { cache_->invalidate(tag_of_one(key)); }

std::string CachedResults::tag_of_all() const { return "fn:" + options_.name; }

// A hash, because arguments may be long, and what is invalidated stays in the table of changes.
std::string CachedResults::tag_of_one(const std::string& key) const { return tag_of_all() + ':' + hex(hash128(key)); }

std::string text_of_json(const json::value& value) { return json::serialize(value); }

std::optional<json::value> json_of_text(std::string_view text) {
    json::parse_options any_bytes;
    any_bytes.allow_invalid_utf8 = true;
    json::error_code error;
    auto value = json::parse(text, error, {}, any_bytes);
    if (error) return std::nullopt;
    return value;
}

}  // namespace recto
