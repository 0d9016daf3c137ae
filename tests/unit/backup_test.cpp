#define BOOST_TEST_MODULE backup
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/backup.hpp"
#include "store/schema.hpp"
#include "tests/support/next_schema.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

// A database of its own, and a backup file beside it.
struct Blog {
    TemporaryFolder folder;
    StoreOptions options{folder / "recto.db", folder / "run", 5000ms};
    fs::path copy = folder / "copy.db";

    Blog() { migrate(options); }
    [[nodiscard]] Store open() const { return Store::open(options); }
};

std::int64_t number(const fs::path& file, std::string_view sql) {
    return Connection(file, Connection::Mode::as_it_is_read_only, 5000ms).integer(sql);
}

void run(const fs::path& file, const std::string& sql) { Connection(file, Connection::Mode::as_it_is, 5000ms).run_script(sql); }

std::int64_t epoch_of(const fs::path& file) { return number(file, "SELECT epoch FROM clock"); }

// The names of tags stand for what a database holds.
void add_tag(Store& store, const std::string& name) {
    auto transaction = store.write();
    transaction.insert("INSERT INTO tag (name, slug) VALUES (?, ?)", {name, name});
    transaction.commit();
}

void add_tag(const Blog& blog, const std::string& name) {
    auto store = blog.open();
    add_tag(store, name);
}

std::string tags_in(Connection& connection) {
    auto rows = connection.query("SELECT coalesce(group_concat(name), '') FROM (SELECT name FROM tag ORDER BY id)");
    BOOST_REQUIRE(rows.next());
    return std::string(rows.text(0));
}

std::string tags_in(const fs::path& file) {
    Connection connection(file, Connection::Mode::as_it_is_read_only, 5000ms);
    return tags_in(connection);
}

std::string tags_in(Store& store) {
    auto snapshot = store.read();
    auto rows = snapshot.query("SELECT coalesce(group_concat(name), '') FROM (SELECT name FROM tag ORDER BY id)");
    BOOST_REQUIRE(rows.next());
    return std::string(rows.text(0));
}

// Makes the file large enough that a copy takes some milliseconds.
void fill(const fs::path& file, int kilobytes) {
    run(file, "INSERT INTO user (name, slug, created_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                  std::to_string(kilobytes) + ") SELECT i || hex(zeroblob(480)), 'u' || i || hex(randomblob(4)), 0 FROM n");
}

std::string sentence_of(const std::function<void()>& code) {
    try {
        code();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "nothing was thrown";
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool is_whole(const fs::path& file) {
    Connection connection(file, Connection::Mode::as_it_is, 5000ms);
    auto rows = connection.query("PRAGMA integrity_check");
    return rows.next() && rows.text(0) == "ok";
}

std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
}

std::optional<fs::path> restore_from(const Blog& blog, bool keep = false) {
    CheckedBackup backup(blog.options, blog.copy);
    return restore(blog.options, backup, keep);
}

// In a process of its own; what it says if it throws.
pid_t in_a_child(const std::function<void()>& code) {
    const auto child = ::fork();
    if (child != 0) return child;
    try {
        code();
        ::_exit(0);
    } catch (const std::exception&) {
        ::_exit(1);
    }
}

int exit_status(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

constexpr auto kMinute = std::chrono::minutes(1);
const fs::perms kPrivate = fs::perms::owner_read | fs::perms::owner_write;

const auto kNow = current_schema().number();

}  // namespace

BOOST_AUTO_TEST_SUITE(backup)

BOOST_AUTO_TEST_CASE(a_backup_is_one_private_file_with_an_epoch_of_its_own) {
    Blog blog;
    auto store = blog.open();  // the log of a database in use isn't empty
    add_tag(store, "one");
    run(blog.options.file, "INSERT INTO user (name, slug, created_at) VALUES ('ada', 'ada', 0)");
    const auto contents = back_up(blog.options, blog.copy);
    BOOST_TEST(contents.posts == 0);
    BOOST_TEST(contents.users == 1);
    BOOST_TEST(contents.seq == store.read().seq());

    BOOST_TEST(tags_in(blog.copy) == "one");
    BOOST_TEST(number(blog.copy, "SELECT seq FROM clock") == static_cast<std::int64_t>(contents.seq));
    BOOST_TEST(epoch_of(blog.copy) > epoch_of(blog.options.file));
    BOOST_TEST(is_whole(blog.copy));
    BOOST_CHECK(fs::status(blog.copy).permissions() == kPrivate);
    BOOST_TEST(read_file(blog.copy).substr(18, 2) == "\1\1");  // no WAL (sqlite.org/fileformat2.html)
    const std::vector<std::string> names{"copy.db", "recto.db", "recto.db-shm", "recto.db-wal", "run"};
    BOOST_TEST(names_in(blog.folder.path()) == names, boost::test_tools::per_element());
}

// Else a restored database, or a copy put in place by hand, would begin more epochs than its own.
BOOST_AUTO_TEST_CASE(the_clock_of_a_backup_and_of_a_restored_database_knows_its_schema) {
    const auto is_known = [](const fs::path& file) {
        return number(file, "SELECT schema_version = (SELECT schema_version FROM pragma_schema_version) FROM clock") == 1;
    };
    Blog blog;
    add_tag(blog, "one");
    back_up(blog.options, blog.copy);
    BOOST_TEST(is_known(blog.copy));
    restore_from(blog);
    BOOST_TEST(is_known(blog.options.file));
    const auto epoch = epoch_of(blog.options.file);
    auto store = blog.open();
    BOOST_TEST(store.clock().read().epoch() == static_cast<std::uint64_t>(epoch));
    BOOST_TEST(store.clock().read().is_trusted());
}

BOOST_AUTO_TEST_CASE(a_backup_made_by_the_database_s_shell_is_restored) {
    const std::pair<const char*, const char*> ways[] = {{"'.dump' | sqlite3 -bail ", ""}, {"\"VACUUM INTO '", "'\""}};
    for (const auto& [before, after] : ways) BOOST_TEST_CONTEXT(before) {
            Blog blog;
            add_tag(blog, "saved");
            const auto save = "sqlite3 " + blog.options.file.string() + ' ' + before + blog.copy.string() + after;
            BOOST_REQUIRE(std::system(save.c_str()) == 0);
            auto store = blog.open();
            add_tag(store, "lost");
            const auto epoch = store.clock().read().epoch();
            restore_from(blog);
            BOOST_TEST(tags_in(store) == "saved");
            BOOST_TEST(store.clock().read().epoch() > epoch);
            BOOST_TEST(store.clock().read().is_trusted());
            BOOST_TEST(number(blog.options.file, "PRAGMA user_version") == kNow);
        }
}

BOOST_AUTO_TEST_CASE(a_backup_can_be_read_where_nothing_can_be_written) {
    Blog blog;
    add_tag(blog, "one");
    fs::create_directory(blog.folder / "shelf");
    const auto copy = blog.folder / "shelf" / fs::path("copy.db");
    back_up(blog.options, copy);
    fs::permissions(blog.folder / "shelf", fs::perms::owner_read | fs::perms::owner_exec);
    BOOST_TEST(tags_in(copy) == "one");
    CheckedBackup backup(blog.options, copy);
    BOOST_TEST(names_in(blog.folder / "shelf") == std::vector<std::string>{"copy.db"}, boost::test_tools::per_element());
    fs::permissions(blog.folder / "shelf", fs::perms::owner_all);
}

// Each transaction leaves as many tags with an a as with a b.
namespace {

// What a copy by `cp` of a stopped site's file is: it says that it has a log, and there is none.
void make_copy_in_wal_mode(const Blog& blog, const fs::path& copy) {
    add_tag(blog, "one");
    run(blog.options.file, "PRAGMA wal_checkpoint(TRUNCATE)");
    fs::copy_file(blog.options.file, copy);
    BOOST_TEST(read_file(copy).substr(18, 2) == "\2\2");
}

// As somebody whom permissions hold for.
void become_nobody() {
    constexpr uid_t kNobody = 65534;
    if (::getuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) throw std::runtime_error("cannot change the user");
}

// A file system of this process's own, which `fill` may write to before it is read-only. False: this machine doesn't let us.
bool mount_read_only(const fs::path& at, const std::function<void()>& fill) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", at.c_str(), "tmpfs", 0, nullptr) != 0)
        return false;
    fill();
    return ::mount(nullptr, at.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

constexpr int kNotAllowed = 77;

}  // namespace

BOOST_AUTO_TEST_CASE(a_backup_in_wal_mode_is_read_without_a_file_beside_it) {
    for (const bool is_writable : {true, false}) BOOST_TEST_CONTEXT(is_writable) {
            Blog blog;
            const auto shelf = blog.folder / "shelf with 100%?#";
            fs::create_directory(shelf);
            make_copy_in_wal_mode(blog, shelf / "copy.db");
            fs::permissions(shelf / "copy.db", fs::perms::owner_read | fs::perms::others_read);
            fs::permissions(blog.folder.path(), fs::perms::all);
            if (!is_writable) fs::permissions(shelf, fs::perms(0555));
            const auto child = in_a_child([&] {
                if (!is_writable) become_nobody();
                const CheckedBackup backup(blog.options, shelf / "copy.db");
            });
            BOOST_TEST(exit_status(child) == 0);
            BOOST_TEST(names_in(shelf) == std::vector<std::string>{"copy.db"}, boost::test_tools::per_element());
        }
}

// Its last writes are in the log, which SQLite can't read without making a file.
BOOST_AUTO_TEST_CASE(a_backup_whose_log_cannot_be_read_is_refused_by_its_own_name) {
    Blog blog;
    const auto shelf = blog.folder / "shelf";
    fs::create_directory(shelf);
    auto store = blog.open();
    add_tag(store, "in the log");
    for (const auto* end : {"", "-wal"}) fs::copy_file(blog.options.file.string() + end, (shelf / "copy.db").string() + end);
    fs::permissions(blog.folder.path(), fs::perms::all);
    for (const auto& entry : fs::directory_iterator(shelf)) fs::permissions(entry.path(), fs::perms(0444));
    fs::permissions(shelf, fs::perms(0555));
    const auto child = in_a_child([&] {
        become_nobody();
        const auto said = sentence_of([&] { CheckedBackup(blog.options, shelf / "copy.db"); });
        if (!has(said, "copy.db: its log (-wal) can't be read") || has(said, "TMPDIR")) throw std::runtime_error(said);
    });
    BOOST_TEST(exit_status(child) == 0);
}

BOOST_AUTO_TEST_CASE(a_read_only_file_system_is_backed_up_and_named) {
    Blog blog;
    make_copy_in_wal_mode(blog, blog.copy);
    const auto disk = blog.folder / "disk";
    fs::create_directory(disk);
    const auto child = ::fork();
    if (child == 0) {
        StoreOptions there = blog.options;
        there.file = disk / "recto.db";
        if (!mount_read_only(disk, [&] { fs::copy_file(blog.copy, there.file); })) ::_exit(kNotAllowed);
        const auto saved = blog.folder / "saved.db";
        if (back_up(there, saved).seq == 0 || tags_in(saved) != "one") ::_exit(2);
        if (!has(sentence_of([&] { (void)Store::open(there); }), "recto.db: its file system is read-only")) ::_exit(3);
        if (!has(sentence_of([&] { migrate(there); }), "read-only")) ::_exit(4);
        if (!has(sentence_of([&] { back_up(blog.options, disk / "copy.db"); }), "Read-only file system")) ::_exit(5);
        const CheckedBackup from_there(blog.options, there.file);
        ::_exit(names_in(disk) == std::vector<std::string>{"recto.db"} ? 0 : 6);
    }
    const auto status = exit_status(child);
    if (status == kNotAllowed)
        BOOST_TEST_MESSAGE("skipped: no file system may be mounted here");
    else
        BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(a_backup_made_while_others_write_is_one_moment) {
    Blog blog;
    fill(blog.options.file, 1000);
    const auto writer = in_a_child([&] {
        auto store = blog.open();
        for (int i = 0;; ++i) {
            auto transaction = store.write();
            for (const auto* kind : {"a", "b"}) {
                const auto name = kind + std::to_string(i);
                transaction.insert("INSERT INTO tag (name, slug) VALUES (?, ?)", {name, name});
            }
            transaction.commit();
        }
    });
    std::int64_t before = -1;
    for (int i = 0; i < 5; ++i) {
        const auto contents = back_up(blog.options, blog.copy, Existing::replace);
        const auto with_a = number(blog.copy, "SELECT count(*) FROM tag WHERE name LIKE 'a%'");
        BOOST_TEST(with_a == number(blog.copy, "SELECT count(*) FROM tag WHERE name LIKE 'b%'"));
        BOOST_TEST(static_cast<std::int64_t>(contents.seq) == number(blog.copy, "SELECT max(seq) FROM change"));
        BOOST_TEST(with_a >= before);
        before = with_a;
        const auto seen = number(blog.options.file, "SELECT count(*) FROM tag");
        const auto deadline = steady_clock::now() + kMinute;
        while (number(blog.options.file, "SELECT count(*) FROM tag") == seen && steady_clock::now() < deadline) std::this_thread::yield();
    }
    ::kill(writer, SIGKILL);
    exit_status(writer);
    BOOST_TEST(before > 0);
}

BOOST_AUTO_TEST_CASE(places_where_a_backup_would_do_harm_are_refused) {
    Blog blog;
    auto store = blog.open();
    add_tag(store, "one");
    const auto folder = blog.folder.path();
    std::ofstream(folder / "there") << "something";
    fs::create_directory(folder / "folder");
    fs::create_hard_link(blog.options.file, folder / "hard");
    fs::create_symlink(blog.options.file, folder / "soft");
    std::ofstream(folder / "logged.db-wal") << "another database's log";
    ::mkfifo((folder / "pipe").c_str(), 0600);
    const auto epoch = epoch_of(blog.options.file);

    struct Case {
        const char* name;
        Existing existing;
        const char* sentence;
    };
    for (const auto& [name, existing, sentence] : std::initializer_list<Case>{
             {"there", Existing::refuse, "there: it exists already; --force replaces it"},
             {"folder", Existing::refuse, "folder: it is a folder"},
             {"folder", Existing::replace, "folder: it is a folder"},
             {"recto.db", Existing::refuse, "recto.db: it is the live database"},
             {"recto.db", Existing::replace, "recto.db: it is the live database"},
             {"hard", Existing::replace, "hard: it is the live database"},
             {"soft", Existing::replace, "soft: it is the live database"},
             {"recto.db-wal", Existing::replace, "it is the live database"},
             {"recto.db-shm", Existing::replace, "it is the live database"},
             {"recto.db-journal", Existing::replace, "it is the live database"},
             {"logged.db", Existing::refuse, "beside it is logged.db-wal"},
             {"pipe", Existing::replace, "pipe: it is not a regular file"},
             {"nowhere/copy.db", Existing::refuse, "nowhere/copy.db.unfinished: No such file or directory"},
         }) {
        BOOST_TEST_CONTEXT(name) {
            const auto said = sentence_of([&] { back_up(blog.options, folder / name, existing); });
            BOOST_TEST(has(said, sentence), said);
        }
    }
    BOOST_TEST(read_file(folder / "there") == "something");
    BOOST_TEST(epoch_of(blog.options.file) == epoch);
    BOOST_TEST(tags_in(store) == "one");

    back_up(blog.options, folder / "there", Existing::replace);
    BOOST_TEST(tags_in(folder / "there") == "one");
}

BOOST_AUTO_TEST_CASE(a_database_that_could_not_be_restored_gives_no_backup) {
    {
        Blog blog;
        fs::remove(blog.options.file);
        BOOST_TEST(has(sentence_of([&] { back_up(blog.options, blog.copy); }), "there is no such database"));
    }
    Blog damaged, foreign;
    fill(damaged.options.file, 100);
    std::fstream(damaged.options.file, std::ios::in | std::ios::out | std::ios::binary).seekp(60 * 4096).write("nonsense here", 13);
    run(foreign.options.file, "DROP TABLE clock");
    const std::pair<const Blog*, const char*> cases[] = {
        {&damaged, "it is damaged: "},
        {&foreign, "recto.db: it is not a Recto database, there is no table clock in it"},
    };
    for (const auto& [blog, sentence] : cases) {
        const auto said = sentence_of([&, &options = blog->options, &copy = blog->copy] { back_up(options, copy); });
        BOOST_TEST(has(said, sentence), said);
        BOOST_TEST(!fs::exists(blog->copy));
        BOOST_TEST(!fs::exists(blog->copy.string() + ".unfinished"));
    }
}

// A shell has foreign keys off: a post deleted there leaves its authors behind. Who needs a backup needs it all the same.
BOOST_AUTO_TEST_CASE(rows_left_behind_by_a_shell_are_counted_and_come_back_with_the_rest) {
    Blog blog;
    add_tag(blog, "one");
    BOOST_TEST(back_up(blog.options, blog.copy).orphans == 0);
    run(blog.options.file,
        "PRAGMA foreign_keys = OFF; INSERT INTO token (hash, user, created_at) VALUES ('ff', 7, 0);"
        "INSERT INTO post_author (post, user, position) VALUES (5, 8, 1)");
    BOOST_TEST(back_up(blog.options, blog.copy, Existing::replace).orphans == 3);  // post_author has two

    run(blog.options.file, "DELETE FROM token; DELETE FROM post_author; DELETE FROM tag");
    CheckedBackup backup(blog.options, blog.copy);
    BOOST_TEST(backup.contents().orphans == 3);
    restore(blog.options, backup, false);
    BOOST_TEST(tags_in(blog.options.file) == "one");
    BOOST_TEST(number(blog.options.file, "SELECT user FROM token") == 7);
    BOOST_TEST(number(blog.options.file, "SELECT user FROM post_author") == 8);

    const NextSchema next("ALTER TABLE tag ADD COLUMN colour TEXT");
    CheckedBackup older(blog.options, blog.copy, next.schema);
    BOOST_TEST(older.applied().size() == 1u);
    BOOST_TEST(older.contents().orphans == 3);
}

BOOST_AUTO_TEST_CASE(a_backup_killed_at_any_moment_leaves_the_old_or_the_new_file) {
    Blog blog;
    fill(blog.options.file, 1000);
    add_tag(blog, "old");
    const auto begin = steady_clock::now();
    back_up(blog.options, blog.copy);
    const auto once = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
    add_tag(blog, "new");
    std::mt19937 random(3);
    for (int round = 0; round < 10; ++round) {
        const auto child = in_a_child([&] { back_up(blog.options, blog.copy, Existing::replace); });
        std::this_thread::sleep_for(once * (random() % 120) / 100);
        ::kill(child, SIGKILL);
        exit_status(child);
        const auto tags = tags_in(blog.copy);
        BOOST_TEST((tags == "old" || tags == "old,new"), tags);
        BOOST_TEST(is_whole(blog.copy));
    }
    back_up(blog.options, blog.copy, Existing::replace);
    BOOST_TEST(tags_in(blog.copy) == "old,new");
    const std::vector<std::string> names{"copy.db", "recto.db", "run"};
    BOOST_TEST(names_in(blog.folder.path()) == names, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(two_backups_to_one_place_do_not_meet) {
    Blog blog;
    const auto unfinished = blog.copy.string() + ".unfinished";
    const UniqueFd other(::open(unfinished.c_str(), O_CREAT | O_RDWR, 0600));
    BOOST_REQUIRE(::flock(other.get(), LOCK_EX) == 0);
    BOOST_TEST(has(sentence_of([&] { back_up(blog.options, blog.copy); }), "another copy to there is being made"));
    BOOST_TEST(fs::exists(unfinished));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(restoring)

BOOST_AUTO_TEST_CASE(readers_see_the_old_or_the_new_database_and_the_clock_knows_when_it_returns) {
    Blog blog;
    auto store = blog.open();
    add_tag(store, "old");
    back_up(blog.options, blog.copy);
    for (int i = 0; i < 20; ++i) add_tag(store, "later" + std::to_string(i));
    const auto before = store.clock().read();
    {
        auto held = store.read();  // and its statement stays open through it all
        auto rows = held.query("SELECT name FROM tag ORDER BY id");
        BOOST_TEST(rows.next());
        restore_from(blog);
        int left = 1;
        while (rows.next()) ++left;
        BOOST_TEST(left == 21);
    }
    const auto after = store.clock().read();
    BOOST_TEST(after.epoch() > before.epoch());
    BOOST_TEST(static_cast<std::int64_t>(after.epoch()) > epoch_of(blog.copy));
    BOOST_TEST(after.is_trusted());
    BOOST_TEST(after.is_fresh());
    BOOST_TEST(tags_in(store) == "old");  // the same prepared statement as before
    add_tag(store, "next");
    BOOST_TEST(tags_in(store) == "old,next");
    BOOST_TEST(store.clock().read().epoch() == after.epoch());
    BOOST_TEST(store.clock().read().is_trusted());
    BOOST_TEST(is_whole(blog.options.file));
}

BOOST_AUTO_TEST_CASE(the_epoch_is_newer_than_that_of_the_backup_and_of_what_was_there) {
    for (const bool backup_is_newer : {true, false}) {
        Blog blog;
        add_tag(blog, "old");
        back_up(blog.options, blog.copy);
        const auto far = std::int64_t{1} << 62;  // a clock that was set wrong for a while
        run(backup_is_newer ? blog.copy : blog.options.file, "UPDATE clock SET epoch = " + std::to_string(far));
        restore_from(blog);
        BOOST_TEST(epoch_of(blog.options.file) > far);
        BOOST_TEST(blog.open().clock().read().is_trusted());
    }
}

BOOST_AUTO_TEST_CASE(what_was_there_is_kept_beside_it_unless_not_wanted) {
    Blog blog;
    add_tag(blog, "old");
    back_up(blog.options, blog.copy);
    add_tag(blog, "lost");
    BOOST_TEST(!restore_from(blog, false));
    add_tag(blog, "other");
    const auto kept = restore_from(blog, true);
    BOOST_REQUIRE(kept);
    BOOST_TEST(has(kept->string(), "recto.db.before-restore-"));
    BOOST_TEST(tags_in(*kept) == "old,other");
    BOOST_CHECK(fs::status(*kept).permissions() == kPrivate);
    const auto second = restore_from(blog, true);  // in the same second, perhaps
    BOOST_REQUIRE(second);
    BOOST_TEST(*second != *kept);

    CheckedBackup undo(blog.options, *kept);
    restore(blog.options, undo, false);
    BOOST_TEST(tags_in(blog.options.file) == "old,other");
}

// Every write that was acknowledged is in the copy of what was there, or came afterwards.
BOOST_AUTO_TEST_CASE(no_acknowledged_write_is_lost_between_the_kept_copy_and_the_restored_database) {
    Blog blog;
    fill(blog.options.file, 500);
    back_up(blog.options, blog.copy);
    auto store = blog.open();
    std::atomic<int> acknowledged{0};
    std::jthread writer([&](const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested(); ++i) {
            add_tag(store, "t" + std::to_string(i));
            acknowledged = i + 1;
        }
    });
    const auto wait_for = [&](int writes) {
        const auto deadline = steady_clock::now() + kMinute;
        while (acknowledged < writes && steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
    };
    wait_for(5);
    const auto kept = restore_from(blog, true);
    wait_for(acknowledged + 5);
    writer.request_stop();
    writer.join();
    BOOST_REQUIRE(kept);
    for (int i = 0; i < acknowledged; ++i) {
        const auto sql = "SELECT count(*) FROM tag WHERE name = 't" + std::to_string(i) + "'";
        BOOST_TEST(number(*kept, sql) + number(blog.options.file, sql) == 1, i);
    }
    BOOST_TEST(number(*kept, "SELECT count(*) FROM tag") >= 5);
}

BOOST_AUTO_TEST_CASE(an_older_backup_is_migrated_on_the_way_and_stays_as_it_is) {
    Blog blog;
    add_tag(blog, "old");
    back_up(blog.options, blog.copy);
    const NextSchema next("ALTER TABLE tag ADD COLUMN colour TEXT");
    CheckedBackup backup(blog.options, blog.copy, next.schema);
    BOOST_REQUIRE(backup.applied().size() == 1);
    BOOST_TEST(backup.applied()[0].name == "more");
    restore(blog.options, backup, false);
    BOOST_TEST(number(blog.options.file, "PRAGMA user_version") == kNow + 1);
    BOOST_TEST(number(blog.options.file, "SELECT count(*) FROM tag WHERE colour IS NULL") == 1);
    BOOST_TEST(number(blog.copy, "PRAGMA user_version") == kNow);

    run(blog.copy, "DROP TRIGGER tag_before_delete");
    CheckedBackup without(blog.options, blog.copy);
    restore(blog.options, without, false);  // and the live one is newer than the program: so one goes back
    Connection restored(blog.options.file, Connection::Mode::read, 5000ms);
    BOOST_CHECK(triggers_of(restored) == expected_triggers());
}

BOOST_AUTO_TEST_CASE(what_is_no_good_backup_is_refused_and_nothing_is_touched) {
    Blog blog;
    auto store = blog.open();
    fill(blog.options.file, 100);
    add_tag(store, "live");
    back_up(blog.options, blog.copy);
    const auto folder = blog.folder.path();
    const auto good = read_file(blog.copy);

    fs::create_directory(folder / "folder");
    fs::create_hard_link(blog.options.file, folder / "hard");
    std::ofstream(folder / "empty");
    std::ofstream(folder / "text") << std::string(9000, 'x');
    std::ofstream(folder / "truncated") << good.substr(0, good.size() / 2);
    std::ofstream(folder / "stub") << good.substr(0, 60);
    auto bad = good;
    bad.replace(good.size() / 2, 40, 40, '\xee');
    std::ofstream(folder / "damaged") << bad;
    const auto changed = [&](const char* name, const std::string& sql) {
        std::ofstream(folder / name) << good;
        run(folder / name, sql);
    };
    changed("newer", "PRAGMA user_version = 99");
    changed("poorer", "DROP TABLE post_tag");
    changed("clockless", "DELETE FROM clock");
    Connection(folder / "recipes", Connection::Mode::create, 5000ms)
        .run_script("CREATE TABLE recipe (id INTEGER); PRAGMA user_version = 1");

    const auto epoch = epoch_of(blog.options.file);
    const auto newer =
        "newer: its schema has number 99, this program knows those up to " + std::to_string(kNow) + ": install a newer Recto";
    const std::pair<const char*, const char*> cases[] = {
        {"missing", "missing: there is no such file"},
        {"folder", "folder: it is a folder, give a file"},
        {"recto.db", "recto.db: it is the live database"},
        {"hard", "hard: it is the live database"},
        {"empty", "empty: it is not a Recto database, there is no table clock in it"},
        {"text", "text: it is not an SQLite database"},
        {"truncated", "truncated: it is damaged or cut off"},
        {"stub", "stub: it is damaged or cut off"},
        {"damaged", "damaged: "},
        {"newer", newer.c_str()},
        {"poorer", "poorer: it is not a Recto database, there is no post_tag.post in it"},
        {"clockless", "clockless: it is not a Recto database, there is no row in the table clock"},
        {"recipes", "recipes: it is not a Recto database, there is no table clock in it"},
    };
    for (const auto& [name, sentence] : cases) {
        BOOST_TEST_CONTEXT(name) {
            const auto said = sentence_of([&, file = folder / name] { CheckedBackup(blog.options, file); });
            BOOST_TEST(has(said, sentence), said);
        }
    }
    BOOST_TEST(epoch_of(blog.options.file) == epoch);
    BOOST_TEST(tags_in(store) == "live");
}

BOOST_AUTO_TEST_CASE(a_backup_still_in_use_is_read_with_its_log) {
    Blog blog, other;
    auto used = other.open();
    add_tag(used, "in the log");
    CheckedBackup backup(blog.options, other.options.file);
    restore(blog.options, backup, false);
    BOOST_TEST(tags_in(blog.options.file) == "in the log");
    add_tag(used, "still in use");
    BOOST_TEST(tags_in(used) == "in the log,still in use");
}

BOOST_AUTO_TEST_CASE(a_backup_with_pages_of_another_size_is_refused_with_what_to_do) {
    Blog blog;
    add_tag(blog, "old");
    back_up(blog.options, blog.copy);
    add_tag(blog, "live");
    run(blog.copy, "PRAGMA page_size = 16384; VACUUM");
    const auto said = sentence_of([&] { restore_from(blog); });
    BOOST_TEST(has(said, "copy.db: its pages have 16384 bytes, those of"), said);
    BOOST_TEST(tags_in(blog.options.file) == "old,live");

    run(blog.copy, "PRAGMA page_size = 4096; VACUUM INTO '" + (blog.folder / "fitting.db").string() + "'");  // as it says
    CheckedBackup fitting(blog.options, blog.folder / "fitting.db");
    restore(blog.options, fitting, false);
    BOOST_TEST(tags_in(blog.options.file) == "old");
}

BOOST_AUTO_TEST_CASE(where_no_database_is_it_makes_one) {
    Blog blog;
    add_tag(blog, "old");
    back_up(blog.options, blog.copy);
    const TemporaryFolder elsewhere;
    const StoreOptions options{elsewhere / "data" / fs::path("recto.db"), elsewhere / "run", 5000ms};
    CheckedBackup backup(options, blog.copy);
    BOOST_TEST(!restore(options, backup, true));
    BOOST_CHECK(fs::status(options.file).permissions() == kPrivate);
    auto store = Store::open(options);
    BOOST_TEST(tags_in(store) == "old");
    BOOST_TEST(names_in(elsewhere / "data").front() == "recto.db");
}

BOOST_AUTO_TEST_CASE(a_damaged_database_is_replaced_and_kept) {
    const std::pair<const char*, int> places[] = {{"the schema", 100}, {"a table", 60 * 4096}};
    for (const auto& [place, position] : places) {
        BOOST_TEST_CONTEXT(place) {
            Blog blog;
            fill(blog.options.file, 200);
            add_tag(blog, "old");
            back_up(blog.options, blog.copy);
            std::fstream(blog.options.file, std::ios::in | std::ios::out | std::ios::binary).seekp(position).write("nonsense here", 13);
            const auto kept = restore_from(blog, true);
            BOOST_REQUIRE(kept);
            BOOST_TEST(read_file(*kept).substr(static_cast<std::size_t>(position), 13) == "nonsense here");
            BOOST_TEST(is_whole(blog.options.file));
            BOOST_TEST(tags_in(blog.options.file) == "old");
            auto store = blog.open();
            add_tag(store, "next");
            BOOST_TEST(tags_in(store) == "old,next");
        }
    }
}

BOOST_AUTO_TEST_CASE(a_file_of_somebody_else_is_not_restored_into) {
    Blog blog;
    back_up(blog.options, blog.copy);
    fs::remove(blog.options.file);
    Connection(blog.options.file, Connection::Mode::create, 5000ms).run_script("CREATE TABLE recipe (id INTEGER)");
    BOOST_TEST(has(sentence_of([&] { restore_from(blog); }), "recto.db: it is not a Recto database"));
    BOOST_TEST(number(blog.options.file, "SELECT count(*) FROM recipe") == 0);

    fs::remove(blog.options.file);
    std::ofstream(blog.options.file) << std::string(9000, 'x');
    BOOST_TEST(has(sentence_of([&] { restore_from(blog); }), "recto.db: it is no database any more. Stop the workers"));
    BOOST_TEST(read_file(blog.options.file) == std::string(9000, 'x'));
}

BOOST_AUTO_TEST_CASE(a_writer_is_waited_for_but_not_for_ever) {
    Blog blog;
    auto store = blog.open();
    add_tag(store, "old");
    back_up(blog.options, blog.copy);
    CheckedBackup backup(blog.options, blog.copy);
    auto options = blog.options;
    options.busy_timeout = 50ms;
    {
        auto transaction = store.write();
        transaction.insert("INSERT INTO tag (name, slug) VALUES ('slow', 'slow')");
        const auto said = sentence_of([&] { restore(options, backup, true); });
        BOOST_TEST(has(said, "others write to it for too long; try again"), said);
        transaction.commit();
    }
    BOOST_TEST(tags_in(store) == "old,slow");
    BOOST_TEST(names_in(blog.folder.path()).size() == 5u);  // nothing was kept: copy, database, its log and index, run

    std::optional transaction(store.write());
    std::jthread restorer([&] { restore(blog.options, backup, false); });
    std::this_thread::sleep_for(20ms);
    transaction->execute("INSERT INTO tag (name, slug) VALUES ('slower', 'slower')");
    transaction->commit();
    transaction.reset();
    restorer.join();
    BOOST_TEST(tags_in(store) == "old");
}

// A child may write no more than so many bytes into one file; what a full disk would do.
BOOST_AUTO_TEST_CASE(a_full_disk_leaves_the_live_database_as_it_is) {
    for (const bool keep : {true, false}) {
        Blog blog;
        fill(blog.options.file, 1500);
        add_tag(blog, "old");
        back_up(blog.options, blog.copy);
        add_tag(blog, "live");
        const auto epoch = epoch_of(blog.options.file);
        const auto child = in_a_child([&] {
            CheckedBackup backup(blog.options, blog.copy);
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{1 << 20, 1 << 20};
            ::setrlimit(RLIMIT_FSIZE, &limit);
            restore(blog.options, backup, keep);
        });
        BOOST_TEST(exit_status(child) == 1);
        BOOST_TEST(tags_in(blog.options.file) == "old,live");
        BOOST_TEST(epoch_of(blog.options.file) == epoch);
        BOOST_TEST(is_whole(blog.options.file));
        for (const auto& name : names_in(blog.folder.path())) BOOST_TEST(!has(name, "before-restore"), name);
    }
}

// No connection is open here when a child begins: SQLite's don't survive fork(). backup_test of tests/service does this under workers.
BOOST_AUTO_TEST_CASE(killed_at_any_moment_it_leaves_the_old_or_the_new_database) {
    Blog blog;
    fill(blog.options.file, 1000);
    add_tag(blog, "backed-up");
    back_up(blog.options, blog.copy);
    const auto begin = steady_clock::now();
    restore_from(blog, true);
    const auto once = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
    std::mt19937 random(5);
    int restored = 0;
    for (int round = 0; round < 10; ++round) {
        add_tag(blog, "written" + std::to_string(round));
        const auto old = tags_in(blog.options.file);
        const auto child = in_a_child([&] { restore_from(blog, round % 2 == 0); });
        std::this_thread::sleep_for(once * (random() % 120) / 100);
        ::kill(child, SIGKILL);
        exit_status(child);
        auto store = blog.open();
        const auto tags = tags_in(store);
        BOOST_TEST((tags == "backed-up" || tags == old), tags);
        BOOST_TEST(is_whole(blog.options.file));
        if (tags == "backed-up") ++restored;
    }
    BOOST_TEST_MESSAGE("restored in " << restored << " of 10 rounds");
    restore_from(blog);
    auto store = blog.open();
    BOOST_TEST(tags_in(store) == "backed-up");
    add_tag(store, "next");
    BOOST_TEST(tags_in(store) == "backed-up,next");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_database_that_was_moved)

BOOST_AUTO_TEST_CASE(is_neither_read_nor_written_any_more_and_nothing_is_cached) {
    const std::pair<const char*, std::function<void(const Blog&)>> moves[] = {
        {"another file over it", [](const Blog& blog) { fs::rename(blog.copy, blog.options.file); }},
        {"moved away", [](const Blog& blog) { fs::rename(blog.options.file, blog.folder / "away.db"); }},
        {"removed", [](const Blog& blog) { fs::remove(blog.options.file); }},
    };
    for (const auto& [how, move] : moves) {
        BOOST_TEST_CONTEXT(how) {
            Blog blog;
            auto store = blog.open();
            add_tag(store, "old");
            back_up(blog.options, blog.copy);
            const auto source = store.change_source();
            store.clock().sync(*source);
            BOOST_TEST(store.clock().read().is_trusted());
            (void)source->moved();
            BOOST_TEST(!source->moved());
            move(blog);
            BOOST_TEST(source->moved());
            store.clock().sync(*source);
            BOOST_TEST(!store.clock().read().is_trusted());
            BOOST_TEST(source->moved());
            const std::pair<const char*, std::function<void()>> uses[] = {
                {"a new epoch", [&] { source->renew_epoch(source->changes_since(0).epoch); }},
                {"a read", [&] { (void)store.read(); }},
                {"a write", [&] { (void)store.write(); }},
            };
            for (const auto& [use, code] : uses) {
                const auto said = sentence_of(code);
                BOOST_TEST(has(said, "recto.db: it was moved away or replaced while in use"), use << ": " << said);
                BOOST_TEST(has(said, "`recto restore`"), use);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(is_used_again_when_it_is_back_with_cold_caches) {
    Blog blog;
    auto store = blog.open();
    add_tag(store, "old");
    const auto source = store.change_source();
    const auto before = store.clock().read().epoch();
    fs::rename(blog.options.file, blog.folder / "away.db");
    store.clock().sync(*source);
    fs::rename(blog.folder / "away.db", blog.options.file);
    store.clock().sync(*source);
    BOOST_TEST(store.clock().read().is_trusted());
    BOOST_TEST(store.clock().read().epoch() > before);
    add_tag(store, "next");
    BOOST_TEST(tags_in(store) == "old,next");
}

BOOST_AUTO_TEST_SUITE_END()
