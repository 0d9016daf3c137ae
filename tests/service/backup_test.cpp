// Backup and restore under real workers: each of them is asked, with the answer in its memory and in memcached.
#define BOOST_TEST_MODULE backup_service
#include <boost/test/unit_test.hpp>

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "tests/support/blogs.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/service.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int kWorkers = 2;
constexpr int kDone = 0, kFailed = 1;

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// A service with one author, and a connection to each of its workers.
struct Site {
    Service service{{.workers = kWorkers, .ini = "[view blogs.by_author]\nthrottle = none\n"}};
    std::vector<FastcgiClient> connections;
    fs::path database = service.folder() / "recto.db";
    fs::path copy = service.folder() / "copy.db";
    std::string author;

    Site() {
        (void)done(service.recto({"user", "add", "Ada"}));
        author = split_list(done(service.sqlite("SELECT id FROM user")), '\n').at(0);
        write("Old");
        connect();
    }

    // All but one stand still while we connect, so that one it is who accepts.
    void connect() {
        connections.clear();
        for (auto& chosen : service.workers()) {
            for (auto& worker : service.workers())
                if (&worker != &chosen) worker.freeze();
            connections.emplace_back(service.folder() / "recto.sock");
            (void)connections.back().get("/api/blogs", "author_id=0");
            for (auto& worker : service.workers()) worker.signal(SIGCONT);
        }
    }

    void write(const std::string& title) const {
        (void)done(service.recto({"post", "set", "post", "--title", title, "--author", "Ada", "--status", "published"}));
    }

    // `200 Old hit`
    std::string ask(std::size_t worker) {
        const auto answer = connections.at(worker).get("/api/blogs", "author_id=" + author);
        if (!answer) return "no answer";
        const auto titles = answer->status == 200 ? join(titles_in(answer->body), ",") : "";
        return std::to_string(answer->status) + ' ' + titles + (answer->header("cache-status").starts_with("recto; hit") ? " hit" : "");
    }

    void expect_all(const std::string& title) {
        for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(has(ask(worker), "200 " + title), "worker " << worker);
    }

    void warm(const std::string& title) {
        for (std::size_t worker = 0; worker < kWorkers; ++worker)
            BOOST_TEST_REQUIRE(eventually([&] { return ask(worker) == "200 " + title + " hit"; }));
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(backup_and_restore)

BOOST_AUTO_TEST_CASE(what_was_restored_is_in_every_worker_s_next_answer) {
    Site site;
    const auto backed_up = site.service.recto({"backup", site.copy});
    BOOST_TEST(backed_up.status == kDone);
    BOOST_TEST(backed_up.output == site.copy.string() + ": posts 1, users 1\n");
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 3; ++i) site.write("Newer " + std::to_string(i));  // its numbers go beyond the backup's
        site.warm("Newer 2");
        const auto restored = site.service.recto({"restore", site.copy});
        BOOST_TEST(restored.status == kDone, restored.errors);
        site.expect_all("Old");
        BOOST_TEST(has(restored.output, "kept what was there as " + site.database.string() + ".before-restore-"), restored.output);
        BOOST_TEST(has(restored.output, site.database.string() + " is what " + site.copy.string() + " was: posts 1, users 1\n"),
                   restored.output);
        site.warm("Old");
        site.write("Next");
        site.expect_all("Next");
    }
    BOOST_TEST(site.service.lines_with("\"ev\":\"store.backup\"") == 1u);
    BOOST_TEST(site.service.lines_with("\"ev\":\"store.restore\"") == 5u);
    BOOST_TEST(site.service.lines_with("clock.un") == 0u);
}

// Readers of both workers and a writer go on through restore after restore; each restore is followed by a look at each worker.
BOOST_AUTO_TEST_CASE(reading_and_writing_go_on_while_it_is_restored) {
    Site site;
    (void)done(site.service.recto({"backup", site.copy}));
    std::atomic<bool> stop = false;
    std::atomic<int> answers = 0, written = 0;
    std::vector<std::string> wrong(3);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < 2; ++i)
            threads.emplace_back([&, i] {
                FastcgiClient client(site.service.folder() / "recto.sock");
                for (; !stop; ++answers)
                    if (const auto answer = client.get("/api/blogs", "author_id=" + site.author); !answer || answer->status != 200)
                        wrong[i] += answer ? std::to_string(answer->status) + ' ' : "none ";
            });
        threads.emplace_back([&] {
            for (; !stop; ++written) {
                const auto result = site.service.recto({"user", "add", "Somebody " + std::to_string(written)});
                if (result.status != kDone) wrong[2] += result.errors;
            }
        });
        for (int round = 0; round < 8; ++round) {
            const auto restored = site.service.recto({"restore", site.copy, "--no-keep"});
            BOOST_TEST(restored.status == kDone, restored.errors);
            site.expect_all("Old");
            site.write("Between");
            site.expect_all("Between");
        }
        stop = true;
    }
    for (const auto& problems : wrong) BOOST_TEST(problems == "");
    BOOST_TEST(answers > 100);
    BOOST_TEST(written > 0);
}

BOOST_AUTO_TEST_CASE(killed_at_any_moment_workers_show_the_old_or_the_new_state_and_go_on) {
    Site site;
    (void)done(
        site.service.sqlite("INSERT INTO tag (name, slug) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                            "SELECT i || hex(zeroblob(300)), i FROM n"));
    (void)done(site.service.recto({"backup", site.copy}));
    const auto begin = std::chrono::steady_clock::now();
    (void)done(site.service.recto({"restore", site.copy, "--no-keep"}));
    const auto once = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
    const UniqueFd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    std::mt19937 random(7);
    const char* const build = std::getenv("BUILD");
    for (int round = 0; round < 10; ++round) {
        const auto written = "Written " + std::to_string(round);
        site.write(written);
        site.warm(written);
        Process restore({std::string(build == nullptr ? "build" : build) + "/recto", "--config", site.service.folder() / "recto.ini",
                         "restore", site.copy, "--no-keep"},
                        {.output = nowhere.get()});
        std::this_thread::sleep_for(once * (random() % 110) / 100);
        restore.kill();
        // Committed or not; if it is, the followers may need a moment to say so.
        const auto title = done(site.service.sqlite("SELECT title FROM post"));
        BOOST_TEST((title == "Old\n" || title == written + '\n'), title);
        for (std::size_t worker = 0; worker < kWorkers; ++worker)
            BOOST_TEST(eventually([&] { return has(site.ask(worker), "200 " + title.substr(0, title.size() - 1)); }));
        BOOST_TEST(done(site.service.sqlite("PRAGMA integrity_check")) == "ok\n");
    }
    BOOST_TEST(done(site.service.recto({"restore", site.copy, "--no-keep"})) != "");
    site.expect_all("Old");
}

BOOST_AUTO_TEST_CASE(both_refuse_with_a_sentence_and_leave_everything_as_it_is) {
    Site site;
    site.warm("Old");
    fs::create_directory(site.service.folder() / "folder");
    replace_file(site.service.folder() / "text", std::string(5000, 'x'));
    (void)done(site.service.recto({"backup", site.copy}));
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"backup", site.copy}, "it exists already; --force replaces it"},
        {{"backup", site.database, "--force"}, "it is the live database"},
        {{"restore", site.database}, "it is the live database"},
        {{"restore", site.service.folder() / "folder"}, "it is a folder"},
        {{"restore", site.service.folder() / "text"}, "it is not an SQLite database"},
        {{"restore", site.service.folder() / "nothing"}, "there is no such file"},
    };
    for (const auto& [arguments, sentence] : cases) {
        BOOST_TEST_CONTEXT(join(arguments, " ")) {
            const auto result = site.service.recto(arguments);
            BOOST_TEST(result.status == kFailed);
            BOOST_TEST(result.output == "");
            BOOST_TEST(has(result.errors, sentence), result.errors);
        }
    }
    for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(site.ask(worker) == "200 Old hit");
    (void)done(site.service.recto({"backup", site.copy, "--force"}));
}

// What a shell leaves behind: it doesn't enforce foreign keys.
BOOST_AUTO_TEST_CASE(orphaned_rows_are_warned_of_and_no_reason_to_refuse) {
    Site site;
    site.warm("Old");
    (void)done(site.service.sqlite("INSERT INTO post_author (post, user, position) VALUES (77, " + site.author + ", 1)"));
    const std::pair<std::vector<std::string>, fs::path> cases[] = {{{"backup", site.copy}, site.copy},
                                                                   {{"restore", site.copy}, site.database}};
    for (const auto& [arguments, file] : cases) {
        const auto result = site.service.recto(arguments);
        BOOST_TEST(result.status == kDone, result.errors);
        BOOST_TEST(result.errors == "recto: warning: " + file.string() +
                                        ": references to rows that aren't there: 1; `PRAGMA foreign_key_check` lists them\n");
    }
    BOOST_TEST(site.service.lines_with("\"orphans\":1") == 1u);
    site.expect_all("Old");
}

// mv backup.db recto.db under running workers: they have another file open, beside a log that now seems to belong to the new one.
BOOST_AUTO_TEST_CASE(a_file_put_over_the_database_is_noticed_and_nothing_is_shown_or_written_any_more) {
    Site site;
    (void)done(site.service.recto({"backup", site.copy}));
    site.write("Newer");
    site.warm("Newer");
    fs::rename(site.copy, site.database);
    for (std::size_t worker = 0; worker < kWorkers; ++worker)
        BOOST_TEST(eventually([&] { return site.ask(worker).starts_with("503"); }), "worker " << worker);
    BOOST_TEST(eventually([&] { return site.service.lines_with("\"ev\":\"store.moved\"") == kWorkers; }));
    BOOST_TEST(site.service.lines_with("use `recto restore`") >= static_cast<std::size_t>(kWorkers));

    // As the sentence says.
    site.service.end_workers();
    for (const auto* suffix : {"-wal", "-shm"}) fs::remove(site.database.string() + suffix);
    for (int i = 0; i < kWorkers; ++i) site.service.start_worker();
    site.connect();
    site.expect_all("Old");
    site.write("Next");
    site.expect_all("Next");
    BOOST_TEST(done(site.service.sqlite("PRAGMA integrity_check")) == "ok\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
