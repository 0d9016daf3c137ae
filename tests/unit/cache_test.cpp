#define BOOST_TEST_MODULE cache
#include "cache/cache.hpp"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <random>
#include <thread>

#include "cache/entry_codec.hpp"
#include "cache/process_memory.hpp"
#include "cache/site_secret.hpp"
#include "log/log.hpp"
#include "tests/fuzz/entry_fuzz.cpp"
#include "tests/support/database_shell.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/lease_keeper.hpp"
#include "tests/support/memcached_server.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint kNow{std::chrono::days(20'000)};

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // they make system calls of their own
#else
constexpr bool kSanitized = false;
#endif

const StoreOptions& migrated(const StoreOptions& options) {
    migrate(options);
    return options;
}

CacheHit put(Cache& cache, std::string_view key, std::string bytes, const Reads& reads, std::chrono::milliseconds ttl = 60s) {
    return cache.put({.key = key, .bytes = std::move(bytes), .reads = reads, .ttl = ttl, .begun = kNow, .ended = kNow});
}

// A database with one post, and memcached: what a cache stands on.
struct Site {
    TemporaryFolder folder;
    MemcachedServer server{folder / "m"};
    StoreOptions store_options{.file = folder / "recto.db", .runtime_dir = folder / "run"};
    Store store = Store::open(migrated(store_options));
    CacheOptions cache_options{.servers = {server.address()}, .runtime_dir = folder / "run", .timeout = 5000ms, .build = "build 1"};
    Cache cache{cache_options, store};
    std::optional<LeaseKeeper> keeper{std::in_place, store.clock()};

    Site() {
        auto write = store.write();
        write.insert("INSERT INTO post (slug, title, body, created_at, updated_at) VALUES ('first', 'old title', '', 0, 0)");
        write.commit();
    }

    void retitle(std::string_view title) {
        auto write = store.write();
        write.execute("UPDATE post SET title = ? WHERE id = 1", {title});
        write.commit();
    }

    std::string title() {
        auto snapshot = store.read();
        auto rows = snapshot.query("SELECT title FROM post WHERE id = 1", {}, {"post:id=1"});
        return rows.next() ? std::string(rows.text(0)) : "";
    }

    // Stores what `compute` gives, as a view would.
    void fill(Cache& into, std::string_view key, const std::function<std::string()>& compute, std::chrono::milliseconds ttl = 60s) {
        const auto reading = store.fresh_reading();
        BOOST_REQUIRE(reading);
        const CollectReads collected(reading->epoch(), reading->synced());
        auto bytes = compute();
        put(into, key, std::move(bytes), collected.reads(), ttl);
    }
    void fill_title(std::string_view key = "title") {
        fill(cache, key, [this] { return title(); });
    }
};

// On no other level.
CacheHit in_memcached(Cache& cache, std::string_view key, TimePoint now) {
    const auto lookup = cache.look_in_memcached(key, now);
    return lookup.is_fresh() ? used(lookup) : nullptr;
}

const std::function<CacheHit(Cache&, std::string_view, TimePoint)> kFinders[] = {
    [](Cache& cache, std::string_view key, TimePoint now) { return cache.find_in_memory(key, now); },
    in_memcached,
    [](Cache& cache, std::string_view key, TimePoint now) { return cache.find(key, now); },
};

Reads reads_of(std::uint64_t epoch, std::uint64_t seq) {
    Reads reads;
    reads.epoch = epoch;
    reads.seq = seq;
    return reads;
}

std::filesystem::path secret_file(const Site& site) { return site.folder / "run" / "recto.cache.secret"; }

// Of the item that memcached has under `name`, computed as the header of the cache says, and not by its code.
SipKey mac_key_of(Site& site, const std::string& key, const std::string& name) {
    const auto secret = site_secret(secret_file(site));
    const auto text = "7:build 1:" + std::to_string(site.store.clock().read().epoch()) + ':' + key;
    const auto hash = keyed_hash256(text, secret);
    BOOST_REQUIRE(name == "recto:" + hex(std::span(hash).first(16)));
    SipKey mac_key;
    std::copy(hash.begin() + 16, hash.end(), mac_key.begin());
    return mac_key;
}

std::string only_name(const Site& site) {
    const auto dumped = site.server.keys();
    BOOST_REQUIRE(dumped.size() == 1u);
    return "recto:" + dumped[0].substr(std::string_view("recto%3A").size());
}

std::string text(const CacheHit& hit) { return hit ? hit->bytes : "(absent)"; }

CacheEntry some_entry() {
    CacheEntry entry{.key = "GET /api/blogs?author_id=12",
                     .epoch = 0x0123456789abcdef,
                     .seq = 42,
                     .tags = {"post:author=12", "user:id=12"},
                     .slots = {},
                     .created = kNow,
                     .expires = kNow + 60s,
                     .hard_end = kNow + 3600s,
                     .cost = 1234us,
                     .bytes = std::string("status 200\r\n\0body", 17)};
    entry.slots = slots_of(entry.tags);
    return entry;
}

bool same(const CacheEntry& a, const CacheEntry& b) {
    return a.key == b.key && a.epoch == b.epoch && a.seq == b.seq && a.tags == b.tags && a.slots == b.slots && a.created == b.created &&
           a.expires == b.expires && a.hard_end == b.hard_end && a.cost == b.cost && a.bytes == b.bytes;
}

CacheHit entry_of(std::string key, std::size_t size) {
    CacheEntry entry;
    entry.key = std::move(key);
    entry.bytes = std::string(size, 'b');
    return std::make_shared<const CacheEntry>(std::move(entry));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(an_entry_comes_back_as_it_was) {
    const auto name = hash128("name");
    auto entry = some_entry();
    const std::function<void()> variants[] = {[] {},
                                              [&] { entry.hard_end.reset(); },
                                              [&] { entry.bytes.clear(); },
                                              [&] { entry.bytes = std::string(2'000'000, 'x'); },
                                              [&] { entry.tags.clear(), entry.slots.clear(); },
                                              [&] { entry.key = std::string("\0\r\n \xff", 5); },
                                              [&] { entry.created = entry.expires = TimePoint(1us); },
                                              [&] { entry.seq = entry.epoch = ~std::uint64_t{0}; }};
    for (const auto& vary : variants) {
        vary();
        const auto back = decode_entry(encode_entry(entry, name), name);
        BOOST_REQUIRE(back);
        BOOST_TEST(same(*back, entry));
    }
}

BOOST_AUTO_TEST_CASE(a_damaged_item_is_no_entry) {
    const auto name = hash128("name");
    const auto entry = some_entry();
    const auto item = encode_entry(entry, name);
    std::mt19937 random(20'260'101);
    const auto at = [&](const std::string& text) { return random() % (text.size() + 1); };
    int entries = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto damaged = item;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) switch (random() % 5) {
                case 0:
                    damaged.resize(at(damaged));
                    break;
                case 1:
                    damaged.insert(at(damaged), 1 + random() % 9, static_cast<char>(random()));
                    break;
                case 2:
                    damaged.erase(at(damaged), 1 + random() % 9);
                    break;
                case 3:
                    if (!damaged.empty()) damaged[random() % damaged.size()] = static_cast<char>(random());
                    break;
                default:
                    if (!damaged.empty()) damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
                    break;
            }
        const auto decoded = decode_entry(damaged, name);
        if (!decoded) continue;
        ++entries;
        BOOST_REQUIRE(damaged == item);
        BOOST_REQUIRE(same(*decoded, entry));
    }
    BOOST_TEST(entries < 2'000);  // changes that undo each other, or write what was there
}

// The checksum is right here, so it is the lengths that must be checked.
BOOST_AUTO_TEST_CASE(lengths_beyond_the_end_are_no_entry_even_if_the_checksum_is_right) {
    const auto name = hash128("name");
    const auto item = encode_entry(some_entry(), name);
    constexpr std::size_t header = 4 + sizeof(Hash128);
    const auto sealed = [&](std::string content) {
        const auto checksum = sip_hash(content, name);
        return item.substr(0, 4) + std::string(checksum.begin(), checksum.end()) + content;
    };
    BOOST_REQUIRE(decode_entry(sealed(item.substr(header)), name));
    const std::size_t key_length = 8 + 8 + 8 + 8 + 8 + 1 + 8;
    const std::size_t tag_count = key_length + 4 + some_entry().key.size();
    for (const auto place : {key_length, tag_count, tag_count + 4})
        for (const auto* length : {"\xff\xff\xff\xff", "\xff\xff\xff\x7f", "\x00\x10\x00\x00"}) BOOST_TEST_CONTEXT(place) {
                auto content = item.substr(header);
                content.replace(place, 4, std::string(length, 4));
                BOOST_TEST(!decode_entry(sealed(content), name));
            }
    for (std::size_t size = 0; size < tag_count + 4; ++size) BOOST_TEST(!decode_entry(sealed(item.substr(header, size)), name));
}

BOOST_AUTO_TEST_CASE(times_that_cannot_be_added_to_are_no_entry) {
    const auto name = hash128("name");
    const auto taken_if = [&](const std::function<void(CacheEntry&)>& change) {
        auto entry = some_entry();
        change(entry);
        return decode_entry(encode_entry(entry, name), name).has_value();
    };
    BOOST_TEST(taken_if([](auto&) {}));
    BOOST_TEST(!taken_if([](auto& e) { e.expires = TimePoint::max(); }));
    BOOST_TEST(!taken_if([](auto& e) { e.created = TimePoint(-1us); }));
    BOOST_TEST(!taken_if([](auto& e) { e.hard_end = TimePoint::min(); }));
    BOOST_TEST(!taken_if([](auto& e) { e.cost = -1us; }));
    BOOST_TEST(!taken_if([](auto& e) { e.cost = std::chrono::microseconds::max(); }));
}

BOOST_AUTO_TEST_CASE(an_item_of_another_name_or_format_is_no_entry) {
    auto item = encode_entry(some_entry(), hash128("name"));
    BOOST_TEST(!decode_entry(item, hash128("other")));
    item[3] = '1';
    BOOST_TEST(!decode_entry(item, hash128("name")));
}

BOOST_AUTO_TEST_CASE(any_bytes_are_an_entry_that_can_be_used_or_none) {
    BOOST_TEST(replay(LLVMFuzzerTestOneInput, "tests/fuzz/seeds/entry", 20'000) > 20'000u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(process_memory)

BOOST_AUTO_TEST_CASE(the_least_recently_used_leaves_first) {
    ProcessMemory memory(Size{801'000});  // 64 entries and a half, in whatever shards they are
    const auto key = [](int i) { return "key" + std::to_string(i); };
    auto time = kNow;
    const auto put = [&](int i) { memory.put(entry_of(key(i), 12'000), time += 1us); };
    const auto found = [&](int i) { return memory.find(key(i), time += 1us) != nullptr; };
    for (int i = 0; i < 64; ++i) put(i);
    for (int i = 0; i < 32; ++i) BOOST_TEST(found(i));
    for (int i = 64; i < 96; ++i) put(i);
    for (int i = 0; i < 96; ++i) BOOST_TEST(found(i) == (i < 32 || i >= 64), i);
}

BOOST_AUTO_TEST_CASE(its_bytes_stay_within_the_limit) {
    constexpr std::uint64_t limit = 200'000;
    ProcessMemory memory(Size{limit});
    std::mt19937 random(1);
    for (int i = 0; i < 3'000; ++i) {
        memory.put(entry_of("key" + std::to_string(random() % 500), random() % 9'000), kNow + i * 1us);
        BOOST_REQUIRE(memory.used().bytes <= limit);
    }
    BOOST_TEST(memory.used().bytes > limit / 2);
    std::uint64_t found = 0;
    for (int i = 0; i < 500; ++i)
        if (const auto hit = memory.find("key" + std::to_string(i), kNow)) found += hit->bytes.size();
    BOOST_TEST(found < limit);
    BOOST_TEST(found > limit / 2);
}

BOOST_AUTO_TEST_CASE(small_entries_count_with_what_they_cost) {
    ProcessMemory memory(Size{100'000});
    for (int i = 0; i < 1'000; ++i) memory.put(entry_of(std::to_string(i), 1), kNow + i * 1us);
    int kept = 0;
    for (int i = 0; i < 1'000; ++i) kept += memory.find(std::to_string(i), kNow) != nullptr;
    BOOST_TEST(kept > 100);
    BOOST_TEST(kept < 300);
}

BOOST_AUTO_TEST_CASE(an_entry_larger_than_all_is_not_kept_and_one_of_the_same_key_is_replaced) {
    ProcessMemory memory(Size{10'000});
    memory.put(entry_of("small", 100), kNow);
    memory.put(entry_of("large", 10'000), kNow);
    BOOST_TEST(!memory.find("large", kNow));
    BOOST_TEST(memory.find("small", kNow));
    const auto used = memory.used().bytes;
    for (int i = 0; i < 100; ++i) memory.put(entry_of("small", 100), kNow);
    BOOST_TEST(memory.used().bytes == used);
    ProcessMemory none(Size{0});
    none.put(entry_of("small", 1), kNow);
    BOOST_TEST(!none.find("small", kNow));
}

BOOST_AUTO_TEST_CASE(threads_share_it) {
    ProcessMemory memory(Size{100'000});
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (unsigned seed = 0; seed < 4; ++seed)
        threads.emplace_back([&, seed] {
            std::mt19937 random(seed);
            for (int i = 0; i < 20'000; ++i) {
                const auto key = "key" + std::to_string(random() % 100);
                if (const auto hit = memory.find(key, kNow + i * 1us); hit && hit->key != key) ++wrong;
                if (random() % 4 == 0) memory.put(entry_of(key, random() % 4'000), kNow + i * 1us);
            }
        });
    for (auto& thread : threads) thread.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(memory.used().bytes <= 100'000u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(entries)

BOOST_AUTO_TEST_CASE(what_was_put_is_found_on_both_levels) {
    Site site;
    BOOST_TEST(text(site.cache.find("title", kNow)) == "(absent)");
    site.fill_title();
    BOOST_TEST(text(site.cache.find_in_memory("title", kNow)) == "old title");
    BOOST_TEST(text(in_memcached(site.cache, "title", kNow)) == "old title");

    Cache other_process(site.cache_options, site.store);
    BOOST_TEST(text(other_process.find_in_memory("title", kNow)) == "(absent)");
    BOOST_TEST(text(other_process.find("title", kNow)) == "old title");
    BOOST_TEST(text(other_process.find_in_memory("title", kNow)) == "old title");  // found in memcached, kept here
}

// In a process that the kernel kills for any system call but a read, a write or its end.
BOOST_AUTO_TEST_CASE(a_hit_in_process_memory_makes_no_system_call, *boost::unit_test::enable_if<!kSanitized>()) {
    Site site;
    site.fill_title();
    const auto look = [&] { return site.cache.look_in_memory("title", kNow).is_fresh(); };
    const auto child = ::fork();
    if (child == 0) {
        bool found = look();  // the first one may need memory
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        for (int i = 0; i < 1'000; ++i) found = found && look();
        ::syscall(SYS_exit, found ? 0 : 1);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(a_change_of_what_was_read_invalidates_both_levels_at_once) {
    Site site;
    Cache other_process(site.cache_options, site.store);
    for (int round = 0; round < 20; ++round) {
        site.fill_title();
        BOOST_REQUIRE(site.cache.find_in_memory("title", kNow));
        BOOST_REQUIRE(other_process.find("title", kNow));
        site.retitle("title " + std::to_string(round));
        BOOST_TEST(!site.cache.find_in_memory("title", kNow));
        BOOST_TEST(!in_memcached(site.cache, "title", kNow));
        BOOST_TEST(!other_process.find("title", kNow));
    }
}

BOOST_AUTO_TEST_CASE(a_change_of_something_else_invalidates_nothing) {
    Site site;
    site.fill_title();
    auto write = site.store.write();
    write.insert("INSERT INTO user (name, slug, created_at) VALUES ('Ann', 'ann', 0)");
    write.commit();
    BOOST_TEST(site.cache.find_in_memory("title", kNow));
    BOOST_TEST(in_memcached(site.cache, "title", kNow));
}

BOOST_AUTO_TEST_CASE(a_tag_is_invalidated_by_name) {
    Site site;
    site.fill_title("one");
    site.fill(site.cache, "two", [&] {
        note_read(site.store.clock().read().epoch(), site.store.clock().read().synced(), std::vector<std::string>{"weather"});
        return "rain";
    });
    site.cache.invalidate("weather");
    BOOST_TEST(site.cache.find("one", kNow));
    BOOST_TEST(!site.cache.find("two", kNow));
    site.cache.invalidate("post:id=1");
    BOOST_TEST(!site.cache.find("one", kNow));
}

BOOST_AUTO_TEST_CASE(what_changed_before_it_was_stored_is_not_stored) {
    Site site;
    site.fill(site.cache, "title", [&] {
        auto title = site.title();
        site.retitle("new title");
        return title;
    });
    BOOST_TEST(!site.cache.find("title", kNow));
    BOOST_TEST(site.server.keys().empty());
}

BOOST_AUTO_TEST_CASE(an_entry_expires_at_its_time_to_live_or_hard_end) {
    Site site;
    const auto put = [&](std::optional<TimePoint> end) {
        site.fill(site.cache, "key", [&] {
            if (end) note_hard_end(*end);
            return "value";
        });
    };
    const std::pair<std::optional<TimePoint>, TimePoint> cases[] = {
        {std::nullopt, kNow + 60s}, {kNow + 10s, kNow + 10s}, {kNow + 90s, kNow + 60s}};
    for (const auto& [end, expires] : cases) {
        put(end);
        BOOST_TEST(site.cache.find_in_memory("key", expires - 1us));
        BOOST_TEST(!site.cache.find_in_memory("key", expires));
        BOOST_TEST(in_memcached(site.cache, "key", expires - 1us));
        BOOST_TEST(!in_memcached(site.cache, "key", expires));
        BOOST_TEST((site.cache.find("key", kNow)->expires == expires));
    }
    site.server.flush();
    site.cache.invalidate("nothing");
    Cache empty(site.cache_options, site.store);
    site.fill(empty, "late", [&] { return note_hard_end(kNow), "value"; });
    site.fill(
        empty, "never", [] { return "value"; }, 0ms);
    BOOST_TEST(!empty.find("late", kNow - 1s));
    BOOST_TEST(!empty.find("never", kNow - 1s));
}

BOOST_AUTO_TEST_CASE(a_hit_tells_the_enclosing_collection_what_it_was_made_from) {
    Site site;
    site.fill(site.cache, "inner", [&] { return note_hard_end(kNow + 10s), site.title(); });
    site.cache.invalidate("something else");  // the clock goes on, the entry stays valid
    const auto label = site.store.clock().read().synced();
    for (const auto& find : kFinders) {
        const CollectReads collected(0, 0);
        const auto hit = find(site.cache, "inner", kNow);
        BOOST_REQUIRE(hit);
        BOOST_TEST(hit->seq < label);
        const auto reads = collected.reads();
        BOOST_TEST(reads.epoch == site.store.clock().read().epoch());
        BOOST_TEST(reads.seq == label);
        BOOST_TEST(reads.tags == hit->tags, boost::test_tools::per_element());
        BOOST_TEST((reads.hard_end == kNow + 10s));
        BOOST_TEST(reads.storable);
    }
}

BOOST_AUTO_TEST_CASE(a_miss_tells_nothing) {
    Site site;
    site.fill_title();
    site.retitle("new title");
    const CollectReads collected(7, 8);
    BOOST_TEST(!site.cache.find("title", kNow));
    BOOST_TEST(!site.cache.find("unknown", kNow));
    BOOST_TEST(collected.reads().tags.empty());
    BOOST_TEST(collected.reads().seq == 8u);
}

BOOST_AUTO_TEST_CASE(nothing_is_found_or_stored_while_the_thread_writes) {
    Site site;
    site.fill_title();
    {
        auto write = site.store.write();
        for (const auto& find : kFinders) BOOST_TEST(!find(site.cache, "title", kNow));
        const auto reading = site.store.clock().read();
        put(site.cache, "written", "value", reads_of(reading.epoch(), reading.synced()));
    }
    BOOST_TEST(site.cache.find("title", kNow));
    BOOST_TEST(!site.cache.find("written", kNow));
}

BOOST_AUTO_TEST_CASE(what_is_of_another_epoch_too_new_or_not_storable_is_not_stored) {
    Site site;
    const auto reading = site.store.clock().read();
    auto unstorable = reads_of(reading.epoch(), reading.synced());
    unstorable.storable = false;
    const Reads wrong[] = {reads_of(reading.epoch() + 1, reading.synced()), reads_of(reading.epoch(), reading.synced() + 1), unstorable};
    for (const auto& reads : wrong) put(site.cache, "key", "value", reads);
    BOOST_TEST(!site.cache.find("key", kNow));
    BOOST_TEST(site.server.keys().empty());
    put(site.cache, "key", "value", reads_of(reading.epoch(), reading.synced()));
    BOOST_TEST(site.cache.find("key", kNow));
}

BOOST_AUTO_TEST_CASE(a_new_epoch_knows_no_old_entry) {
    Site site;
    site.fill_title();
    const auto source = site.store.change_source();
    source->renew_epoch(site.store.clock().read().epoch());
    site.store.clock().sync(*source);
    BOOST_TEST(!site.cache.find_in_memory("title", kNow));
    BOOST_TEST(!in_memcached(site.cache, "title", kNow));
    site.fill_title();
    BOOST_TEST(site.cache.find_in_memory("title", kNow));
}

BOOST_AUTO_TEST_CASE(another_build_or_prefix_shares_nothing) {
    Site site;
    site.fill_title();
    auto other_build = site.cache_options, other_prefix = site.cache_options;
    other_build.build = "build 2";
    other_prefix.prefix = "other:";
    BOOST_TEST(!Cache(other_build, site.store).find("title", kNow));
    BOOST_TEST(!Cache(other_prefix, site.store).find("title", kNow));
    BOOST_TEST(Cache(site.cache_options, site.store).find("title", kNow));
}

BOOST_AUTO_TEST_CASE(a_lease_that_ran_out_is_renewed_by_whoever_may_wait) {
    Site site;
    site.fill_title();
    site.keeper.reset();
    BOOST_REQUIRE(site.store.clock().renew_lease(LeaseClock::now() - ChangeClock::kLease - 1s));
    BOOST_TEST(!site.cache.find_in_memory("title", kNow));
    BOOST_TEST(site.cache.find("title", kNow));
    BOOST_TEST(site.cache.find_in_memory("title", kNow));
}

// As after a pause of all processes, before their followers have looked.
BOOST_AUTO_TEST_CASE(a_look_at_the_database_older_than_100_ms_is_made_anew_before_a_hit) {
    for (const bool was_changed : {false, true}) BOOST_TEST_CONTEXT(was_changed) {
            Site site;
            site.fill_title();
            BOOST_TEST(site.cache.find_in_memory("title", kNow));
            site.keeper.reset();
            if (was_changed) DatabaseShell(site.store_options.file).run("UPDATE post SET title = 'by a shell'");
            BOOST_REQUIRE(site.store.clock().renew_lease(LeaseClock::now() - ChangeClock::kRecent - 50ms));
            BOOST_TEST(!site.cache.find_in_memory("title", kNow));
            BOOST_TEST(site.cache.look_further("title", kNow).is_fresh() == !was_changed);
            BOOST_TEST(site.store.clock().read().is_recent());
        }
}

BOOST_AUTO_TEST_CASE(a_waiter_s_result_is_judged_by_a_recent_look) {
    Site site;
    site.fill_title();
    const auto hit = site.cache.find_in_memory("title", kNow);
    BOOST_REQUIRE(hit);
    site.keeper.reset();
    DatabaseShell(site.store_options.file).run("UPDATE post SET title = 'by a shell'");
    BOOST_REQUIRE(site.store.clock().renew_lease(LeaseClock::now() - ChangeClock::kRecent - 50ms));
    BOOST_TEST(!site.cache.judge(hit, "title", kNow).is_fresh());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(servers)

BOOST_AUTO_TEST_CASE(keys_may_be_any_bytes) {
    Site site;
    const std::string keys[] = {"",
                                " ",
                                "\r\n",
                                std::string("a\0b", 3),
                                std::string("a\0c", 3),
                                "\r\nset injected 0 0 1\r\n1\r\n",
                                "\xff\xfe",
                                "a b c",
                                std::string(100'000, 'k'),
                                std::string(100'000, 'k') + "2"};
    for (const auto& key : keys) {
        site.fill(site.cache, key, [&] { return "entry " + key; });
        BOOST_TEST(site.cache.set(key, "raw " + key, 60s));
    }
    Cache other_process(site.cache_options, site.store);
    for (const auto& key : keys) BOOST_TEST_CONTEXT(key.substr(0, 40)) {
            BOOST_TEST((text(other_process.find(key, kNow)) == "entry " + key));
            BOOST_TEST((other_process.get(key) == "raw " + key));
        }
    const auto names = site.server.keys();
    BOOST_TEST(names.size() == 2 * std::size(keys));
    for (const auto& name : names) BOOST_TEST(name.starts_with("recto%3A"));  // as the dump writes a colon
}

BOOST_AUTO_TEST_CASE(what_lies_under_our_name_is_used_only_if_it_is_the_entry) {
    Site site;
    site.fill_title("title");
    const auto name = only_name(site);
    const auto item = site.server.value(name);
    const auto found_with = [&](std::string_view lie) {
        site.server.put(name, lie);
        Cache other_process(site.cache_options, site.store);
        return text(other_process.find("title", kNow));
    };
    BOOST_TEST(found_with(item) == "old title");
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        auto damaged = item;
        damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
        BOOST_TEST(found_with(damaged) == "(absent)");
    }
    for (const auto size : {0u, 1u, 19u, 20u, 21u}) BOOST_TEST(found_with(item.substr(0, size)) == "(absent)");

    // Sealed as we would do it, with the secret.
    const auto key = mac_key_of(site, "title", name);
    auto entry = decode_entry(item, key);
    BOOST_REQUIRE(entry);
    const auto found_if = [&](const std::function<void(CacheEntry&)>& change) {
        auto changed = *entry;
        change(changed);
        return found_with(encode_entry(changed, key));
    };
    BOOST_TEST(found_if([](auto&) {}) == "old title");
    BOOST_TEST(found_if([](auto& e) { e.key = "another"; }) == "(absent)");  // as if two keys had one hash
    BOOST_TEST(found_if([](auto& e) { ++e.epoch; }) == "(absent)");
    BOOST_TEST(found_if([](auto& e) { e.expires = kNow; }) == "(absent)");
    BOOST_TEST(found_if([](auto& e) { e.seq = ~std::uint64_t{0}; }) == "(absent)");
    site.retitle("new title");
    BOOST_TEST(found_with(item) == "(absent)");  // a node that comes back with old data
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_is_missed_and_used_again_when_it_is_back) {
    Site site;
    site.fill_title();
    BOOST_REQUIRE(site.cache.set("raw", "value", 60s));
    site.server.kill();
    BOOST_TEST(!site.cache.get("raw"));
    BOOST_TEST(!site.cache.set("raw", "value", 60s));
    BOOST_TEST(!site.cache.remove("raw"));
    BOOST_TEST(!in_memcached(site.cache, "title", kNow));
    BOOST_TEST(text(site.cache.find("title", kNow)) == "old title");  // of process memory
    site.retitle("new title");
    BOOST_TEST(!site.cache.find("title", kNow));
    site.fill_title();
    BOOST_TEST(text(site.cache.find("title", kNow)) == "new title");
    BOOST_TEST(!site.cache.server_stats().at(0).reachable);

    site.server.restart();
    BOOST_TEST(site.cache.server_stats().at(0).reachable);
    const auto back = std::chrono::steady_clock::now() + 2s;
    while (!in_memcached(site.cache, "title", kNow) && std::chrono::steady_clock::now() < back) site.fill_title();
    BOOST_TEST(text(in_memcached(site.cache, "title", kNow)) == "new title");
}

BOOST_AUTO_TEST_CASE(a_flushed_server_is_a_miss) {
    Site site;
    site.fill_title();
    site.server.flush();
    BOOST_TEST(!in_memcached(site.cache, "title", kNow));
    BOOST_TEST(site.cache.find("title", kNow));
}

BOOST_AUTO_TEST_CASE(what_is_too_large_for_memcached_stays_in_process_memory) {
    Site site;
    site.fill(site.cache, "large", [] { return std::string(2'000'000, 'x'); });
    BOOST_TEST(!in_memcached(site.cache, "large", kNow));
    BOOST_TEST(site.cache.find_in_memory("large", kNow));
    site.fill_title();
    BOOST_TEST(in_memcached(site.cache, "title", kNow));
}

BOOST_AUTO_TEST_CASE(raw_items_are_what_was_set_and_know_no_clock) {
    Site site;
    auto other_build = site.cache_options;
    other_build.build = "build 2";
    Cache other_host(other_build, site.store);
    BOOST_TEST(!site.cache.get("key"));
    BOOST_TEST(site.cache.set("key", std::string("a\0\r\n", 4), 60s));
    BOOST_TEST((other_host.get("key") == std::string("a\0\r\n", 4)));
    BOOST_TEST(site.cache.set("key", "", 60s));
    BOOST_TEST((other_host.get("key") == ""));
    BOOST_TEST(!site.cache.find("key", kNow));
    BOOST_TEST(other_host.remove("key"));
    BOOST_TEST(!site.cache.remove("key"));
    BOOST_TEST(!site.cache.get("key"));
    BOOST_TEST(!site.cache.set("key", "value", 0ms));
}

BOOST_AUTO_TEST_CASE(a_prefix_that_would_break_the_protocol_is_refused_at_the_start) {
    Site site;
    for (const auto& prefix : {std::string("two words"), std::string("line\r\n"), std::string("\x80"), std::string(201, 'p')}) {
        auto options = site.cache_options;
        options.prefix = prefix;
        BOOST_CHECK_THROW(Cache(options, site.store), std::runtime_error);
    }
    for (const auto& prefix : {std::string(), std::string(200, 'p')}) {
        auto options = site.cache_options;
        options.prefix = prefix;
        Cache cache(options, site.store);
        BOOST_TEST(cache.set("key", "value", 60s));
        BOOST_TEST((cache.get("key") == "value"));
    }
}

// Whoever reads after an acknowledged write sees it or something newer, whatever level answers.
BOOST_AUTO_TEST_CASE(readers_never_see_older_than_acknowledged_while_a_writer_writes) {
    Site site;
    Cache other_process(site.cache_options, site.store);
    site.retitle("0");
    std::atomic<int> acknowledged = 0, older = 0, hits = 0;
    std::atomic<bool> ending = false;
    std::vector<std::thread> readers;
    for (int thread = 0; thread < 3; ++thread)
        readers.emplace_back([&, thread] {
            auto& cache = thread == 0 ? other_process : site.cache;
            while (!ending) {
                const int at_least = acknowledged;
                const auto hit = thread == 1 ? in_memcached(cache, "title", kNow) : cache.find("title", kNow);
                if (hit) {
                    ++hits;
                    if (std::stoi(hit->bytes) < at_least) ++older;
                    continue;
                }
                const auto reading = site.store.fresh_reading();
                if (!reading) continue;
                const CollectReads collected(reading->epoch(), reading->synced());
                auto title = site.title();
                put(cache, "title", std::move(title), collected.reads());
            }
        });
    for (int version = 1; version <= 150; ++version) {
        site.retitle(std::to_string(version));
        acknowledged = version;
        std::this_thread::sleep_for(3ms);
    }
    ending = true;
    for (auto& reader : readers) reader.join();
    BOOST_TEST(older == 0);
    BOOST_TEST(hits > 150);
}

BOOST_AUTO_TEST_CASE(a_table_s_name_invalidates_what_was_read_under_its_finer_tags) {
    Site site;
    site.fill_title();
    site.cache.invalidate("user");
    BOOST_TEST(site.cache.find("title", kNow));
    site.cache.invalidate("post");
    for (const auto& find : kFinders) BOOST_TEST(!find(site.cache, "title", kNow));
}

BOOST_AUTO_TEST_CASE(a_flush_ends_all_entries_and_leaves_raw_items) {
    Site site;
    Cache other_process(site.cache_options, site.store);
    site.fill_title();
    site.fill(site.cache, "constant", [] { return "of nothing in the database"; });
    BOOST_REQUIRE(other_process.find("title", kNow));
    site.cache.set("raw", "item", 60s);
    other_process.flush();
    for (const auto* key : {"title", "constant"})
        for (const auto& find : kFinders) BOOST_TEST(!find(site.cache, key, kNow));
    BOOST_TEST(!other_process.find("title", kNow));
    BOOST_TEST(site.cache.get("raw").value_or("") == "item");
    site.fill_title();
    BOOST_TEST(site.cache.find("title", kNow));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(secret)

// By one that may read and write memcached, and knows the program: it has the name, the old key of the checksum.
BOOST_AUTO_TEST_CASE(an_entry_cannot_be_forged_with_what_memcached_shows) {
    Site site;
    site.fill(site.cache, "token", [] { return "user43"; });
    const auto name = only_name(site);
    auto item = site.server.value(name);
    const auto place = item.find("user43");
    BOOST_REQUIRE(place != std::string::npos);
    item.replace(place, 6, "user01");
    Hash128 hash{};
    for (std::size_t i = 0; i < hash.size(); ++i)
        hash[i] = static_cast<std::uint8_t>(std::stoi(name.substr(std::string_view("recto:").size() + 2 * i, 2), nullptr, 16));
    constexpr std::size_t format = 4, header = format + sizeof(Hash128);
    const SipKey zero{};
    for (const auto& key : {hash, zero, hash128("token"), hash128(name)}) {
        const auto checksum = sip_hash(std::string_view(item).substr(header), key);
        item.replace(format, checksum.size(), std::string(checksum.begin(), checksum.end()));
        site.server.put(name, item);
        Cache other_process(site.cache_options, site.store);
        BOOST_TEST(text(other_process.find("token", kNow)) == "(absent)");
        BOOST_TEST(!other_process.stored_in_memcached("token"));
    }
}

// The same bytes under the name of another key.
BOOST_AUTO_TEST_CASE(an_entry_cannot_be_moved_to_another_name) {
    Site site;
    site.fill(site.cache, "one", [] { return "1"; });
    const auto one = site.server.value(only_name(site));
    site.server.flush();
    site.fill(site.cache, "two", [] { return "2"; });
    site.server.put(only_name(site), one);
    Cache other_process(site.cache_options, site.store);
    BOOST_TEST(!other_process.stored_in_memcached("two"));
}

BOOST_AUTO_TEST_CASE(another_secret_shares_nothing) {
    Site site;
    site.fill_title();
    auto other = site.cache_options;
    other.secret_file = site.folder / "other.secret";
    BOOST_TEST(!Cache(other, site.store).find("title", kNow));
    BOOST_TEST(!Cache(other, site.store).stored_in_memcached("title"));
    Cache(other, site.store).set("raw", "item", 60s);
    BOOST_TEST((site.cache.get("raw") == "item"));  // raw items are everybody's
    std::filesystem::copy_file(secret_file(site), site.folder / "copy.secret");
    other.secret_file = site.folder / "copy.secret";
    BOOST_TEST(text(Cache(other, site.store).find("title", kNow)) == "old title");
}

BOOST_AUTO_TEST_CASE(the_first_makes_the_secret_and_all_have_the_same) {
    const TemporaryFolder folder;
    const auto file = folder / "secret";
    std::vector<std::future<Hash256>> found;
    for (int i = 0; i < 16; ++i) found.push_back(std::async(std::launch::async, [&] { return site_secret(file); }));
    const auto first = found[0].get();
    for (std::size_t i = 1; i < found.size(); ++i) BOOST_TEST((found[i].get() == first));
    BOOST_TEST((site_secret(file) == first));
    struct stat status {};
    BOOST_REQUIRE(::stat(file.c_str(), &status) == 0);
    BOOST_TEST((status.st_mode & 07777) == 0600u);
    BOOST_TEST(status.st_nlink == 1u);
    BOOST_TEST(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);  // no temporary is left
    BOOST_TEST((site_secret(folder / "other") != first));
}

BOOST_AUTO_TEST_CASE(as_root_the_secret_is_the_folder_s_owner_s, *boost::unit_test::precondition([](auto) { return ::geteuid() == 0; })) {
    const TemporaryFolder folder;
    BOOST_REQUIRE(::chown(folder.path().c_str(), 12345, 12346) == 0);
    (void)site_secret(folder / "secret");
    struct stat status {};
    BOOST_REQUIRE(::stat((folder / "secret").c_str(), &status) == 0);
    BOOST_TEST(status.st_uid == 12345u);
    BOOST_TEST(status.st_gid == 12346u);
}

BOOST_AUTO_TEST_CASE(what_the_operator_wrote_is_the_secret_and_is_never_replaced) {
    const TemporaryFolder folder;
    const auto file = folder / "secret";
    const std::string good[] = {std::string(32, 's'), std::string(64, 'a') + "\n", " " + std::string(4000, 'x') + "\r\n"};
    for (const auto& content : good) {
        replace_file(file, content, 0640);
        BOOST_TEST((site_secret(file) == hash256(trim(content))));
        BOOST_TEST((read_file(file) == content));
    }
    const std::string bad[] = {"", "\n", std::string(31, 's'), std::string(31, 's') + "\n\n\n", std::string(4097, 'x')};
    for (const auto& content : bad) {
        replace_file(file, content, 0640);
        BOOST_CHECK_THROW((void)site_secret(file), std::runtime_error);
        BOOST_TEST((read_file(file) == content));
    }
    replace_file(file, good[0], 0600);
    std::filesystem::permissions(file, std::filesystem::perms(0602));
    BOOST_CHECK_THROW((void)site_secret(file), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_secret_that_all_may_read_is_used_with_a_warning) {
    const TemporaryFolder folder;
    const std::string secret(32, 's');
    for (const auto mode : {0600, 0640, 0644, 0604, 0404}) BOOST_TEST_CONTEXT(std::oct << mode) {
            std::filesystem::remove(folder / "recto.log");
            const auto file = folder / "secret";
            replace_file(file, secret);
            std::filesystem::permissions(file, std::filesystem::perms(mode));
            {
                const LogSession log(log_to({.file = folder / "recto.log"}));
                BOOST_TEST((site_secret(file) == hash256(secret)));
            }
            const auto lines = read_file(folder / "recto.log");
            const bool is_open = (mode & 04) != 0;
            BOOST_TEST(std::ranges::count(lines, '\n') == is_open);
            BOOST_TEST((lines.find("cache.secret_readable") != std::string::npos) == is_open);
            BOOST_TEST((lines.find(file.string()) != std::string::npos) == is_open);
            BOOST_TEST(lines.find(secret) == std::string::npos);
        }
}

BOOST_AUTO_TEST_CASE(without_a_secret_memcached_is_left_out_with_one_warning) {
    Site site;
    const auto folder = site.folder / "is a folder";
    std::filesystem::create_directory(folder);
    BOOST_REQUIRE(::mkfifo((site.folder / "pipe").c_str(), 0600) == 0);
    replace_file(site.folder / "short", "tooshort", 0600);
    for (const auto& file : {site.folder / "nowhere" / "secret", folder, site.folder / "pipe", site.folder / "short"})
        BOOST_TEST_CONTEXT(file) {
            std::filesystem::remove(site.folder / "log" / "recto.log");
            const LogSession log(log_to({.file = site.folder / "log" / "recto.log"}));
            auto options = site.cache_options;
            options.secret_file = file;
            Cache cache(options, site.store);
            for (int i = 0; i < 3; ++i) {
                site.fill(cache, "title", [&] { return site.title(); });
                BOOST_TEST(text(cache.find_in_memory("title", kNow)) == "old title");
                BOOST_TEST(!in_memcached(cache, "title", kNow));
                BOOST_TEST(!cache.stored_in_memcached("title"));
                BOOST_TEST(!cache.set("raw", "item", 60s));
                BOOST_TEST(!cache.get("raw"));
            }
            BOOST_TEST(cache.server_stats().empty());
            BOOST_TEST(site.server.keys().empty());
            const auto lines = read_file(site.folder / "log" / "recto.log");
            BOOST_TEST(std::ranges::count(lines, '\n') == 1);
            BOOST_TEST(lines.find("cache.no_secret") != std::string::npos);
            BOOST_TEST(lines.find(file.filename().string()) != std::string::npos);
            BOOST_TEST(lines.find("tooshort") == std::string::npos);
        }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(states)

using State = CacheLookup::State;

BOOST_AUTO_TEST_CASE(when_only_time_ran_out_an_entry_is_kept_for_a_while) {
    Site site;
    site.cache_options.stale_while_revalidate = 10s;
    site.cache_options.stale_if_error = 100s;
    Cache cache(site.cache_options, site.store);
    site.fill(
        cache, "title", [&] { return site.title(); }, 60s);
    const std::pair<std::chrono::milliseconds, State> moments[] = {
        {0s, State::fresh},         {59'999ms, State::fresh},      {60s, State::expired},
        {69'999ms, State::expired}, {70s, State::kept_for_errors}, {159'999ms, State::kept_for_errors},
        {160s, State::absent}};
    for (const auto& [after, state] : moments) BOOST_TEST_CONTEXT(after.count()) {
            BOOST_TEST((cache.look_in_memory("title", kNow + after).state == state));
            BOOST_TEST((cache.look_in_memcached("title", kNow + after).state == state));
            BOOST_TEST((cache.look("title", kNow + after).state == state));
            BOOST_TEST((cache.find("title", kNow + after) != nullptr) == (state == State::fresh));
        }
    site.retitle("new title");
    for (const auto after : {0s, 60s, 70s}) {
        const auto lookup = cache.look("title", kNow + after);
        BOOST_TEST((lookup.state == State::changed));
        BOOST_TEST(!lookup.entry);
    }
}

// A clock that ran ahead when it was made: what its times say means nothing. 2 s are what hosts may differ.
BOOST_AUTO_TEST_CASE(an_entry_made_later_than_now_is_invalid) {
    for (const auto ahead : {std::chrono::microseconds(2s), std::chrono::microseconds(2s) + 1us, std::chrono::microseconds(24h * 30)}) {
        Site site;
        site.fill_title();  // at kNow
        const auto now = kNow - ahead;
        const bool is_valid = ahead <= 2s;
        const auto state = is_valid ? State::fresh : State::changed;
        BOOST_TEST((site.cache.look_in_memory("title", now).state == state));
        BOOST_TEST((site.cache.look_in_memcached("title", now).state == state));
        BOOST_TEST((site.cache.look("title", now).state == state));
        const auto entry = site.cache.look("title", kNow).entry;
        BOOST_TEST((site.cache.judge(entry, "title", now).entry != nullptr) == is_valid);
        BOOST_TEST(site.cache.look("title", now).may_be_shown_on_error() == is_valid);
        // Made anew at the right time it is found again, on both levels.
        const auto reading = site.store.fresh_reading();
        const auto reads = reads_of(reading->epoch(), reading->synced());
        site.cache.put({.key = "title", .bytes = "anew", .reads = reads, .ttl = 60s, .begun = now, .ended = now});
        BOOST_TEST(text(site.cache.find_in_memory("title", now)) == "anew");
        BOOST_TEST(text(in_memcached(site.cache, "title", now)) == "anew");
    }
}

BOOST_AUTO_TEST_CASE(an_entry_made_later_than_now_is_not_shown_while_the_database_fails) {
    Site site;
    site.fill_title();
    site.keeper.reset();
    DatabaseShell(site.store_options.file).run("ALTER TABLE clock RENAME TO hidden");
    BOOST_REQUIRE(eventually([&] { return !site.store.fresh_reading(); }));
    BOOST_TEST((site.cache.look("title", kNow - 2s).state == State::unverified));
    BOOST_TEST((site.cache.look("title", kNow - 3s).state == State::changed));
    BOOST_TEST((site.cache.look("title", kNow - 3s).entry == nullptr));
}

BOOST_AUTO_TEST_CASE(the_hard_end_ends_staleness_too) {
    Site site;
    site.fill(site.cache, "title", [&] { return note_hard_end(kNow + 70s), site.title(); });
    BOOST_TEST((site.cache.look("title", kNow + 69s).state == State::expired));
    BOOST_TEST((site.cache.look("title", kNow + 70s).state == State::changed));
}

BOOST_AUTO_TEST_CASE(a_database_that_cannot_be_read_leaves_entries_unverified_for_a_while) {
    Site site;
    site.cache_options.stale_if_error = 100s;
    Cache cache(site.cache_options, site.store);
    site.fill(cache, "title", [&] { return site.title(); });
    site.keeper.reset();
    DatabaseShell shell(site.store_options.file);
    shell.run("ALTER TABLE clock RENAME TO hidden");
    BOOST_REQUIRE(eventually([&] { return !site.store.fresh_reading(); }));
    // In memory, which answers without waiting, nothing may be said of it.
    BOOST_TEST((cache.look_in_memory("title", kNow).state == State::absent));
    for (const auto after : {0s, 60s, 159s}) BOOST_TEST_CONTEXT(after.count()) {
            BOOST_TEST((cache.look("title", kNow + after).state == State::unverified));
            BOOST_TEST((cache.look_in_memcached("title", kNow + after).state == State::unverified));
            BOOST_TEST(cache.look("title", kNow + after).may_be_shown_on_error());
            BOOST_TEST(!cache.look("title", kNow + after).may_be_shown_meanwhile());
            BOOST_TEST(!cache.find("title", kNow + after));
            BOOST_TEST(!cache.judge(cache.look("title", kNow + after).entry, "title", kNow + after).entry);
        }
    BOOST_TEST((cache.look("title", kNow + 160s).state == State::absent));
    site.cache_options.stale_if_error = 0s;
    Cache strict(site.cache_options, site.store);
    BOOST_TEST((strict.look("title", kNow).state == State::absent));

    const CollectReads collected(0, 0);
    BOOST_TEST(text(used(cache.look("title", kNow))) == "old title");
    BOOST_TEST(!collected.reads().storable);
    put(cache, "made from it", "value", collected.reads());
    BOOST_TEST((cache.look("made from it", kNow).state == State::absent));
    shell.run("ALTER TABLE hidden RENAME TO clock");
    BOOST_TEST(eventually([&] { return site.store.fresh_reading().has_value(); }));
}

BOOST_AUTO_TEST_CASE(memcached_s_absence_does_not_win_over_an_old_entry_in_memory) {
    Site site;
    site.fill_title();
    BOOST_REQUIRE((site.cache.look("title", kNow + 61s).state == State::expired));
    site.server.kill();
    BOOST_TEST((site.cache.look("title", kNow + 61s).state == State::expired));
    BOOST_TEST((site.cache.look("title", kNow + 100s).state == State::kept_for_errors));
    BOOST_TEST((site.cache.look_further("title", kNow + 100s).state == State::kept_for_errors));
    site.keeper.reset();
    DatabaseShell(site.store_options.file).run("ALTER TABLE clock RENAME TO hidden");
    BOOST_REQUIRE(eventually([&] { return !site.store.fresh_reading(); }));
    for (const auto after : {0s, 61s, 100s}) {
        const auto lookup = site.cache.look("title", kNow + after);
        BOOST_TEST((lookup.state == State::unverified));
        BOOST_TEST(text(lookup.entry) == "old title");
        BOOST_TEST(lookup.in_memory);
    }
}

Cache::Computed put_of(Site& site, std::string bytes, TimePoint at) {
    const auto reading = site.store.fresh_reading();
    const auto reads = reads_of(reading->epoch(), reading->synced());
    return {.key = "key", .bytes = std::move(bytes), .reads = reads, .ttl = 60s, .begun = at, .ended = at};
}

// Memory has an older one than memcached, and the other way round.
BOOST_AUTO_TEST_CASE(of_two_entries_the_better_one_is_given) {
    Site site;
    Cache other_process(site.cache_options, site.store);
    site.cache.put(put_of(site, "old", kNow));
    other_process.put(put_of(site, "new", kNow + 60s));
    BOOST_TEST(text(site.cache.look("key", kNow + 61s).entry) == "new");
    BOOST_TEST(!site.cache.look_in_memcached("key", kNow + 61s).in_memory);
    site.server.flush();
    BOOST_TEST(text(site.cache.look("key", kNow + 61s).entry) == "new");  // kept in memory since
}

// Another process has made it anew since.
BOOST_AUTO_TEST_CASE(of_two_entries_in_the_same_state_memcached_s_is_given) {
    Site site;
    Cache other_process(site.cache_options, site.store);
    const std::pair<std::chrono::seconds, State> cases[] = {{75s, State::expired}, {200s, State::kept_for_errors}};
    for (const auto& [after, state] : cases) BOOST_TEST_CONTEXT(after.count()) {
            site.cache.put(put_of(site, "old", kNow));
            other_process.put(put_of(site, "new", kNow + 10s));
            BOOST_TEST((site.cache.look_in_memory("key", kNow + after).state == state));
            const auto lookup = site.cache.look_further("key", kNow + after);
            BOOST_TEST((lookup.state == state));
            BOOST_TEST(text(lookup.entry) == "new");
        }
}

BOOST_AUTO_TEST_CASE(a_hot_entry_that_was_dear_is_made_early_by_few) {
    Site site;
    const Follower follower(site.store.clock(), site.store.change_source());  // keeps the lease while we count
    const auto reading = site.store.clock().read();
    const auto reads = reads_of(reading.epoch(), reading.synced());
    site.cache.put({.key = "dear", .bytes = "x", .reads = reads, .ttl = 60s, .begun = kNow, .ended = kNow + 100ms});
    const auto expires = kNow + 100ms + 60s;
    const auto aging = [&](std::chrono::milliseconds left) {
        int count = 0;
        for (int i = 0; i < 10'000; ++i) count += site.cache.look_in_memory("dear", expires - left).state == State::aging;
        return count;
    };
    BOOST_TEST(aging(10s) == 0);
    const int a_cost_before = aging(100ms);  // e^-1 of them
    BOOST_TEST(a_cost_before > 3'000);
    BOOST_TEST(a_cost_before < 4'400);
    BOOST_TEST(aging(1ms) > 9'800);
}

BOOST_AUTO_TEST_CASE(lookups_are_counted_by_subject_level_and_outcome) {
    Site site;
    site.cache_options.subjects = {"a view", "another"};
    Cache cache(site.cache_options, site.store);
    constexpr Cache::Subject kView = 0, kAnother = 1;
    (void)cache.look("title", kNow, kView);
    site.fill(cache, "title", [&] { return site.title(); });
    (void)cache.look("title", kNow, kView);
    (void)cache.look_in_memcached("title", kNow, kView);
    site.retitle("new title");
    (void)cache.look("title", kNow, kView);
    const std::pair<CacheEvent, std::uint64_t> counts[] = {{CacheEvent::memory_hit, 1},     {CacheEvent::memory_miss, 1},
                                                           {CacheEvent::memory_invalid, 1}, {CacheEvent::memcached_hit, 1},
                                                           {CacheEvent::memcached_miss, 1}, {CacheEvent::memcached_invalid, 1},
                                                           {CacheEvent::stored, 0}};
    for (const auto& [event, count] : counts) BOOST_TEST_CONTEXT(to_text(event)) {
            BOOST_TEST(cache.counted(event, kView) == count);
            BOOST_TEST(cache.counted(event, kAnother) == 0u);
        }
    BOOST_TEST(cache.counted(CacheEvent::stored, Cache::kFunctions) == 1u);
    site.fill(cache, "large", [] { return std::string(2'000'000, 'x'); });
    BOOST_TEST(cache.counted(CacheEvent::too_large, Cache::kFunctions) == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_for_one_process_does_not_reach_memcached) {
    Site site;
    const auto reading = site.store.clock().read();
    const auto reads = reads_of(reading.epoch(), reading.synced());
    site.cache.put({.key = "404", .bytes = "x", .reads = reads, .ttl = 60s, .begun = kNow, .ended = kNow, .reach = Cache::Reach::process});
    BOOST_TEST(site.cache.find_in_memory("404", kNow));
    BOOST_TEST(site.server.keys().empty());
}

BOOST_AUTO_TEST_SUITE_END()
