#include "cache/cached.hpp"

#include "util/crypto.hpp"

namespace recto {

namespace {

}  // namespace

CachedResults::CachedResults(Cache& cache, std::string name, std::chrono::milliseconds ttl, std::vector<std::string> tags)
    : cache_(&cache), name_(std::move(name)), ttl_(ttl), tags_(std::move(tags)) {}

std::string CachedResults::key(const json::array& arguments) const { return tag_of_all() + text_of_json(arguments); }

CacheHit CachedResults::find(std::string_view key) const { return cache_->find(key, time_now()); }
CacheHit CachedResults::find_in_memory(std::string_view key) const { return cache_->find_in_memory(key, time_now()); }

void CachedResults::fill(const std::string& key, const std::function<std::optional<std::string>()>& compute) const {
    const auto now = time_now();
    const auto reading = cache_->store().fresh_reading();
    if (is_writing() || !reading) {
        note_unstorable();
        compute();
        return;
    }
    // Our own tags are as of the reading: what the function reads outside of the store, it reads later.
    CollectReads collection(reading->epoch(), reading->synced());
    auto tags = tags_;
    tags.push_back(tag_of_all());
    tags.push_back(tag_of_one(key));
    note_read(reading->epoch(), reading->synced(), tags);
    if (auto bytes = compute()) cache_->put(key, std::move(*bytes), collection.reads(), ttl_, now);
}

void CachedResults::invalidate_all() const { cache_->invalidate(tag_of_all()); }
void CachedResults::invalidate_one(const std::string& key) const { cache_->invalidate(tag_of_one(key)); }

std::string CachedResults::tag_of_all() const { return "fn:" + name_; }

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
