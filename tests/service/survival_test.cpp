// What may die, freeze, vanish or be locked under load, and what may not come of it.
#define BOOST_TEST_MODULE survival
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "tests/support/fastcgi_client.hpp"
#include "tests/support/service.hpp"
#include "util/json.hpp"
#include "util/text.hpp"
#include "util/units.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kUnlimited = "[view blogs.by_author]\nthrottle = none\n[view blog]\nthrottle = none\n";

ServiceOptions unlimited(int workers, std::string_view more = {}) { return {workers, std::string(kUnlimited) += more}; }

bool happens_within(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
    for (const auto end = Clock::now() + limit; !condition(); std::this_thread::sleep_for(1ms))
        if (Clock::now() > end) return false;
    return true;
}

// They may put a file back while it is emptied.
void remove_under_its_users(const fs::path& folder) {
    std::error_code error;
    BOOST_REQUIRE(happens_within(10s, [&] { return fs::remove_all(folder, error), !error; }));
}

// So that threads end also when a check throws.
struct SetAtEnd {
    std::atomic<bool>& flag;
    ~SetAtEnd() { flag = true; }
};

void succeed(const CommandResult& result) { BOOST_REQUIRE_MESSAGE(result.status == 0, result.errors << result.output); }

std::string author(int number) { return "/api/blogs?author_id=" + std::to_string(number); }
std::string slug(int number) { return "by-" + std::to_string(number); }

void set_counter(const Service& service, int of_author, int counter) {
    succeed(service.recto({"post", "set", slug(of_author), "--title", "count " + std::to_string(counter)}));
}

// Authors 1 to 3, each with one post whose title is `count 0`.
void add_authors(const Service& service) {
    for (int i = 1; i <= 3; ++i) {
        const auto name = "Author " + std::to_string(i);
        succeed(service.recto({"user", "add", name}));
        succeed(service.recto({"post", "set", slug(i), "--title", "count 0", "--author", name, "--status", "published"}));
    }
}

// -1: it isn't there.
int counter_in(std::string_view body) {
    constexpr std::string_view kBefore = R"("title":"count )";
    const auto begin = body.find(kBefore);
    if (begin == std::string_view::npos) return -1;
    const auto rest = body.substr(begin + kBefore.size());
    const auto number = parse_integer(rest.substr(0, rest.find('"')));
    return number ? static_cast<int>(*number) : -1;
}

std::string what_happened(const HttpAnswer& answer) { return std::to_string(answer.status); }

// Clients that ask through nginx, each one request after the other, until stop() or the end.
class Load {
public:
    using Target = std::function<std::string(int client, int request)>;

    Load(const Service& service, int clients, Target target) : target_(std::move(target)), answered_(static_cast<std::size_t>(clients)) {
        for (int i = 0; i < clients; ++i) threads_.emplace_back([this, i, port = service.port()] { ask(i, port); });
    }
    ~Load() { stop(); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    // Until each client has had so many answers more: none of them hangs.
    void go_on_for(int answers) {
        std::vector<int> enough;
        for (const auto& count : answered_) enough.push_back(count + answers);
        for (std::size_t i = 0; i < enough.size(); ++i) BOOST_REQUIRE(happens_within(20s, [&] { return answered_[i] >= enough[i]; }));
    }

    void stop() {
        stopping_ = true;
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    // By status, `0` for a connection that broke.
    [[nodiscard]] int count(const std::string& outcome) const {
        const std::lock_guard lock(mutex_);
        const auto found = outcomes_.find(outcome);
        return found == outcomes_.end() ? 0 : found->second;
    }
    [[nodiscard]] std::string outcomes() const {
        const std::lock_guard lock(mutex_);
        std::string text;
        for (const auto& [outcome, times] : outcomes_) text += outcome + ": " + std::to_string(times) + "  ";
        return text;
    }
    [[nodiscard]] bool all_were(const std::string& outcome) const {
        const std::lock_guard lock(mutex_);
        return outcomes_.size() == 1 && outcomes_.contains(outcome);
    }
    [[nodiscard]] std::chrono::milliseconds slowest() const { return slowest_.load(); }
    [[nodiscard]] const std::vector<std::string>& ids() const { return ids_; }

private:
    void ask(int client, std::uint16_t port) {
        HttpClient http(port);
        for (int request = 0; !stopping_; ++request) {
            const auto begin = Clock::now();
            std::string outcome = "0";
            std::string id;
            try {
                const auto answer = http.get(target_(client, request));
                outcome = what_happened(answer);
                id = answer.header("x-request-id");
            } catch (const std::exception& problem) {
                outcome += ' ';
                outcome += problem.what();
            }
            note(outcome, std::move(id), std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begin));
            ++answered_[static_cast<std::size_t>(client)];
        }
    }

    void note(const std::string& outcome, std::string id, std::chrono::milliseconds took) {
        const std::lock_guard lock(mutex_);
        ++outcomes_[outcome];
        if (!id.empty()) ids_.push_back(std::move(id));
        slowest_ = std::max(slowest_.load(), took);
    }

    const Target target_;
    std::atomic<bool> stopping_ = false;
    std::vector<std::atomic<int>> answered_;
    std::atomic<std::chrono::milliseconds> slowest_ = 0ms;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::map<std::string, int> outcomes_;
    std::vector<std::string> ids_;

    std::vector<std::thread> threads_;  // last: they use the others
};

// Hot authors, and between them some that nobody has asked for: each of those needs memcached and the database.
std::string hot_and_cold(int client, int request) {
    return author(request % 4 == 0 ? 1000 + request * 100 + client : 1 + (client + request) % 3);
}

std::string same_view(int, int) { return "/api/blog"; }

// A database shell that stays open.
class Shell {
public:
    explicit Shell(const Service& service) : answers_(service.folder() / "shell.out") {
        std::array<int, 2> ends{};
        BOOST_REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
        const UniqueFd input(ends[0]);
        const UniqueFd output(::open(answers_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        pipe_ = UniqueFd(ends[1]);
        process_.emplace(std::vector<std::string>{"sqlite3", service.folder() / "recto.db"},
                         ProcessSetup{.input = input.get(), .output = output.get()});
    }

    void run(const std::string& statements) {
        const auto done = "done " + std::to_string(++count_);
        const auto text = statements + "\nSELECT '" + done + "';\n";
        BOOST_REQUIRE(::write(pipe_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        BOOST_REQUIRE(happens_within(10s, [&] { return read_file(answers_).find(done) != std::string::npos; }));
    }

private:
    fs::path answers_;
    UniqueFd pipe_;
    std::optional<Process> process_;
    int count_ = 0;
};

// Nobody can begin to read the database, as on a file system that hangs: all of the read locks of SQLite's WAL-index are taken
// (sqlite.org/walformat.html, section 2.3: bytes 123 to 127).
class ReadersLockedOut {
public:
    explicit ReadersLockedOut(const Service& service) : index_(::open((service.folder() / "recto.db-shm").c_str(), O_RDWR | O_CLOEXEC)) {
        struct flock lock {};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        lock.l_start = 123;
        lock.l_len = 5;
        BOOST_REQUIRE(::fcntl(index_.get(), F_OFD_SETLKW, &lock) == 0);
    }

private:
    UniqueFd index_;  // closing it gives the locks back
};

int exit_status_of(Process& process, std::chrono::milliseconds limit) {
    const auto status = process.wait(limit);
    if (!status) return -1;
    return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
}

// Since it was started.
std::int64_t items_stored_in(const MemcachedServer& memcached) {
    constexpr std::string_view kName = "STAT total_items ";
    const auto stats = memcached.ask("stats\r\n", "END\r\n");
    const auto begin = stats.find(kName) + kName.size();
    return parse_integer(stats.substr(begin, stats.find('\r', begin) - begin)).value();
}

// An option for which the fixture's recto.ini has the section already.
class Environment {
public:
    Environment(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Environment() { ::unsetenv(name_); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

private:
    const char* name_;
};

// As a rolling restart does it: first the new one, then the old one's end.
void replace_first_worker(Service& service) {
    const auto starts = service.lines_with("worker.start");
    service.start_worker();
    BOOST_REQUIRE(happens_within(10s, [&] { return service.lines_with("worker.start") > starts; }));
    auto& workers = service.workers();
    workers.front().signal(SIGTERM);
    BOOST_TEST(exit_status_of(workers.front(), 10s) == 0);
    workers.erase(workers.begin());
}

// Processes that name the folder in their command line.
int processes_of(const fs::path& folder) {
    int count = 0;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "cmdline");
        const std::string command{std::istreambuf_iterator<char>(file), {}};
        count += command.find(folder.string()) != std::string::npos;
    }
    return count;
}

bool has_sockets(const fs::path& folder) { return read_file("/proc/net/unix").find(folder.string()) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_killed_and_restarted_memcached_is_not_noticed) {
    Service service(unlimited(2));
    add_authors(service);
    Load load(service, 6, hot_and_cold);
    load.go_on_for(50);
    service.memcached().kill();
    load.go_on_for(200);
    service.memcached().restart();
    BOOST_TEST(happens_within(10s, [&] { return items_stored_in(service.memcached()) > 10; }), "memcached is used again");
    load.go_on_for(50);
    load.stop();
    BOOST_TEST(load.all_were("200"), load.outcomes());
}

BOOST_AUTO_TEST_CASE(a_frozen_memcached_costs_a_bounded_delay) {
    Service service(unlimited(2));
    add_authors(service);
    Load load(service, 6, hot_and_cold);
    load.go_on_for(50);
    service.memcached().freeze();
    load.go_on_for(200);
    service.memcached().thaw();
    const auto stored = items_stored_in(service.memcached());
    BOOST_TEST(happens_within(10s, [&] { return items_stored_in(service.memcached()) > stored + 100; }), "memcached is used again");
    load.stop();
    BOOST_TEST(load.all_were("200"), load.outcomes());
    BOOST_TEST(load.slowest().count() < 2000);
}

BOOST_AUTO_TEST_CASE(a_killed_worker_costs_no_more_than_it_held_and_the_limit_stays_exact) {
    constexpr int kLimit = 2000;
    constexpr int kClients = 8;
    Service service({2, "[throttle]\nblog_limit = " + std::to_string(kLimit) + "/hour\n"});
    const auto unhurried = [](int client, int request) { return std::this_thread::sleep_for(2ms), same_view(client, request); };
    Load load(service, kClients, unhurried);
    load.go_on_for(50);
    service.workers().front().kill();
    load.go_on_for(20);
    BOOST_TEST(load.count("429") == 0, "the worker was killed too late to say anything");
    BOOST_REQUIRE(happens_within(20s, [&] { return load.count("429") > 100; }));
    load.stop();

    const int failed = load.count("502");
    BOOST_TEST(failed <= kClients);
    BOOST_TEST(load.count("200") <= kLimit);
    BOOST_TEST(load.count("200") >= kLimit - kClients, load.outcomes());
    BOOST_TEST_MESSAGE("accepted " << load.count("200") << " of " << kLimit << ", failed " << failed);

    service.workers().erase(service.workers().begin());
    replace_first_worker(service);
    auto client = service.client();
    BOOST_TEST(client.get("/api/blog").status == 429, "the new worker goes on counting");
    BOOST_TEST(client.get(author(1)).status == 200);
}

BOOST_AUTO_TEST_CASE(sigterm_under_load_fails_no_request) {
    Service service(unlimited(2));
    add_authors(service);
    Load load(service, 8, hot_and_cold);
    for (int i = 0; i < 20; ++i) {
        load.go_on_for(10);
        replace_first_worker(service);
    }
    load.stop();
    BOOST_TEST(load.all_were("200"), load.outcomes());
}

BOOST_AUTO_TEST_CASE(an_idle_worker_ends_at_once) {
    Service service(unlimited(2));
    auto client = service.client();
    for (int i = 0; i < 20; ++i) BOOST_TEST(client.get("/api/blog").status == 200);
    for (auto& worker : service.workers()) {
        worker.signal(SIGTERM);
        BOOST_TEST(exit_status_of(worker, 1s) == 0);
    }
    service.workers().clear();
}

BOOST_AUTO_TEST_CASE(answers_are_right_again_soon_after_the_shared_memory_was_removed) {
    constexpr auto kSlack = 1450ms;  // beside the follower's 50 ms: two cores, several processes, and nobody knows what else
    Service service(unlimited(2));
    add_authors(service);
    const auto runtime = service.runtime().path();
    std::atomic<int> expected = 0;
    std::atomic<Clock::time_point> since = Clock::now();
    std::atomic<int> checked = 0;
    std::atomic<bool> stopping = false;
    std::mutex mutex;
    std::string first_wrong;
    std::vector<std::jthread> readers;
    const SetAtEnd stop_readers{stopping};
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            auto client = service.client();
            while (!stopping) {
                const auto begin = Clock::now();
                const int wanted = expected;  // before `since`, which is set before it
                const bool must_be_right = begin > since.load() + 50ms + kSlack;
                const auto answer = client.get(author(1));
                const int found = counter_in(answer.body);
                if (answer.status == 200 && (!must_be_right || found >= wanted)) {
                    checked += must_be_right;
                    continue;
                }
                const std::lock_guard lock(mutex);
                if (first_wrong.empty())
                    first_wrong = std::to_string(answer.status) + ": wanted " + std::to_string(wanted) + ", got " + std::to_string(found);
            }
        });
    const auto settled = [&] { return checked > 300 || !first_wrong.empty(); };
    for (int round = 1; round <= 4; ++round) {
        const int counter = 2 * round;
        remove_under_its_users(runtime);
        if (round % 2 == 0)
            succeed(service.sqlite("UPDATE post SET title = 'count " + std::to_string(counter - 1) + "' WHERE slug = '" + slug(1) + "';"));
        else
            set_counter(service, 1, counter - 1);
        since = Clock::now();
        expected = counter - 1;
        checked = 0;
        BOOST_TEST(happens_within(10s, settled));

        set_counter(service, 1, counter);  // by now all share one memory again: no wait for the follower
        since = Clock::now() - 50ms - kSlack;
        expected = counter;
        checked = 0;
        BOOST_TEST(happens_within(10s, settled));
    }
    stopping = true;
    for (auto& reader : readers) reader.join();
    BOOST_TEST(first_wrong == "");
}

BOOST_AUTO_TEST_CASE(every_event_of_four_workers_is_once_and_whole_in_the_log_and_its_backups) {
    Service service(unlimited(4, "[log]\nmax_bytes = 64KB\nmax_record = 16KB\nbackup_count = 1000\n"));
    Load load(service, 8, same_view);
    load.go_on_for(800);
    load.stop();
    BOOST_TEST(load.all_were("200"), load.outcomes());
    service.end_workers();

    std::map<std::string, int> events;
    int files = 0;
    int others = 0;
    std::vector<std::string> broken;
    for (const auto& file : fs::directory_iterator(service.folder() / "logs")) {
        if (!file.path().filename().string().starts_with("recto.log")) continue;
        ++files;
        const auto text = read_file(file.path());
        BOOST_TEST((text.empty() || text.back() == '\n'));
        for (const auto& line : split_list(text, '\n')) {
            const auto begin = line.find(" {");
            if (begin == std::string::npos) continue;  // a message
            json::error_code error;
            const auto event = json::parse(line.substr(begin), error);
            if (error.failed() || !line.starts_with("20"))
                broken.push_back(line);
            else if (event.at("ev") == "get_blog")
                ++events[std::string(event.at("txid").as_string())];
            else
                ++others;
        }
    }
    BOOST_TEST_MESSAGE(load.ids().size() << " events in " << files << " files");
    BOOST_TEST(files > 5);
    BOOST_TEST(broken.size() == 0u, (broken.empty() ? std::string() : broken.front()));
    BOOST_TEST(others >= 8, "starts and stops");
    BOOST_TEST(events.size() == load.ids().size());
    BOOST_TEST(std::ranges::all_of(load.ids(), [&](const auto& id) { return events[id] == 1; }));
}

BOOST_AUTO_TEST_CASE(a_removed_log_folder_comes_back) {
    Service service(unlimited(2));
    auto client = service.client();
    const auto log = service.folder() / "logs/recto.log";
    remove_under_its_users(log.parent_path());
    BOOST_TEST(happens_within(10s, [&] { return client.get("/api/blog").status != 200 || fs::exists(log); }));
    const auto id = client.get("/api/blog").header("x-request-id");
    BOOST_TEST(happens_within(10s, [&] { return service.lines_with(id) == 1; }));
}

BOOST_AUTO_TEST_CASE(a_writer_that_keeps_the_database_stops_no_reader_and_a_second_writer_gives_up) {
    Service service(unlimited(2, "[store]\nbusy_timeout = 300ms\n"));
    add_authors(service);
    auto client = service.client();
    BOOST_TEST(client.get(author(1)).status == 200);
    Shell shell(service);
    shell.run("BEGIN EXCLUSIVE;");

    BOOST_TEST(counter_in(client.get(author(1)).body) == 0);
    BOOST_TEST(counter_in(client.get(author(2)).body) == 0);
    const auto begin = Clock::now();
    const auto refused = service.recto({"post", "set", slug(1), "--title", "count 1"});
    BOOST_TEST(refused.status == 1);
    BOOST_TEST(refused.errors.find("locked") != std::string::npos, refused.errors);
    BOOST_TEST((Clock::now() - begin < 5s));

    shell.run("COMMIT;");
    set_counter(service, 1, 2);
    BOOST_TEST(counter_in(client.get(author(1)).body) == 2);
}

BOOST_AUTO_TEST_CASE(hanging_requests_and_idle_connections_keep_no_cached_answer_waiting) {
    const Environment threads("RECTO_SERVER__THREADS", "4");
    Service service(unlimited(1));
    add_authors(service);
    const auto socket = service.folder() / "recto.sock";
    std::vector<FastcgiClient> idle;
    for (int i = 0; i < 200; ++i) {
        idle.emplace_back(socket);
        BOOST_REQUIRE(idle.back().get("/api/blogs", "author_id=1"));
    }

    std::vector<FastcgiClient> hanging;
    std::vector<std::chrono::milliseconds> times;
    {
        const ReadersLockedOut locked(service);
        for (int i = 0; i < 12; ++i) {
            hanging.emplace_back(socket, 30s);
            BOOST_REQUIRE(hanging.back().send(fastcgi_request(get_params("/api/blogs", "author_id=" + std::to_string(2 + i)))));
        }
        for (int i = 0; i < 9; ++i) {
            const auto begin = Clock::now();
            FastcgiClient fresh(socket);
            const auto answer = fresh.get("/api/blogs", "author_id=1");
            times.push_back(std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begin));
            BOOST_REQUIRE(answer);
            BOOST_TEST(answer->status == 200);
            BOOST_TEST(answer->header("cache-status").starts_with("recto; hit"));
        }
        BOOST_TEST(!hanging.front().is_closed_within(1ms), "it hangs indeed");
    }
    std::ranges::sort(times);
    BOOST_TEST_MESSAGE("median " << times[4].count() << " ms, slowest " << times.back().count() << " ms");
    BOOST_TEST(times[4].count() < 50);
    for (std::size_t i = 0; i < hanging.size(); ++i) {
        const auto answer = hanging[i].receive();
        BOOST_REQUIRE(answer);
        BOOST_TEST(answer->status == 200);
        BOOST_TEST(counter_in(answer->body) == (i < 2 ? 0 : -1));
    }
}

// A look at such a database takes SQLite 10 s. Each request looks twice, at the clock and at its data; it must not also wait for the looks
// of all the others, one after the other.
BOOST_AUTO_TEST_CASE(a_database_that_hangs_beyond_the_lease_gives_old_answers_or_503_in_bounded_time) {
    constexpr int kRequests = 6;
    Service service(unlimited(1));
    add_authors(service);
    const auto socket = service.folder() / "recto.sock";
    BOOST_REQUIRE(FastcgiClient(socket).get("/api/blogs", "author_id=1"));
    std::vector<FastcgiClient> waiting;
    {
        const ReadersLockedOut locked(service);
        const auto lease_ends = Clock::now() + 2100ms;
        BOOST_REQUIRE(happens_within(5s, [&] { return Clock::now() > lease_ends; }));
        for (int i = 0; i < kRequests; ++i) {
            waiting.emplace_back(socket, 25s);
            BOOST_REQUIRE(waiting.back().send(fastcgi_request(get_params("/api/blogs", "author_id=" + std::to_string(1 + i)))));
        }
        for (std::size_t i = 0; i < waiting.size(); ++i) {
            const auto answer = waiting[i].receive();
            BOOST_REQUIRE(answer);
            BOOST_TEST(answer->status == (i == 0 ? 200 : 503));
            if (i == 0) BOOST_TEST(answer->header("cache-status").ends_with("detail=stale-if-error"));
        }
    }
    for (int i = 1; i <= 3; ++i) {
        const auto answer = FastcgiClient(socket).get("/api/blogs", "author_id=" + std::to_string(i));
        BOOST_REQUIRE(answer);
        BOOST_TEST(answer->status == 200);
        BOOST_TEST(counter_in(answer->body) == 0);
    }
}

BOOST_AUTO_TEST_CASE(ended_services_leave_no_process_and_no_socket) {
    for (int round = 0; round < 3; ++round) {
        fs::path folder;
        {
            Service service(unlimited(2));
            folder = service.folder().path();
            BOOST_TEST(processes_of(folder) >= 4);
            Load load(service, 4, same_view);
            load.go_on_for(20);
            if (round == 0) {
                load.stop();
                service.end_workers();
            }
        }
        BOOST_TEST(happens_within(5s, [&] { return processes_of(folder) == 0; }));
        BOOST_TEST(!has_sockets(folder));
    }
}
