// Nothing stale is ever shown, whatever is killed, frozen, emptied or removed: writers and readers work at the same time, each answer is
// kept, and all of them are judged by what was written (tests/support/history.hpp).
//
// What is chosen at random follows from SEED, which each case prints; when what happens is up to the machine.
#define BOOST_TEST_MODULE consistency
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "blog/blog.hpp"
#include "tests/support/blogs.hpp"
#include "tests/support/database_shell.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/history.hpp"
#include "tests/support/journal.hpp"
#include "tests/support/service.hpp"
#include "tests/support/standstills.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Random = std::mt19937;

constexpr std::size_t kReads = 12'500;       // at least, in each of the cases
constexpr int kRounds = 6;                   // of what happens in them
constexpr auto kPatienceOfAWaiter = 4500ms;  // less than that of who waits for another's computation: nothing here takes seconds
constexpr auto kPatience = 60s;              // with one case
constexpr int kWorkers = 3;
constexpr int kClients = 2;  // through nginx
constexpr int kAuthors = 4;
constexpr int kPostsOfAWriter = 5;
constexpr auto kNoGrace = 0ms;
constexpr auto kGrace = 100ms;                            // for what goes around Recto, while the machine runs
const std::vector<std::string> kLittleMemory{"-m", "2"};  // MB, the least that memcached takes
constexpr std::string_view kIni = "[view blogs.by_author]\nthrottle = none\nlog = off\n";

unsigned seed() {
    static const unsigned chosen = [] {
        const char* const given = std::getenv("SEED");
        return given == nullptr ? std::random_device{}() : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
    }();
    return chosen;
}

int any_of(Random& random, int count) { return static_cast<int>(random() % static_cast<unsigned>(count)); }

// --- What is written, and how an answer shows it

std::string slug_of_post(int post) { return "post-" + std::to_string(post); }
std::string title_of(int version) { return "version " + std::to_string(version); }
std::string author_name(int author) { return "Author " + std::to_string(author); }

// Of many sizes.
std::string text_of(int post, int version) {
    std::string text;
    for (int i = 0; i <= (post + version) % 12; ++i) text += slug_of_post(post) + " in " + title_of(version) + ". ";
    return text;
}

TimePoint date_of(int post) { return TimePoint(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)) + std::chrono::hours(post); }

int number_behind(std::string_view beginning, std::string_view text) {
    int number = -1;
    if (text.starts_with(beginning)) std::from_chars(text.data() + beginning.size(), text.data() + text.size(), number);
    return number;
}

// Version -1, which nobody wrote, if its text is another version's.
std::vector<Shown> posts_in(const std::string& answer) {
    std::vector<Shown> posts;
    for (const auto& blog : blogs_in(answer)) {
        const int post = number_behind("post-", blog.at("slug").as_string());
        const int version = number_behind("version ", blog.at("title").as_string());
        const bool is_whole = blog.at("body").as_string() == text_of(post, version);
        posts.push_back({post, is_whole ? version : -1, static_cast<int>(blog.at("author_id").as_int64())});
    }
    return posts;
}

std::vector<int> some_authors(Random& random) {
    std::vector<int> authors{1 + any_of(random, kAuthors)};
    const int second = 1 + any_of(random, kAuthors);
    if (second != authors[0] && random() % 3 == 0) authors.push_back(second);
    return authors;
}

PostStatus some_status(Random& random) {
    constexpr std::array kAll{PostStatus::published, PostStatus::published, PostStatus::published, PostStatus::draft, PostStatus::archived};
    return kAll[random() % kAll.size()];
}

PostState next_of(const PostState& now, int version, Random& random) {
    auto next = now;
    next.version = version;
    const int what = now.status ? any_of(random, 10) : -1;
    if (what == 0) {
        next.status.reset();
        next.authors.clear();
    }
    if (what == 1 || what == 2 || !now.status) next.status = some_status(random);
    if (what == 3 || what == 4 || !now.status) next.authors = some_authors(random);
    return next;
}

// --- The two ways to write

std::string posts_version_sql(int post) { return "SELECT substr(title, 9) FROM post WHERE slug = '" + slug_of_post(post) + "'"; }

class ThroughRecto {
public:
    static constexpr auto kGraceOfAWrite = kNoGrace;

    explicit ThroughRecto(const fs::path& folder)
        : store_(Store::open({.file = folder / "recto.db", .runtime_dir = fs::read_symlink(folder / "run")})),
          cache_({.servers = {}, .runtime_dir = fs::read_symlink(folder / "run"), .build = "writer"}, store_) {}

    void write(const PostState& now, const PostState& next) {
        if (!now.status) return written(blog_.create(content(now, next), time_now()));
        const auto id = blog_.find(slug_of_post(next.post)).value().id;
        if (next.status) return written(blog_.change(id, content(now, next), time_now()));
        if (!blog_.remove(id)) throw std::runtime_error("there was no " + slug_of_post(next.post) + " to remove");
    }

private:
    static void written(const Result<Post>& result) {
        if (!result) throw std::runtime_error(result.error());
    }

    static PostChanges content(const PostState& now, const PostState& next) {
        PostChanges changes{.title = title_of(next.version), .body = text_of(next.post, next.version)};
        if (!now.status) {
            changes.slug = slug_of_post(next.post);
            changes.published_at = date_of(next.post);
        }
        if (now.status != next.status) changes.status = next.status;
        if (now.authors != next.authors) {
            changes.authors.emplace();
            for (const int author : next.authors) changes.authors->push_back(author_name(author));
        }
        return changes;
    }

    Store store_;
    Cache cache_;
    const ModelRules rules_{{}};  // a writer reads from the database
    Blog blog_{store_, cache_, rules_};
};

class AroundRecto {
public:
    static constexpr auto kGraceOfAWrite = kGrace;

    explicit AroundRecto(const fs::path& folder) : shell_(folder / "recto.db") {}

    void write(const PostState& now, const PostState& next) {
        const auto where = " WHERE slug = '" + slug_of_post(next.post) + "';";
        std::string sql = "BEGIN IMMEDIATE;";
        if (!next.status)
            sql += "DELETE FROM post" + where;
        else if (!now.status || next.version % 4 == 0)  // REPLACE is a trap for triggers: the post gets another id
            sql += replace(next) + add_authors(next);
        else
            sql += change_authors(now, next) + "UPDATE post SET title = '" + title_of(next.version) + "', body = '" +
                   text_of(next.post, next.version) + "', status = '" + std::string(to_text(*next.status)) + "'" + where;
        shell_.run(sql + "COMMIT;");
    }

private:
    static std::string replace(const PostState& next) {
        const auto date = std::to_string(micros(date_of(next.post)));
        return "INSERT OR REPLACE INTO post (slug, title, body, status, published_at, created_at, updated_at) VALUES ('" +
               slug_of_post(next.post) + "', '" + title_of(next.version) + "', '" + text_of(next.post, next.version) + "', '" +
               std::string(to_text(*next.status)) + "', " + date + ", " + date + ", " + date + ");";
    }

    // Before the post itself is changed: that would tell all its authors, and no longer the former ones.
    static std::string change_authors(const PostState& now, const PostState& next) {
        if (now.authors == next.authors) return {};
        return "DELETE FROM post_author WHERE post = (SELECT id FROM post WHERE slug = '" + slug_of_post(next.post) + "');" +
               add_authors(next);
    }

    static std::string add_authors(const PostState& next) {
        std::string sql;
        for (std::size_t i = 0; i < next.authors.size(); ++i)
            sql += "INSERT INTO post_author (post, user, position) SELECT id, " + std::to_string(next.authors[i]) + ", " +
                   std::to_string(i) + " FROM post WHERE slug = '" + slug_of_post(next.post) + "';";
        return sql;
    }

    DatabaseShell shell_;
};

// --- The processes

// In memory that all of them share.
struct Board {
    std::atomic<std::size_t> reads = 0;
    std::atomic<std::size_t> writes = 0;
    std::array<std::atomic<bool>, 4096> has_to_end{};  // by process
    Standstills standstills;

    static Board& make() {
        void* const memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw io_error("cannot map", "shared memory");
        return *new (memory) Board;
    }
};

// What a process has beside its work.
struct Desk {
    Board& board;
    std::atomic<bool>& has_to_end;
    const fs::path folder;
    const std::uint16_t port;
    Journal journal;
    Random random;
};

std::string query_for(int author, Random& random) {
    const auto id = std::to_string(author);
    switch (random() % 8) {
        case 0:
            return "author_id=0" + id;
        case 1:
            return "author_id=%3" + id;
        case 2:
            return "utm_source=x&author_id=" + id;
        default:
            return "author_id=" + id;
    }
}

void keep(Desk& desk, int author, Moment begun, int status, const std::string& body) {
    if (status != 200) return desk.journal.failed(std::to_string(status) + ' ' + body.substr(0, body.find('\n')));
    desk.journal.read(author, begun, body);
    ++desk.board.reads;
}

void read_through_nginx(Desk& desk, HttpClient& client, int author) {
    const auto target = "/api/blogs?" + query_for(author, desk.random);
    const auto begun = Moment::clock::now();
    try {
        const auto answer = client.get(target);
        keep(desk, author, begun, answer.status, answer.body);
    } catch (const std::exception& problem) {
        desk.journal.failed(problem.what());
    }
}

void client_of_nginx(Desk& desk) {
    HttpClient client(desk.port);
    while (!desk.has_to_end) read_through_nginx(desk, client, 1 + any_of(desk.random, kAuthors));
}

// Until the worker ends.
void client_of_a_worker(Desk& desk, FastcgiClient& worker) {
    while (!desk.has_to_end) {
        const int author = 1 + any_of(desk.random, kAuthors);
        const auto query = query_for(author, desk.random);
        const auto begun = Moment::clock::now();
        const auto answer = worker.get("/api/blogs", query);
        if (!answer) return desk.journal.failed("the worker has ended");
        keep(desk, author, begun, answer->status, answer->body);
    }
}

std::optional<int> version_in(DatabaseShell& shell, int post) {
    const auto version = shell.ask(posts_version_sql(post));
    if (!version) return {};
    return std::stoi(*version);
}

// Before anything else is opened: what has the writer before us left?
Recorded take_over(Desk& desk, const fs::path& journal, int writer) {
    DatabaseShell shell(desk.folder / "recto.db");
    for (int post = writer * kPostsOfAWriter; post < (writer + 1) * kPostsOfAWriter; ++post)
        desk.journal.found(post, version_in(shell, post), kGrace);
    return read_journal(journal);
}

// Each write is followed by the question whether it shows.
template <class Way>
void writer(Desk& desk, const fs::path& journal, int number) {
    auto left = take_over(desk, journal, number);
    Way way(desk.folder);
    HttpClient client(desk.port);
    while (!desk.has_to_end) {
        auto& now = left.posts[number * kPostsOfAWriter + any_of(desk.random, kPostsOfAWriter)];
        const auto next = next_of(now, ++left.newest_version, desk.random);
        const int asked_for = (next.authors.empty() ? now : next).authors.at(0);
        desk.journal.begins(next);
        way.write(now, next);
        desk.journal.done(Way::kGraceOfAWrite);
        ++desk.board.writes;
        now = next;
        read_through_nginx(desk, client, asked_for);
        if (desk.random() % 2 == 0) std::this_thread::sleep_for(milliseconds(desk.random() % 16));
    }
}

// --- A service with readers and writers

// Where there is room in memory, the service's folder lies there: a commit on a busy disk can take seconds, in which nothing happens. For
// what is killed it makes no difference; only a power cut tells the two apart.
struct FilesInMemory {
    FilesInMemory() {
        std::error_code error;
        if (fs::space("/dev/shm", error).available > 512u << 20 && !error) ::setenv("TMPDIR", "/dev/shm", 1);
    }
};

struct TrialOptions {
    int writers_through_recto = 2;
    int writers_around_recto = 1;
    std::vector<std::string> memcached = {};
};

class Trial {
public:
    explicit Trial(TrialOptions options = {})
        : through_recto_(options.writers_through_recto),
          writer_count_(options.writers_through_recto + options.writers_around_recto),
          service_({.workers = kWorkers, .ini = std::string(kIni), .memcached = std::move(options.memcached)}) {
        std::fprintf(stderr, "SEED=%u\n", seed());  // at once, whatever comes
        for (int author = 1; author <= kAuthors; ++author)
            BOOST_REQUIRE(done(service_.recto({"user", "add", author_name(author)})).starts_with(std::to_string(author) + ' '));
        for (auto& worker : service_.workers()) follow(worker);
        for (int i = 0; i < kClients; ++i) clients_.push_back(start("nginx", client_of_nginx));
        start_writers();
    }
    ~Trial() { ::munmap(&board_, sizeof board_); }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    Service& service() { return service_; }
    Random& random() { return random_; }

    // Again and again, until there are enough answers.
    void go_on_while(const std::function<void()>& something_happens, int rounds = kRounds) {
        const auto end = Moment::clock::now() + kPatience;
        for (int round = 0; round < rounds || board_.reads < kReads; ++round) {
            BOOST_REQUIRE_MESSAGE(Moment::clock::now() < end, "only " << board_.reads << " reads in " << round << " rounds");
            something_happens();
            rest();
        }
    }

    void rest() { std::this_thread::sleep_for(milliseconds(10 + any_of(random_, 140))); }

    void kill_a_worker() {
        const auto which = service_.workers().begin() + any_of(random_, kWorkers);
        const auto follower = direct_.begin() + (which - service_.workers().begin());
        which->kill();
        service_.workers().erase(which);
        must_end(*follower);
        direct_.erase(follower);
        allowed_failures_ += 1 + kClients + static_cast<int>(writers_.size());
        start_worker();
    }

    void kill_a_writer() {
        auto& victim = writers_.at(static_cast<std::size_t>(any_of(random_, static_cast<int>(writers_.size()))));
        victim.process.kill();
        victim = start_writer(static_cast<int>(&victim - writers_.data()));
    }

    // Whoever writes through Recto holds the memory too; a shell doesn't, and goes on.
    void remove_the_shared_memory_between_two_runs() {
        for (int i = 0; i < through_recto_; ++i) end(writers_.at(static_cast<std::size_t>(i)));
        for (auto& follower : direct_) end(follower);
        direct_.clear();
        service_.end_workers();
        allowed_failures_ += kClients + static_cast<int>(writers_.size());
        fs::remove_all(service_.runtime().path());
        rest();
        for (int i = 0; i < kWorkers; ++i) start_worker();
        for (int i = 0; i < through_recto_; ++i) writers_.at(static_cast<std::size_t>(i)) = start_writer(i);
    }

    // Nobody writes meanwhile, so that it is known what the backup holds.
    void back_up() {
        end_writers();
        // A shell leaves these when it deletes a post; `recto backup` refuses a database that has them.
        DatabaseShell(service_.folder() / "recto.db").run("DELETE FROM post_author WHERE post NOT IN (SELECT id FROM post)");
        (void)done(service_.recto({"backup", service_.folder() / "backup.db", "--force"}));
        backed_up_.clear();
        for (int number = 0; number < writer_count_; ++number) backed_up_.push_back(read_journal(journal_of(number)).posts);
        start_writers();
    }

    // For readers it is a write to all posts at once, which takes back even what they were shown last.
    void restore_the_backup() {
        end_writers();
        const auto begun = Moment::clock::now();
        (void)done(service_.recto({"restore", service_.folder() / "backup.db", "--no-keep"}));
        const auto ended = Moment::clock::now();
        for (int number = 0; number < writer_count_; ++number) {
            Journal journal(journal_of(number));
            for (const auto& [post, state] : backed_up_.at(static_cast<std::size_t>(number))) {
                journal.begins(state, begun);
                journal.done(kNoGrace, ended);
            }
        }
        rest();  // all that the backup holds is read before the next writes hide it
        start_writers();
    }

    void fill_memcached_until_it_evicts() {
        const auto before = evictions();
        for (int i = 0; evictions() < before + 20; ++i) {
            BOOST_REQUIRE(i < 4000);
            for (const int size : {500, 2000, 6000, 15'000})
                service_.memcached().put("junk" + std::to_string(random_()), std::string(static_cast<std::size_t>(size), 'x'));
        }
    }

    void all_answers_must_be_right() {
        for (auto* group : {&writers_, &clients_, &direct_})
            for (auto& helper : *group) end(helper);
        end(watch_);
        const auto [history, failures, slowest] = collected();
        const auto verdict = history.judge();
        std::fprintf(stderr,
                     "%zu reads of %zu writes: %zu wrong, the first after %zu; %zu without an answer (%d allowed); slowest %ld ms\n",
                     verdict.reads, board_.writes.load(), verdict.wrong, verdict.first.empty() ? verdict.reads : verdict.first.front().read,
                     failures.size(), allowed_failures_, slowest.count());
        BOOST_TEST(verdict.reads >= kReads);
        BOOST_TEST(static_cast<int>(failures.size()) <= allowed_failures_, join(failures, "\n"));
        if (allowed_failures_ == 0) BOOST_TEST(slowest.count() < kPatienceOfAWaiter.count(), "somebody waited in vain");
        BOOST_TEST(verdict.wrong == 0u, "SEED=" << seed() << ": " << verdict.wrong << " of " << verdict.reads);
        for (const auto& violation : verdict.first) BOOST_ERROR(violation.story);
    }

private:
    struct Helper {
        Process process;
        std::atomic<bool>* has_to_end;
    };

    Helper start(const std::string& kind, const std::function<void(Desk&)>& work) {
        return start_with(kind + '-' + std::to_string(started_), [work](Desk& desk, const fs::path&) { work(desk); });
    }

    static std::string name_of(int writer) { return "writer-" + std::to_string(writer); }
    [[nodiscard]] fs::path journal_of(int writer) const { return service_.folder() / (name_of(writer) + ".journal"); }

    Helper start_with(const std::string& name, const std::function<void(Desk&, const fs::path&)>& work) {
        auto& has_to_end = board_.has_to_end.at(started_++);
        const auto journal = service_.folder() / (name + ".journal");
        const auto chance = static_cast<unsigned>(random_());
        return {Process::forked([&] {
                    Desk desk{board_, has_to_end, service_.folder().path(), service_.port(), Journal(journal), Random(chance)};
                    work(desk, journal);
                }),
                &has_to_end};
    }

    Helper start_writer(int number) {
        const auto work = number < through_recto_ ? writer<ThroughRecto> : writer<AroundRecto>;
        return start_with(name_of(number), [=](Desk& desk, const fs::path& journal) { work(desk, journal, number); });
    }

    void start_writers() {
        for (int number = 0; number < writer_count_; ++number) writers_.push_back(start_writer(number));
    }

    void end_writers() {
        for (auto& writer : writers_) end(writer);
        writers_.clear();
    }

    void start_worker() {
        const auto starts = service_.lines_with("worker.start");
        service_.start_worker();
        BOOST_REQUIRE(eventually([&] { return service_.lines_with("worker.start") > starts; }));
        follow(service_.workers().back());
    }

    // All others stand still while we connect, so that this one it is who accepts.
    void follow(Process& worker) {
        for (auto& other : service_.workers())
            if (&other != &worker) other.freeze();
        FastcgiClient connection(service_.folder() / "recto.sock");
        const bool has_answered = connection.get("/api/blogs", "author_id=0").has_value();
        for (auto& other : service_.workers()) other.signal(SIGCONT);
        BOOST_REQUIRE(has_answered);
        direct_.push_back(start("worker", [&](Desk& desk) { client_of_a_worker(desk, connection); }));
    }

    static void must_end(Helper& helper) {
        const auto status = helper.process.wait(15s);
        BOOST_TEST_REQUIRE(status.has_value());
        BOOST_TEST(*status == 0);
    }

    static void end(Helper& helper) {
        *helper.has_to_end = true;
        must_end(helper);
    }

    std::int64_t evictions() {
        constexpr std::string_view kName = "STAT evictions ";
        const auto stats = service_.memcached().ask("stats\r\n", "END\r\n");
        return number_behind(kName, std::string_view(stats).substr(stats.find(kName)));
    }

    struct Collected {
        History history;
        std::vector<std::string> failures;
        milliseconds slowest{0};
    };

    Collected collected() {
        Collected all;
        auto& [history, failures, slowest] = all;
        for (const auto& file : fs::directory_iterator(service_.folder().path())) {
            if (file.path().extension() != ".journal") continue;
            auto record = read_journal(file.path());
            for (auto& write : record.writes) {
                write.visible_by = board_.standstills.after(write.committed_by, write.visible_by - write.committed_by);
                history.add(std::move(write));
            }
            std::vector<std::size_t> answers;
            for (const auto& body : record.bodies) answers.push_back(history.add_answer(posts_in(body)));
            for (const auto& read : record.answers) {
                slowest = std::max(slowest, std::chrono::ceil<milliseconds>(read.ended - read.begun));
                history.add(Read{read.author, read.begun, read.ended, answers.at(read.body), file.path().stem()});
            }
            failures.insert(failures.end(), record.failures.begin(), record.failures.end());
        }
        return all;
    }

    const int through_recto_;
    const int writer_count_;
    Random random_{seed()};
    FilesInMemory files_in_memory_;  // before the service
    Service service_;
    Board& board_ = Board::make();
    std::size_t started_ = 0;
    int allowed_failures_ = 0;
    Helper watch_ = start("watch", [](Desk& desk) { desk.board.standstills.watch(desk.has_to_end); });
    std::vector<Helper> direct_;  // one a worker, in the same order
    std::vector<Helper> clients_;
    std::vector<Helper> writers_;                      // first those through Recto
    std::vector<std::map<int, PostState>> backed_up_;  // by writer
};

}  // namespace

BOOST_AUTO_TEST_SUITE(consistency)

BOOST_AUTO_TEST_CASE(no_answer_is_stale_while_nothing_happens) {
    Trial trial;
    trial.go_on_while([] {});
    trial.all_answers_must_be_right();
}

// Nobody through Recto tells the others; only the workers' followers look.
BOOST_AUTO_TEST_CASE(no_answer_is_stale_for_longer_than_100_ms_when_only_shells_write) {
    Trial trial({.writers_through_recto = 0, .writers_around_recto = 2});
    trial.go_on_while([] {});
    trial.all_answers_must_be_right();
}

// And nothing looks while they stand still: the first requests afterwards come before the followers.
BOOST_AUTO_TEST_CASE(no_answer_is_stale_for_longer_than_100_ms_when_all_workers_stand_still) {
    Trial trial({.writers_through_recto = 0, .writers_around_recto = 2});
    trial.go_on_while([&] {
        for (auto& worker : trial.service().workers()) worker.freeze();
        std::this_thread::sleep_for(kGrace);
        trial.rest();
        for (auto& worker : trial.service().workers()) worker.signal(SIGCONT);
    });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_workers_are_killed) {
    Trial trial;
    trial.go_on_while([&] { trial.kill_a_worker(); });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_writers_are_killed) {
    Trial trial;
    trial.go_on_while([&] { trial.kill_a_writer(); });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_memcached_is_frozen) {
    Trial trial;
    trial.go_on_while([&] {
        trial.service().memcached().freeze();
        trial.rest();
        trial.service().memcached().thaw();
    });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_memcached_is_killed_and_comes_back) {
    Trial trial;
    trial.go_on_while([&] {
        trial.service().memcached().kill();
        trial.rest();
        trial.service().memcached().restart();
    });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_memcached_is_flushed) {
    Trial trial;
    trial.go_on_while([&] { trial.service().memcached().flush(); });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_memcached_evicts) {
    Trial trial({.memcached = kLittleMemory});
    trial.go_on_while([&] { trial.fill_memcached_until_it_evicts(); });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_the_shared_memory_is_removed_between_two_runs) {
    Trial trial;
    trial.go_on_while([&] { trial.remove_the_shared_memory_between_two_runs(); });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_one_epoch_follows_another) {
    Trial trial;
    trial.go_on_while([&] { (void)done(trial.service().recto({"cache", "flush"})); });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_a_backup_is_restored) {
    Trial trial;
    trial.back_up();
    trial.go_on_while([&] {
        trial.restore_the_backup();
        trial.rest();
        if (trial.random()() % 2 == 0) trial.back_up();
    });
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_CASE(no_answer_is_stale_when_all_of_it_happens_at_random) {
    Trial trial({.memcached = kLittleMemory});
    auto& memcached = trial.service().memcached();
    const std::vector<std::function<void()>> events{
        [&] { trial.kill_a_worker(); },
        [&] { trial.kill_a_writer(); },
        [&] { memcached.freeze(); },
        [&] { memcached.thaw(); },
        [&] { memcached.restart(); },
        [&] { memcached.thaw(), trial.fill_memcached_until_it_evicts(); },
        [&] { trial.remove_the_shared_memory_between_two_runs(); },
        [&] { trial.back_up(); },
        [&] { trial.restore_the_backup(); },
    };
    trial.back_up();
    trial.go_on_while([&] { events[trial.random()() % events.size()](); }, 4 * kRounds);
    trial.all_answers_must_be_right();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
