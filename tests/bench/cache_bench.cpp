// cache_bench - what the cache costs inside the program, without nginx and FastCGI: nanoseconds for one operation, by threads.
//
// `hit` is Cache alone; `answer` is a whole request to /api/blogs from its parameters to the header block (route, throttle, key, cache,
// headers), without its log line. memcached is a real one on a unix socket.
#include <libmemcached/memcached.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fcgi/handlers.hpp"
#include "fcgi/view_exchange.hpp"
#include "tests/support/database_shell.hpp"
#include "tests/support/memcached_server.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kRound = 400ms;
constexpr int kRounds = 5;
constexpr int kPostsOfAuthor = 10;

using Stopwatch = std::chrono::nanoseconds (*)();

std::chrono::nanoseconds on_the_wall() { return Clock::now().time_since_epoch(); }

// Of this thread: what others do with the machine is no cost of ours.
std::chrono::nanoseconds of_processor() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// What a thread needs for one operation while so many do the same. The median of the rounds.
double nanoseconds(int threads, Stopwatch now, const std::function<void(int)>& operation) {
    std::vector<double> rounds;
    for (int round = 0; round < kRounds; ++round) {
        std::atomic<bool> ending = false;
        std::vector<std::future<double>> workers;
        for (int thread = 0; thread < threads; ++thread)
            workers.push_back(std::async(std::launch::async, [&, thread] {
                std::size_t count = 0;
                const auto begin = now();
                for (; !ending.load(std::memory_order_relaxed); ++count) operation(thread);
                return static_cast<double>((now() - begin).count()) / static_cast<double>(std::max<std::size_t>(count, 1));
            }));
        std::this_thread::sleep_for(kRound);
        ending = true;
        double sum = 0;
        for (auto& worker : workers) sum += worker.get();
        rounds.push_back(sum / threads);
    }
    std::ranges::sort(rounds);
    return rounds[kRounds / 2];
}

// Processors that these threads have at once.
int at_once(int threads) { return std::min(threads, static_cast<int>(std::thread::hardware_concurrency())); }

void print_row(const char* what, const std::function<double(int)>& measured) {
    std::printf("%-44s", what);
    for (const int threads : {1, 4, 16}) std::printf("  %10.0f", measured(threads));
    std::printf("\n");
    std::fflush(stdout);
}

void row(const char* what, const std::function<void(int)>& operation) {
    print_row(what, [&](int threads) { return nanoseconds(threads, of_processor, operation); });
}

// Where memcached or the database does the work meanwhile. A thread that waits for a processor is no cost of ours.
void row_on_the_wall(const char* what, const std::function<void(int)>& operation) {
    print_row(what, [&](int threads) { return nanoseconds(threads, on_the_wall, operation) * at_once(threads) / threads; });
}

struct Program {
    TemporaryFolder folder;
    MemcachedServer server{folder / "m"};
    Config config = parsed();
    Site site{config};
    Throttle throttle = Throttle::open(throttle_options(config));
    Gate gate = Gate::open(config.runtime_dir);
    Application application{site, throttle, gate, all_views(), make_handlers(site)};

    Config parsed() {
        const auto path = folder.path().string();
        auto loaded = parse_config("[site]\ndata = " + path + "\n[server]\nruntime_dir = run\n[cache]\nservers = unix:" + path +
                                       "/m\ntimeout = 5s\n[throttle]\nbench = 30000/second\n[view blogs.by_author]\nthrottle = bench\n",
                                   "bench.ini", {}, known_views());
        migrate(store_options(loaded.config));
        return loaded.config;
    }

    Request request(int author) {
        Request request;
        request.method = "GET";
        request.path = "/api/blogs";
        request.query = "author_id=" + std::to_string(author);
        request.address = "192.0.2." + std::to_string(client++ % kClients);
        request.request_id = "0123456789abcdef0123456789abcdef";
        request.headers = {{"host", "example.org"}, {"user-agent", "bench"}, {"accept-encoding", "gzip"}};
        return request;
    }

    // None of them asks more often than the limit allows: a refusal is another answer.
    static constexpr unsigned kClients = 100;
    static inline thread_local std::size_t client = std::hash<std::thread::id>{}(std::this_thread::get_id());

    // The time of an answer from memory; what isn't there yet is computed.
    void ask(int author) {
        const auto exchange = application.begin(request(author));
        auto response = exchange->without_waiting();
        while (!response) response = exchange->to_the_end([] {});
        if (response->status != 200) throw std::runtime_error("status " + std::to_string(response->status));
        head_bytes += header_block(*response).size();
    }
    std::atomic<std::size_t> head_bytes = 0;
};

void add_posts(Site& site, int count) {
    (void)site.auth.add_user("Ann");
    for (int i = 0; i < count; ++i)
        (void)site.blog.create({.title = "Title " + std::to_string(i),
                                .body = std::string(300, 'x'),
                                .status = PostStatus::published,
                                .published_at = time_now() - 1h,
                                .authors = {{"Ann"}}},
                               time_now());
}

std::string name(int i) { return "recto:bench:" + std::to_string(i); }

// What one round trip for many keys would save.
void print_mget(const std::string& socket) {
    constexpr int kKeys = 8;
    auto* const handle = memcached_create(nullptr);
    memcached_server_add_unix_socket(handle, socket.c_str());
    const std::string value(3500, 'x');
    std::vector<std::string> names;
    for (int i = 0; i < kKeys; ++i) names.push_back(name(i));
    for (const auto& key : names) memcached_set(handle, key.data(), key.size(), value.data(), value.size(), 0, 0);
    std::vector<const char*> keys;
    std::vector<std::size_t> sizes;
    for (const auto& key : names) keys.push_back(key.data()), sizes.push_back(key.size());
    const auto one = nanoseconds(1, on_the_wall, [&](int) {
        std::size_t size = 0;
        std::uint32_t flags = 0;
        memcached_return_t rc{};
        std::free(memcached_get(handle, keys[0], sizes[0], &size, &flags, &rc));
    });
    const auto many = nanoseconds(1, on_the_wall, [&](int) {
        memcached_mget(handle, keys.data(), sizes.data(), keys.size());
        memcached_return_t rc{};
        while (auto* const result = memcached_fetch_result(handle, nullptr, &rc)) memcached_result_free(result);
    });
    std::printf("%-44s  %10.0f\n%-44s  %10.0f\n", "memcached: one key, one round trip", one, "memcached: one of 8 keys, one mget",
                many / kKeys);
    memcached_free(handle);
}

// Ten posts an author, as long as the answers of the sample blog. Without triggers, which would take minutes.
void fill(const Program& program, int posts) {
    const auto authors = std::to_string(posts / kPostsOfAuthor);
    const auto up_to = [](const std::string& last) {
        return " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + last + ") ";
    };
    DatabaseShell shell(store_options(program.config).file);
    shell.switch_triggers_off();
    shell.run("BEGIN; INSERT INTO user (id, name, slug, created_at)" + up_to(authors) + "SELECT i, 'n' || i, 'u' || i, 0 FROM n; " +
              "INSERT INTO post (id, slug, title, body, status, published_at, created_at, updated_at)" + up_to(std::to_string(posts)) +
              "SELECT i, 'p' || i, 'Title ' || i, hex(zeroblob(200)), 'published', i, 0, 0 FROM n; " +
              "INSERT INTO post_author SELECT id, 1 + id % " + authors + ", 0 FROM post; COMMIT;");
}

// Processor time of a request that finds nothing cached; another epoch ends all entries in between.
double miss_in_microseconds(Program& program, int authors) {
    std::vector<double> rounds;
    for (int round = 0; round < 40; ++round) {
        program.site.cache.flush();
        const auto begin = of_processor();
        for (int i = 0; i < 10; ++i) program.ask(1 + (round * 10 + i) % authors);
        rounds.push_back(static_cast<double>((of_processor() - begin).count()) / 10'000);
    }
    std::ranges::sort(rounds);
    return rounds[rounds.size() / 2];
}

// Wall-clock time of a hit, each key in turn, and where it was found.
void print_hits(Program& program, int keys, double& one_key) {
    for (int warm = 0; warm < 2; ++warm)
        for (int author = 1; author <= keys; ++author) program.ask(author);
    auto& cache = program.site.cache;
    const auto found = [&](CacheEvent event) {
        std::uint64_t sum = 0;
        for (std::size_t subject = 0; subject < all_views().size(); ++subject) sum += cache.counted(event, subject);
        return static_cast<double>(sum);
    };
    const auto memory = found(CacheEvent::memory_hit), memcached = found(CacheEvent::memcached_hit);
    const auto time = nanoseconds(1, on_the_wall, [&, n = 0](int) mutable { program.ask(1 + n++ % keys); });
    const auto more_memory = found(CacheEvent::memory_hit) - memory, more_memcached = found(CacheEvent::memcached_hit) - memcached;
    if (one_key == 0) one_key = time;
    std::printf("%-44d  %10.1f  %10.2f  %9.0f %%\n", keys, time / 1000, one_key / time, 100 * more_memory / (more_memory + more_memcached));
    std::fflush(stdout);
}

void print_large_blog() {
    Program small, large;
    fill(small, 100);
    fill(large, 100'000);
    const Follower of_small(small.site.store.clock(), small.site.store.change_source());
    const Follower of_large(large.site.store.clock(), large.site.store.change_source());
    const auto few = miss_in_microseconds(small, 100 / kPostsOfAuthor), many = miss_in_microseconds(large, 100'000 / kPostsOfAuthor);
    std::printf("\n%-44s  %10s  %10s\n", "a miss, microseconds of processor", "", "ratio");
    std::printf("%-44s  %10.0f  %10.2f\n%-44s  %10.0f  %10.2f\n", "with 100 posts", few, 1.0, "with 100,000 posts", many, many / few);
    std::printf("\n%-44s  %10s  %10s  %11s\n", "hits in turn over so many keys, 100,000 posts", "us", "speed", "in memory");
    double one_key = 0;
    for (const int keys : {1, 1'000, 10'000}) print_hits(large, keys, one_key);
}

}  // namespace

int main() {
    Program program;
    auto& cache = program.site.cache;
    add_posts(program.site, 10);
    const Follower follower(program.site.store.clock(), program.site.store.change_source());
    program.ask(1);
    const auto key = ViewRequest(*find_view("/api/blogs"), "author_id=1").cache_key();

    std::printf("%-44s%12s%12s%12s\n", "nanoseconds of processor for one operation", "1 thread", "4 threads", "16 threads");
    row("hit in process memory", [&](int) { (void)cache.look_in_memory(key, time_now()); });
    row("answer from process memory, one key", [&](int) { program.ask(1); });
    row("answer from process memory, 100 keys",
        [&, n = std::array<int, 16>{}](int thread) mutable { program.ask(1 + n[static_cast<std::size_t>(thread)]++ % 100); });
    std::printf("%-44s\n", "nanoseconds until it is done");
    row_on_the_wall("hit in memcached", [&](int) { (void)cache.look_in_memcached(key, time_now()); });
    row_on_the_wall("miss: an author without posts, both levels", [&](int thread) {
        thread_local int number = 0;
        program.ask(1000 + thread * 10'000'000 + number++);
    });
    print_mget(program.folder / "m");
    print_large_blog();
}
