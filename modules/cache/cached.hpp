// cached.hpp - a function whose results are cached by its arguments.
//
//     auto by_author = cached<std::string(std::int64_t)>(cache, "blogs_by_author", 10min, [&](std::int64_t author) { … });
//     by_author(12);               // computed, then from the cache until something it read has changed
//     by_author.invalidate(12);    // this result
//     by_author.invalidate();      // all of them
//
//     by_author.key(12).get(); // what is cached, if it is; .set(text) puts it there, .remove() is by_author.invalidate(12)
//
// What the function reads from the store invalidates its results by itself; cached_as adds tags for what the store can't see.
// Cached functions may call each other. An empty std::optional is not stored. While the thread writes nothing is cached.
//
// One thread of the host computes a result, the others wait for it; or they get the old one, if only its time ran out. When the database
// can't be read the old one is used as long as CacheOptions allows.
//
// A result has two tags, `fn:NAME` and `fn:NAME:HASH`, the hash of its arguments: `recto cache invalidate fn:blogs_by_author` is the
// operator's by_author.invalidate().
//
// Errors:   those of the function; the cache adds none. invalidate() and remove() are writes: DatabaseError.
// Threads:  safe to call from any thread if the function is.
// Limits:   arguments and results are integers, booleans, strings (any bytes), std::optional of those, or what Boost.JSON converts.
//           A name belongs to one function of the program.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cache/cache.hpp"
#include "util/json.hpp"

namespace recto {

struct CachedOptions {
    std::string name;
    std::chrono::milliseconds ttl;       // 0: not cached
    std::vector<std::string> tags = {};  // those of cached_as
    bool one_at_a_time = true;           // the others wait for whoever computes
};

// What doesn't depend on the types: keys, tags, labels, who computes.
class CachedResults {
public:
    using Compute = std::function<std::optional<std::string>()>;  // gives the bytes to store, if any

    // The cache must outlive it.
    CachedResults(Cache& cache, CachedOptions options) : cache_(&cache), options_(std::move(options)) {}

    [[nodiscard]] std::string key(const json::array& arguments) const;
    [[nodiscard]] CacheHit find(std::string_view key) const;
    [[nodiscard]] CacheHit find_in_memory(std::string_view key) const;

    // The entry of the key; null after `compute` was called instead, whose result is the caller's.
    [[nodiscard]] CacheHit obtain(const std::string& key, const Compute& compute) const;

    // Computes and stores. Null: it can't be stored.
    CacheHit fill(const std::string& key, const Compute& compute) const;

    void invalidate_all() const;
    void invalidate_one(const std::string& key) const;

private:
    [[nodiscard]] CacheHit shown(const CacheLookup& lookup) const;
    CacheHit fill_or_old(const std::string& key, const Compute& compute, const CacheLookup& old, Flights::Lead* lead) const;
    CacheHit lead(const std::string& key, const Compute& compute, Flights::Lead lead, const CacheLookup& old) const;
    [[nodiscard]] CacheLookup after(const Flights::Landing& landing, const std::string& key) const;
    [[nodiscard]] std::string tag_of_all() const;
    [[nodiscard]] std::string tag_of_one(const std::string& key) const;

    Cache* cache_;
    CachedOptions options_;
};

// The text is exact also for strings that are not UTF-8.
[[nodiscard]] std::string text_of_json(const json::value& value);
[[nodiscard]] std::optional<json::value> json_of_text(std::string_view text);

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
std::optional<std::string> result_to_bytes(const T& result) {
    if constexpr (kIsOptional<T>) {
        if (!result) return std::nullopt;
    }
    if constexpr (std::is_same_v<T, std::string>)
        return result;
    else
        return text_of_json(json::value_from(result));
}

template <class T>
std::optional<T> result_from_bytes(const std::string& bytes) {
    if constexpr (std::is_same_v<T, std::string>) return bytes;
    const auto value = json_of_text(bytes);
    if (!value) return std::nullopt;
    auto result = json::try_value_to<T>(*value);
    if (!result) return std::nullopt;
    return std::move(*result);
}

template <class Signature>
class CachedFunction;

template <class Result, class... Arguments>
class CachedFunction<Result(Arguments...)> {
public:
    CachedFunction(CachedResults results, std::function<Result(Arguments...)> function)
        : results_(std::move(results)), function_(std::move(function)) {}

    Result operator()(const std::decay_t<Arguments>&... arguments) const {
        const auto key = key_of(arguments...);
        std::optional<Result> result;
        const auto compute = [&] { return result_to_bytes(result.emplace(function_(arguments...))); };
        if (const auto hit = results_.obtain(key, compute))
            if (auto cached = result_from_bytes<Result>(hit->bytes)) return std::move(*cached);
        if (!result) results_.fill(key, compute);  // there were bytes of something else
        return std::move(*result);
    }

    // One result's place in the cache.
    class Key {
    public:
        [[nodiscard]] std::optional<Result> get() const {
            const auto hit = results_.find(key_);
            return hit ? result_from_bytes<Result>(hit->bytes) : std::nullopt;
        }
        // Until it is invalidated or expires; what the function would have read doesn't end it.
        void set(const Result& result) const {
            results_.fill(key_, [&] { return result_to_bytes(result); });
        }
        void remove() const { results_.invalidate_one(key_); }

    private:
        friend class CachedFunction;
        Key(const CachedResults& results, std::string key) : results_(results), key_(std::move(key)) {}
        const CachedResults& results_;
        std::string key_;
    };
    [[nodiscard]] Key key(const std::decay_t<Arguments>&... arguments) const { return Key(results_, key_of(arguments...)); }

    // A result that is in process memory, without a system call; empty: unknown here, call the function.
    [[nodiscard]] std::optional<Result> find_in_memory(const std::decay_t<Arguments>&... arguments) const {
        const auto hit = results_.find_in_memory(key_of(arguments...));
        return hit ? result_from_bytes<Result>(hit->bytes) : std::nullopt;
    }

    void invalidate() const requires(sizeof...(Arguments) > 0) { results_.invalidate_all(); }
    void invalidate(const std::decay_t<Arguments>&... arguments) const { results_.invalidate_one(key_of(arguments...)); }

private:
    [[nodiscard]] std::string key_of(const std::decay_t<Arguments>&... arguments) const {
        json::array all;
        (all.emplace_back(json::value_from(arguments)), ...);
        return results_.key(all);
    }

    CachedResults results_;
    std::function<Result(Arguments...)> function_;
};

// `tags` are known to whoever changes what the store can't see, and are given to Cache::invalidate() then.
template <class Signature>
CachedFunction<Signature> cached_as(Cache& cache, std::string name, std::vector<std::string> tags, std::chrono::milliseconds ttl,
                                    std::function<Signature> function) {
    return {CachedResults(cache, {.name = std::move(name), .ttl = ttl, .tags = std::move(tags)}), std::move(function)};
}

template <class Signature>
CachedFunction<Signature> cached(Cache& cache, std::string name, std::chrono::milliseconds ttl, std::function<Signature> function) {
    return cached_as<Signature>(cache, std::move(name), {}, ttl, std::move(function));
}

}  // namespace recto
