// No answer is older than the last change: each worker is asked on a connection of its own, with the answer in its memory.
#define BOOST_TEST_MODULE freshness
#include <fcntl.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <latch>
#include <thread>

#include "tests/support/blogs.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/service.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using std::chrono::microseconds;

constexpr std::string_view kNoLimits = "[view blogs.by_author]\nthrottle = none\n";
constexpr int kWorkers = 2;

struct Answer {
    std::string body;
    bool hit = false;

    [[nodiscard]] std::vector<std::string> titles() const { return titles_in(body); }
    [[nodiscard]] std::string only_title() const {
        const auto all = titles();
        return all.size() == 1 ? all[0] : std::to_string(all.size()) + " posts";
    }
};

// A service, and a connection to each of its workers.
struct Workers {
    Service service{{.workers = kWorkers, .ini = std::string(kNoLimits)}};
    std::vector<FastcgiClient> connections;

    Workers() { connect(); }

    // All but one stand still while we connect, so that one it is who accepts.
    void connect() {
        connections.clear();
        for (auto& chosen : service.workers()) {
            for (auto& worker : service.workers())
                if (&worker != &chosen) worker.freeze();
            connections.emplace_back(service.folder() / "recto.sock");
            ask(connections.size() - 1, "0");
            for (auto& worker : service.workers()) worker.signal(SIGCONT);
        }
    }

    Answer ask(std::size_t worker, const std::string& author) {
        const auto answer = connections.at(worker).get("/api/blogs", "author_id=" + author);
        BOOST_TEST_REQUIRE(answer.has_value());
        BOOST_TEST_REQUIRE(answer->status == 200);
        return {answer->body, answer->header("cache-status").starts_with("recto; hit")};
    }

    static Workers& shared() {
        static Workers workers;
        return workers;
    }
};

// Two authors with a post each, and nothing else: the tables are emptied before each case.
struct Fixture {
    Workers& workers;
    Service& service = workers.service;
    std::string ada, bob;

    explicit Fixture(Workers& those = Workers::shared()) : workers(those) {
        (void)done(service.sqlite("PRAGMA foreign_keys = ON; DELETE FROM post_author; DELETE FROM post; DELETE FROM user;"));
        ada = add_author("Ada", "post");
        bob = add_author("Bob", "other");
    }

    std::string add_author(const std::string& name, const std::string& slug) {
        const auto id = split_list(done(service.recto({"user", "add", name})), ' ').at(0);
        (void)done(service.recto({"post", "set", slug, "--title", slug, "--author", name, "--status", "published"}));
        return id;
    }

    Answer ask(std::size_t worker, const std::string& author) { return workers.ask(worker, author); }

    // Until each worker answers from its cache.
    void warm(const std::string& author) {
        for (std::size_t worker = 0; worker < kWorkers; ++worker) {
            ask(worker, author);
            BOOST_TEST(ask(worker, author).hit);
        }
    }

    void set(const std::vector<std::string>& options) {
        std::vector<std::string> arguments{"post", "set"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        (void)done(service.recto(arguments));
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(freshness, Fixture)

BOOST_AUTO_TEST_CASE(the_connections_reach_each_worker) {
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        const auto unknown = std::to_string(7000 + worker);
        ask(worker, unknown);
        const auto pid = ' ' + std::to_string(service.workers()[worker].pid()) + ' ';
        BOOST_TEST(eventually([&] {
            const auto lines = split_list(service.log(), '\n');
            return std::ranges::any_of(lines, [&](const std::string& line) {
                return line.find(pid) != std::string::npos && line.find("\"author_id\":\"" + unknown + '"') != std::string::npos;
            });
        }));
    }
}

BOOST_AUTO_TEST_CASE(a_post_changed_by_recto_is_in_the_very_next_answer_of_all_workers) {
    for (int round = 0; round < 50; ++round) {
        warm(ada);
        const auto title = "Title " + std::to_string(round);
        set({"post", "--title", title});
        const auto first = static_cast<std::size_t>(round) % kWorkers;  // each is the first to be asked in turn
        BOOST_TEST(ask(first, ada).only_title() == title);
        BOOST_TEST(ask(1 - first, ada).only_title() == title);
        BOOST_TEST(blogs_in(service.client().get("/api/blogs?author_id=" + ada).body).at(0).at("title").as_string() == title);
    }
}

BOOST_AUTO_TEST_CASE(another_author_s_answer_stays_a_hit) {
    warm(bob);
    set({"post", "--title", "Changed"});
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(ask(worker, ada).only_title() == "Changed");
        BOOST_TEST(ask(worker, bob).hit);
    }
}

BOOST_AUTO_TEST_CASE(a_post_changed_in_the_database_s_shell_is_shown_within_100_ms) {
    std::vector<microseconds> lags;
    for (int round = 0; round < 20; ++round) {
        warm(ada);
        const auto title = "Shell " + std::to_string(round);
        const auto printed = done(service.sqlite("UPDATE post SET title = '" + title +
                                                 "' WHERE slug = 'post';\n"
                                                 "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER);"));
        const std::chrono::system_clock::time_point committed{microseconds(std::stoll(printed))};
        std::vector<microseconds> lag(kWorkers, microseconds(-1));
        BOOST_TEST(eventually([&] {
            for (std::size_t worker = 0; worker < kWorkers; ++worker) {
                if (lag[worker] >= 0us) continue;
                const auto answer = ask(worker, ada);
                if (answer.only_title() == title)
                    lag[worker] = std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now() - committed);
            }
            return std::ranges::min(lag) >= 0us;
        }));
        lags.insert(lags.end(), lag.begin(), lag.end());
    }
    std::ranges::sort(lags);
    BOOST_TEST_MESSAGE("from COMMIT to the answer: median " << lags[lags.size() / 2].count() << " us, most " << lags.back().count()
                                                            << " us");
    BOOST_TEST((lags[lags.size() / 2] <= 100ms), lags[lags.size() / 2].count());
    BOOST_TEST((lags.back() <= 1s), lags.back().count());  // the tests' machine may be busy with something else
}

// A paused machine, or one that gives the workers no time: their followers can't look meanwhile, and the first requests come before them.
BOOST_AUTO_TEST_CASE(a_shell_s_change_made_while_all_workers_stood_still_is_in_their_next_answer) {
    for (int round = 0; round < 25; ++round) {
        warm(ada);
        const auto title = "Frozen " + std::to_string(round);
        for (auto& worker : service.workers()) worker.freeze();
        (void)done(service.sqlite("UPDATE post SET title = '" + title + "' WHERE slug = 'post';"));
        const auto promised = std::chrono::steady_clock::now() + 100ms;
        std::this_thread::sleep_until(promised);
        for (auto& worker : service.workers()) worker.signal(SIGCONT);
        for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).only_title() == title);
    }
}

BOOST_AUTO_TEST_CASE(once_one_worker_has_shown_a_change_no_other_shows_the_former) {
    for (int round = 0; round < 10; ++round) {
        warm(ada);
        const auto title = "Shown " + std::to_string(round);
        (void)done(service.sqlite("UPDATE post SET title = '" + title + "' WHERE slug = 'post';"));
        const auto first = static_cast<std::size_t>(round) % kWorkers;
        BOOST_TEST(eventually([&] { return ask(first, ada).only_title() == title; }));
        BOOST_TEST(ask(1 - first, ada).only_title() == title);
    }
}

BOOST_AUTO_TEST_CASE(a_transaction_that_is_rolled_back_changes_nothing) {
    warm(ada);
    warm(bob);
    const auto before = ask(0, ada);
    (void)done(service.sqlite("BEGIN IMMEDIATE; UPDATE post SET title = 'Never' WHERE slug = 'post'; ROLLBACK;"));
    // A change after it uses the same numbers of the clock; once it is seen, the other would have been, too.
    (void)done(service.sqlite("UPDATE post SET title = 'Really' WHERE slug = 'other';"));
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(eventually([&] { return ask(worker, bob).only_title() == "Really"; }));
        const auto after = ask(worker, ada);
        BOOST_TEST(after.hit);
        BOOST_TEST(after.body == before.body);
    }
}

BOOST_AUTO_TEST_CASE(an_open_transaction_of_a_shell_is_not_shown_until_it_commits) {
    warm(ada);
    const auto before = ask(0, ada);
    const auto in = service.folder() / "pipe";
    (void)done(run_command({"mkfifo", in}));
    Process shell({"sh", "-c", "exec sqlite3 \"$1\" <\"$2\"", "sh", service.folder() / "recto.db", in});
    UniqueFd pipe(::open(in.c_str(), O_WRONLY | O_CLOEXEC));
    const auto type = [&](std::string_view text) {
        BOOST_TEST_REQUIRE(::write(pipe.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    };
    type("BEGIN IMMEDIATE;\nUPDATE post SET title = 'Committed' WHERE slug = 'post';\n.shell touch '" +
         (service.folder() / "written").string() + "'\n");
    BOOST_TEST_REQUIRE(eventually([&] { return fs::exists(service.folder() / "written"); }));
    for (int i = 0; i < 20; ++i)
        for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).body == before.body);
    type("COMMIT;\n");
    for (std::size_t worker = 0; worker < kWorkers; ++worker)
        BOOST_TEST(eventually([&] { return ask(worker, ada).only_title() == "Committed"; }));
    pipe.reset();
    BOOST_TEST(shell.wait(10s).value_or(-1) == 0);
}

BOOST_AUTO_TEST_CASE(a_deleted_post_is_gone_at_once) {
    warm(ada);
    (void)done(service.recto({"post", "delete", "post"}));
    for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).titles().empty());
}

BOOST_AUTO_TEST_CASE(a_post_that_is_no_longer_published_is_gone_at_once) {
    for (const std::string status : {"archived", "draft"}) {
        warm(ada);
        set({"post", "--status", status});
        for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).titles().empty(), status);
        warm(ada);
        (void)done(service.recto({"post", "publish", "post"}));
        for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).only_title() == "post", status);
    }
}

BOOST_AUTO_TEST_CASE(a_first_post_ends_the_empty_answer) {
    const auto cora = split_list(done(service.recto({"user", "add", "Cora"})), ' ').at(0);
    warm(cora);
    set({"new", "--title", "New", "--author", "Cora", "--status", "published"});
    for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, cora).only_title() == "New");
}

BOOST_AUTO_TEST_CASE(an_answer_for_an_id_that_nobody_has_yet_ends_too) {
    const auto next = std::to_string(std::stoi(bob) + 1);
    warm(next);
    BOOST_TEST(add_author("Dora", "doras") == next);
    for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, next).only_title() == "doras");
}

BOOST_AUTO_TEST_CASE(a_post_given_to_another_author_changes_both_answers) {
    warm(ada);
    warm(bob);
    set({"post", "--author", "Bob"});
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(ask(worker, ada).titles().empty());
        BOOST_TEST(ask(worker, bob).titles() == (std::vector<std::string>{"other", "post"}), boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(authors_that_change_their_order_change_both_answers) {
    set({"post", "--author", "Ada", "--author", "Bob"});
    const auto first_author = [&](std::size_t worker, const std::string& author) {
        for (const auto& post : blogs_in(ask(worker, author).body))
            if (post.at("slug").as_string() == "post") return std::to_string(post.at("author_id").as_int64());
        return std::string("none");
    };
    warm(ada);
    warm(bob);
    BOOST_TEST(first_author(0, bob) == ada);
    set({"post", "--author", "Bob", "--author", "Ada"});
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(first_author(worker, ada) == bob);
        BOOST_TEST(first_author(worker, bob) == bob);
    }
}

BOOST_AUTO_TEST_CASE(an_author_s_removal_in_the_shell_is_noticed) {
    set({"post", "--author", "Ada", "--author", "Bob"});
    warm(ada);
    warm(bob);
    (void)done(service.sqlite("DELETE FROM post_author WHERE user = " + bob + ";"));
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(eventually([&] { return ask(worker, bob).titles().empty(); }));
        BOOST_TEST(ask(worker, ada).only_title() == "post");
    }
}

BOOST_AUTO_TEST_CASE(replace_in_the_shell_counts_as_a_change) {
    warm(ada);
    (void)done(service.sqlite("UPDATE OR REPLACE post SET slug = 'other' WHERE slug = 'post';"));  // and Bob's is gone
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(eventually([&] { return ask(worker, bob).titles().empty(); }));
        BOOST_TEST(eventually([&] { return blogs_in(ask(worker, ada).body).at(0).at("slug").as_string() == "other"; }));
    }
}

// The schema's number moves, so that it is seen although the triggers are right each time the workers look.
BOOST_AUTO_TEST_CASE(a_change_behind_triggers_that_are_swapped_is_noticed) {
    const auto triggers = done(service.sqlite("SELECT sql || ';' FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'post%';"));
    const auto drops =
        done(service.sqlite("SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_schema WHERE type = 'trigger' "
                            "AND name LIKE 'post%';"));
    for (int round = 0; round < 3; ++round) {
        warm(ada);
        const auto title = "Hidden " + std::to_string(round);
        (void)done(service.sqlite("BEGIN IMMEDIATE; " + drops + "UPDATE post SET title = '" + title + "' WHERE slug = 'post'; " + triggers +
                                  "COMMIT;"));
        for (std::size_t worker = 0; worker < kWorkers; ++worker)
            BOOST_TEST(eventually([&] { return ask(worker, ada).only_title() == title; }));
        warm(ada);  // and it is cached again
    }
}

BOOST_AUTO_TEST_CASE(an_import_is_in_the_very_next_answer) {
    const auto folder = service.folder() / "posts";
    fs::create_directories(folder);
    for (int round = 0; round < 3; ++round) {
        warm(ada);
        const auto title = "Imported " + std::to_string(round);
        replace_file(folder / "imported.md", "---\ntitle: " + title + "\nauthor: Ada\ndate: 2026-01-01\n---\nText.\n");
        (void)done(service.recto({"import", folder}));
        for (std::size_t worker = 0; worker < kWorkers; ++worker)
            BOOST_TEST(ask(worker, ada).titles() == (std::vector<std::string>{"post", title}), boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(the_operator_s_invalidation_makes_the_next_answer_a_miss) {
    warm(ada);
    warm(bob);
    const auto before = service.lines_with("Fetching blogs from database");
    (void)done(service.recto({"cache", "invalidate", "post:author=" + ada}));
    const auto answer = ask(0, ada);
    BOOST_TEST(!answer.hit);
    BOOST_TEST(service.lines_with("Fetching blogs from database") == before + 1);
    BOOST_TEST(ask(1, bob).hit);
}

BOOST_AUTO_TEST_CASE(nothing_cached_survives_the_end_of_memcached_or_its_return) {
    warm(ada);
    service.memcached().kill();
    set({"post", "--title", "While it was down"});
    for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).only_title() == "While it was down");
    service.memcached().restart();
    set({"post", "--title", "Back again"});
    for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).only_title() == "Back again");
}

BOOST_AUTO_TEST_CASE(a_restored_old_database_is_the_truth_and_nothing_newer_is_shown) {
    set({"post", "--title", "Old"});
    const auto copy = service.folder() / "copy.db";
    (void)done(service.sqlite("VACUUM INTO '" + copy.string() + "';"));
    for (int i = 0; i < 5; ++i) set({"post", "--title", "Newer " + std::to_string(i)});
    set({"other", "--title", "Newer, too"});
    warm(ada);
    warm(bob);

    service.end_workers();
    for (const auto* suffix : {"", "-wal", "-shm"}) fs::remove(service.folder() / (std::string("recto.db") + suffix));
    fs::copy_file(copy, service.folder() / "recto.db");
    for (int i = 0; i < kWorkers; ++i) service.start_worker();
    workers.connect();
    for (std::size_t worker = 0; worker < kWorkers; ++worker) {
        BOOST_TEST(ask(worker, ada).only_title() == "Old");
        BOOST_TEST(ask(worker, bob).only_title() == "other");
    }
    // The clock of the old file reaches the numbers that the lost changes had.
    for (int i = 0; i < 8; ++i) {
        (void)done(service.recto({"user", "add", "Somebody " + std::to_string(i)}));
        for (std::size_t worker = 0; worker < kWorkers; ++worker) {
            BOOST_TEST(ask(worker, ada).only_title() == "Old");
            BOOST_TEST(ask(worker, bob).only_title() == "other");
        }
    }
}

// Each epoch has half a megabyte of shared memory; a file that is mapped needs it also when it has no name any more.
BOOST_AUTO_TEST_CASE(a_flush_leaves_nothing_of_the_epoch_before_in_the_workers) {
    const auto left_in = [](Process& worker) {
        const auto maps = split_list(read_file("/proc/" + std::to_string(worker.pid()) + "/maps"), '\n');
        return std::ranges::count_if(maps,
                                     [](const auto& line) { return line.find("/clock-v") != line.npos && line.ends_with(" (deleted)"); });
    };
    for (int flushes = 0; flushes < 5; ++flushes) {
        warm(ada);
        (void)done(service.recto({"cache", "flush"}));
        for (std::size_t worker = 0; worker < kWorkers; ++worker) BOOST_TEST(ask(worker, ada).only_title() == "post");
    }
    for (auto& worker : service.workers()) BOOST_TEST(left_in(worker) == 0);
}

// Both workers; each time the answer is gone from both and from memcached.
BOOST_AUTO_TEST_CASE(of_64_clients_who_miss_at_once_one_makes_the_host_compute) {
    for (int round = 0; round < 5; ++round) {
        (void)done(service.recto({"cache", "invalidate", "post:author=" + ada}));
        const auto before = service.lines_with("Fetching blogs from database");
        std::atomic<int> good = 0;
        std::latch together(64);
        {
            std::vector<std::jthread> clients;
            for (int i = 0; i < 64; ++i)
                clients.emplace_back([&] {
                    auto client = service.client();
                    together.arrive_and_wait();
                    good += client.get("/api/blogs?author_id=" + ada).status == 200;
                });
        }
        BOOST_TEST(good == 64);
        BOOST_TEST(service.lines_with("Fetching blogs from database") == before + 1);
    }
}

BOOST_AUTO_TEST_CASE(writers_in_parallel_are_each_in_the_answer_after_they_have_ended) {
    set({"post", "--author", "Ada"});
    std::vector<std::string> wrong(3);
    {
        std::vector<std::jthread> writers;
        for (std::size_t w = 0; w < wrong.size(); ++w) {
            writers.emplace_back([&, w] {
                auto client = service.client();
                const auto slug = "parallel-" + std::to_string(w);
                for (int i = 0; i < 8; ++i) {
                    const auto title = slug + " " + std::to_string(i);
                    if (service.recto({"post", "set", slug, "--title", title, "--author", "Ada", "--status", "published"}).status != 0)
                        wrong[w] += "could not write " + title + "; ";
                    if (client.get("/api/blogs?author_id=" + ada).body.find(json_string(title)) == std::string::npos)
                        wrong[w] += "no " + title + "; ";
                }
            });
        }
    }
    for (const auto& problems : wrong) BOOST_TEST(problems == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
