#define BOOST_TEST_MODULE migration
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/schema.hpp"
#include "tests/support/next_schema.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

struct Folder {
    TemporaryFolder folder;
    StoreOptions options{folder.path() / "data" / "blog.db", folder.path() / "run", 5000ms};

    [[nodiscard]] fs::path backup(int number) const { return options.file.string() + ".before-" + std::to_string(number); }
};

std::int64_t number(const fs::path& file, std::string_view sql) { return Connection(file, Connection::Mode::read, 5000ms).integer(sql); }

void run(const fs::path& file, const std::string& sql) { Connection(file, Connection::Mode::create, 5000ms).run_script(sql); }

std::string sentence_of(const std::function<void()>& code) {
    try {
        code();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

const std::int64_t kNow = current_schema().number();

// A database as an earlier version of this program made it.
void make_database(const fs::path& file, std::int64_t version) {
    fs::create_directories(file.parent_path());
    Connection connection(file, Connection::Mode::create, 5000ms);
    for (const auto& step : current_schema().migrations.first(static_cast<std::size_t>(version)))
        connection.run_script(std::string(step.text));
    connection.run_script(std::string(current_schema().triggers));
    connection.run_script("UPDATE clock SET epoch = 5; PRAGMA user_version = " + std::to_string(version));
}

constexpr auto kUser = "INSERT INTO user (name, slug, created_at) VALUES ('ada', 'ada', 0)";

}  // namespace

BOOST_AUTO_TEST_SUITE(migration)

BOOST_AUTO_TEST_CASE(a_new_database_is_private_and_complete) {
    Folder folder;
    const auto applied = migrate(folder.options);
    BOOST_REQUIRE(applied.size() == static_cast<std::size_t>(kNow));
    for (int i = 0; i < kNow; ++i) BOOST_TEST(applied[static_cast<std::size_t>(i)].number == i + 1);
    BOOST_TEST(applied[0].name == "initial");
    BOOST_CHECK(fs::status(folder.options.file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    BOOST_TEST(number(folder.options.file, "PRAGMA user_version") == kNow);
    BOOST_TEST(number(folder.options.file, "SELECT epoch > 0 FROM clock") == 1);
    for (int i = 1; i <= kNow; ++i) BOOST_TEST(!fs::exists(folder.backup(i)));
    BOOST_CHECK_NO_THROW(Store::open(folder.options));
}

BOOST_AUTO_TEST_CASE(a_second_run_changes_nothing) {
    Folder folder;
    migrate(folder.options);
    const auto epoch = number(folder.options.file, "SELECT epoch FROM clock");
    const auto schema = number(folder.options.file, "PRAGMA schema_version");
    BOOST_TEST(migrate(folder.options).empty());
    BOOST_TEST(number(folder.options.file, "SELECT epoch FROM clock") == epoch);
    BOOST_TEST(number(folder.options.file, "PRAGMA schema_version") == schema);
}

BOOST_AUTO_TEST_CASE(a_migration_keeps_a_copy_and_begins_a_new_epoch) {
    Folder folder;
    migrate(folder.options);
    run(folder.options.file, kUser);
    const auto epoch = number(folder.options.file, "SELECT epoch FROM clock");

    const NextSchema next("ALTER TABLE user ADD COLUMN password TEXT; UPDATE user SET name = 'Ada';");
    const auto applied = migrate(folder.options, next.schema);
    BOOST_REQUIRE(applied.size() == 1);
    BOOST_TEST(applied[0].number == kNow + 1);
    BOOST_TEST(applied[0].name == "more");
    BOOST_TEST(number(folder.options.file, "SELECT count(*) FROM user WHERE name = 'Ada' AND password IS NULL") == 1);
    BOOST_TEST(number(folder.options.file, "SELECT epoch FROM clock") > epoch);

    const auto kept = folder.backup(static_cast<int>(kNow + 1));
    BOOST_TEST(number(kept, "PRAGMA user_version") == kNow);
    BOOST_TEST(number(kept, "SELECT count(*) FROM user WHERE name = 'ada'") == 1);
    BOOST_TEST(number(kept, "SELECT epoch FROM clock") == epoch);
    BOOST_CHECK(fs::status(kept).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    BOOST_TEST(!fs::exists(kept.string() + ".unfinished"));
}

BOOST_AUTO_TEST_CASE(a_table_that_others_refer_to_can_be_rebuilt) {
    Folder folder;
    migrate(folder.options);
    run(folder.options.file, std::string(kUser) + "; INSERT INTO token (hash, user, created_at) VALUES ('ff', 1, 0)");
    const NextSchema next(R"(
        CREATE TABLE new_user (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, slug TEXT NOT NULL UNIQUE,
                               active INTEGER NOT NULL DEFAULT 1, created_at INTEGER NOT NULL, email TEXT) STRICT;
        INSERT INTO new_user SELECT *, NULL FROM user;
        DROP TABLE user;
        ALTER TABLE new_user RENAME TO user;)");
    BOOST_TEST(migrate(folder.options, next.schema).size() == 1u);
    BOOST_TEST(number(folder.options.file, "SELECT count(*) FROM token JOIN user ON user.id = token.user") == 1);
    Connection connection(folder.options.file, Connection::Mode::read, 5000ms);
    BOOST_CHECK(triggers_of(connection) == expected_triggers(next.schema));
}

BOOST_AUTO_TEST_CASE(a_migration_that_fails_leaves_everything_as_it_was) {
    for (const auto* broken : {"ALTER TABLE user ADD COLUMN x TEXT; SELECT nonsense;", "PRAGMA foreign_keys = ON; DELETE FROM user;"}) {
        BOOST_TEST_CONTEXT(broken) {
            Folder folder;
            migrate(folder.options);
            run(folder.options.file, std::string(kUser) + "; INSERT INTO token (hash, user, created_at) VALUES ('ff', 1, 0)");
            const auto epoch = number(folder.options.file, "SELECT epoch FROM clock");
            const NextSchema next(broken);
            BOOST_CHECK_THROW(migrate(folder.options, next.schema), std::runtime_error);
            BOOST_TEST(number(folder.options.file, "PRAGMA user_version") == kNow);
            BOOST_TEST(number(folder.options.file, "SELECT count(*) FROM token JOIN user ON user.id = token.user") == 1);
            BOOST_TEST(number(folder.options.file, "SELECT epoch FROM clock") == epoch);
            BOOST_TEST(migrate(folder.options).empty());  // the triggers are there too
        }
    }
}

BOOST_AUTO_TEST_CASE(orphans_are_no_obstacle_but_a_migration_may_not_make_any) {
    Folder folder;
    migrate(folder.options);
    run(folder.options.file, std::string(kUser) +
                                 "; PRAGMA foreign_keys = OFF; INSERT INTO token (hash, user, created_at) VALUES ('aa', 1, 0), "
                                 "('bb', 7, 0)");
    const auto said = sentence_of([&] { migrate(folder.options, NextSchema("DELETE FROM user;").schema); });
    BOOST_TEST(said.find("rows of it would refer to rows that aren't there") != std::string::npos, said);
    BOOST_TEST(number(folder.options.file, "PRAGMA user_version") == kNow);
    BOOST_TEST(migrate(folder.options, NextSchema("ALTER TABLE user ADD COLUMN email TEXT;").schema).size() == 1u);
    BOOST_TEST(number(folder.options.file, "SELECT count(*) FROM token") == 2);
}

// A database as the first version made it, with posts that it imported.
BOOST_AUTO_TEST_CASE(imported_posts_of_before_keep_all_they_have_and_their_source_is_unknown) {
    Folder folder;
    fs::create_directories(folder.options.file.parent_path());
    run(folder.options.file, std::string(current_schema().migrations[0].text) + "PRAGMA user_version = 1;" + kUser + R"(;
        INSERT INTO tag (name, slug) VALUES ('t', 't');
        INSERT INTO post (id, slug, title, excerpt, status, published_at, created_at, updated_at, language, extra, source_path, source_hash,
                          imported_at, body) VALUES
            (1, 's', 'T', 'e', 'published', 5, 6, 8, 'fr', '{"k":1}', 'a/b.md', 'ff', 7, 'Body'),
            (2, 'hand', 'By hand', '', 'draft', NULL, 6, 7, '', '{}', NULL, NULL, NULL, ''), (9, 'gone', 'Gone', '', 'draft', NULL, 6, 7, '',
             '{}', NULL, NULL, NULL, '');
        DELETE FROM post WHERE id = 9;
        INSERT INTO post_author VALUES (1, 1, 0); INSERT INTO post_tag VALUES (1, 1))");
    migrate(folder.options);
    const auto& file = folder.options.file;
    BOOST_TEST(number(file,
                      "SELECT count(*) FROM post WHERE (slug, title, excerpt, status, published_at, created_at, updated_at, language, "
                      "extra, source, source_path, source_hash, imported_at, body) = "
                      "('s', 'T', 'e', 'published', 5, 6, 8, 'fr', '{\"k\":1}', '', 'a/b.md', 'ff', 7, 'Body')") == 1);
    BOOST_TEST(number(file, "SELECT count(*) FROM post WHERE slug = 'hand' AND source IS NULL AND source_path IS NULL") == 1);
    BOOST_TEST(number(file, "SELECT count(*) FROM post JOIN post_author ON post = id JOIN post_tag USING (post)") == 1);
    run(file,
        "INSERT INTO post (slug, title, created_at, updated_at, body, source, source_path) VALUES ('n', 'n', 0, 0, '', '/b', 'a/b.md')");
    BOOST_TEST(number(file, "SELECT id FROM post WHERE slug = 'n'") == 10);  // 9 was given out once
    BOOST_CHECK_THROW(run(file,
                          "INSERT INTO post (slug, title, created_at, updated_at, body, source, source_path) "
                          "VALUES ('m', 'm', 0, 0, '', '/b', 'a/b.md')"),
                      std::runtime_error);
    const auto described = [](const fs::path& database) {
        Connection connection(database, Connection::Mode::read, 5000ms);
        std::string text;
        for (auto rows = connection.query("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name"); rows.next();)
            text += std::string(rows.text(0)) + ' ';
        return text;
    };
    Folder fresh;
    migrate(fresh.options);
    BOOST_TEST(described(file) == described(fresh.options.file));
}

BOOST_AUTO_TEST_CASE(lost_triggers_are_put_back_with_a_new_epoch) {
    Folder folder;
    migrate(folder.options);
    const auto epoch = number(folder.options.file, "SELECT epoch FROM clock");
    run(folder.options.file, "DROP TRIGGER user_before_delete; CREATE TRIGGER \"o\"\"dd\" AFTER INSERT ON tag BEGIN SELECT 1; END");
    BOOST_TEST(migrate(folder.options).empty());
    BOOST_TEST(number(folder.options.file, "SELECT epoch FROM clock") > epoch);
    Connection connection(folder.options.file, Connection::Mode::read, 5000ms);
    BOOST_CHECK(triggers_of(connection) == expected_triggers());
}

// Else the first look at a database, or the first ANALYZE, would begin another epoch.
BOOST_AUTO_TEST_CASE(the_clock_knows_the_schema_that_migrate_left) {
    const auto is_known = [](const fs::path& file) {
        return number(file, "SELECT schema_version = (SELECT schema_version FROM pragma_schema_version) FROM clock") == 1;
    };
    Folder fresh;
    migrate(fresh.options);
    BOOST_TEST(is_known(fresh.options.file));
    BOOST_TEST(number(fresh.options.file, "PRAGMA schema_version") > 1000);  // as high as no dump comes to by counting
    run(fresh.options.file, std::string(kUser) + "; ANALYZE; PRAGMA optimize; REINDEX; PRAGMA user_version = " + std::to_string(kNow));
    BOOST_TEST(is_known(fresh.options.file));

    run(fresh.options.file, "DROP TRIGGER user_before_delete");
    BOOST_TEST(!is_known(fresh.options.file));
    migrate(fresh.options);
    BOOST_TEST(is_known(fresh.options.file));

    for (int version = 1; version < kNow; ++version) BOOST_TEST_CONTEXT(version) {
            Folder old;
            make_database(old.options.file, version);
            BOOST_TEST(migrate(old.options).size() == static_cast<std::size_t>(kNow - version));
            BOOST_TEST(is_known(old.options.file));
            BOOST_TEST(fs::exists(old.backup(version + 1)));
            BOOST_CHECK_NO_THROW(Store::open(old.options));
        }
}

// `.dump` loses the number that says which schema it has (`.recover` of Debian 12 fails on every file).
BOOST_AUTO_TEST_CASE(a_database_from_a_dump_is_recognized_by_its_columns) {
    for (const auto version : {std::int64_t{1}, kNow}) BOOST_TEST_CONTEXT("schema " << version) {
            Folder from, to;
            make_database(from.options.file, version);
            run(from.options.file, kUser);
            fs::create_directories(to.options.file.parent_path());
            const auto command = "sqlite3 '" + from.options.file.string() + "' .dump | sqlite3 -bail '" + to.options.file.string() + "'";
            BOOST_REQUIRE(std::system(command.c_str()) == 0);
            BOOST_TEST(number(to.options.file, "PRAGMA user_version") == 0);
            BOOST_TEST(sentence_of([&] { (void)Store::open(to.options); }).find("run `recto migrate`") != std::string::npos);
            BOOST_TEST(migrate(to.options).size() == static_cast<std::size_t>(kNow - version));
            BOOST_TEST(number(to.options.file, "PRAGMA user_version") == kNow);
            BOOST_TEST(number(to.options.file, "SELECT count(*) FROM user WHERE name = 'ada'") == 1);
            BOOST_TEST(number(to.options.file, "SELECT epoch FROM clock") > 5);
            BOOST_TEST(Store::open(to.options).clock().read().is_trusted());
        }
}

BOOST_AUTO_TEST_CASE(what_is_not_ours_to_open_is_refused_with_a_sentence) {
    Folder missing;
    const auto said = sentence_of([&] { (void)Store::open(missing.options); });
    BOOST_TEST(said.find("blog.db: there is no such database; `recto migrate` makes one") != std::string::npos, said);
    BOOST_TEST(!fs::exists(missing.options.file));

    Folder empty;
    fs::create_directories(empty.options.file.parent_path());
    run(empty.options.file, "PRAGMA user_version");
    BOOST_TEST(sentence_of([&] { (void)Store::open(empty.options); }).find("run `recto migrate`") != std::string::npos);

    Folder newer;
    const NextSchema next("CREATE TABLE later (id INTEGER)");
    migrate(newer.options, next.schema);
    BOOST_TEST(sentence_of([&] { (void)Store::open(newer.options); }).find("install a newer Recto") != std::string::npos);
    BOOST_TEST(sentence_of([&] { migrate(newer.options); }).find("install a newer Recto") != std::string::npos);

    Folder foreign;
    fs::create_directories(foreign.options.file.parent_path());
    run(foreign.options.file, "CREATE TABLE recipes (id INTEGER)");
    BOOST_TEST(sentence_of([&] { migrate(foreign.options); }).find("not Recto's") != std::string::npos);

    Folder garbage;
    fs::create_directories(garbage.options.file.parent_path());
    std::ofstream(garbage.options.file) << std::string(5000, 'x');
    BOOST_TEST(sentence_of([&] { migrate(garbage.options); }).find("blog.db") != std::string::npos);
    BOOST_TEST(sentence_of([&] { (void)Store::open(garbage.options); }).find("blog.db") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(of_several_at_once_one_migrates) {
    Folder folder;
    const NextSchema next("CREATE TABLE later (id INTEGER)");
    for (const auto& schema : {current_schema(), next.schema}) {
        std::vector<pid_t> children;
        for (int i = 0; i < 4; ++i) {
            const auto child = ::fork();
            if (child == 0) {
                int applied = 9;
                try {
                    applied = static_cast<int>(migrate(folder.options, schema).size());
                } catch (const std::exception& error) {
                    std::cerr << "child: " << error.what() << '\n';
                }
                ::_exit(applied);
            }
            children.push_back(child);
        }
        int sum = 0;
        for (const auto child : children) {
            int status = 0;
            ::waitpid(child, &status, 0);
            sum += WEXITSTATUS(status);
        }
        BOOST_TEST(sum == (schema.number() == kNow ? kNow : 1));
    }
    BOOST_TEST(number(folder.options.file, "PRAGMA user_version") == kNow + 1);
}

BOOST_AUTO_TEST_CASE(a_migration_killed_at_any_moment_is_done_by_the_next) {
    std::mt19937 random(11);
    for (int round = 0; round < 20; ++round) {
        Folder folder;
        const auto child = ::fork();
        if (child == 0) {
            migrate(folder.options);
            ::_exit(0);
        }
        ::usleep(static_cast<useconds_t>(random() % 30'000));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        migrate(folder.options);
        BOOST_TEST(number(folder.options.file, "PRAGMA user_version") == kNow);
        BOOST_TEST(number(folder.options.file, "SELECT epoch > 0 FROM clock") == 1);
        Connection connection(folder.options.file, Connection::Mode::read, 5000ms);
        BOOST_CHECK(triggers_of(connection) == expected_triggers());
    }
}

BOOST_AUTO_TEST_SUITE_END()
