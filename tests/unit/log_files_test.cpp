#define BOOST_TEST_MODULE log_files
#include "log/files.hpp"

#include <cstdlib>

#include <boost/test/unit_test.hpp>

#include "log/backups.hpp"
#include "log/instance.hpp"
#include "tests/support/log_lines.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// The names of a handler's files, separated by blanks.
std::string names_of(const fs::path& file) {
    std::string names;
    for (const auto& path : files_of({.file = file})) names += (names.empty() ? "" : " ") + path.filename().string();
    return names;
}

void make(const fs::path& folder, const std::vector<const char*>& names) {
    for (const auto* name : names) write_text(folder / name, "x\n");
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_files_of_a_handler_are_its_backups_by_age_and_then_the_current_one) {
    const TemporaryFolder folder;
    make(folder.path(), {"recto.log", "recto.log.1", "recto.log.2.gz", "recto.log.10.gz", "recto.log.9", "recto.log.11"});
    make(folder.path(), {"recto.log.01", "recto.log.x", "recto.log.1.bak", "recto.log.gz", "recto.log.2.gz.new", "other.log.1",
                         ".recto.log.lock", "recto.log.0", "recto.log.-1", "arecto.log", "recto.log~"});
    BOOST_TEST(names_of(folder / "recto.log") == "recto.log.11 recto.log.10.gz recto.log.9 recto.log.2.gz recto.log.1 recto.log");
    BOOST_TEST(names_of(folder / "nothing" / "recto.log") == "");
    BOOST_TEST(names_of({}) == "");
}

BOOST_AUTO_TEST_CASE(a_backup_that_is_there_plain_and_compressed_is_listed_once) {
    const TemporaryFolder folder;
    make(folder.path(), {"recto.log", "recto.log.2", "recto.log.2.gz", "recto.log.3", "recto.log.3.gz"});
    BOOST_TEST(names_of(folder / "recto.log") == "recto.log.3 recto.log.2 recto.log");
    BOOST_TEST(backups_of(folder / "recto.log").size() == 4u);
}

BOOST_AUTO_TEST_CASE(after_a_rotation_there_are_as_many_backups_as_there_may_be_and_no_file_of_others_goes) {
    const TemporaryFolder folder;
    make(folder.path(), {"recto.log", "recto.log.1", "recto.log.2", "recto.log.3.gz", "recto.log.4.gz", "recto.log.4", "recto.log.1000"});
    make(folder.path(), {"recto.log.20261127", "recto.log.1001", "recto.log.x"});  // logrotate's, an operator's
    shift_backups(folder / "recto.log", 2);
    BOOST_TEST(names_of(folder / "recto.log") == "recto.log.1001 recto.log.20261127 recto.log.2 recto.log.1");
    BOOST_TEST(fs::exists(folder / "recto.log.x"));
}

BOOST_AUTO_TEST_CASE(files_with_a_date_are_read_before_ours_by_age_and_are_no_backups_of_ours) {
    const TemporaryFolder folder;
    make(folder.path(), {"recto.log", "recto.log.1", "recto.log.2.gz", "recto.log.20261127", "recto.log.20261126.gz", "recto.log.1001"});
    BOOST_TEST(names_of(folder / "recto.log") ==
               "recto.log.1001 recto.log.20261126.gz recto.log.20261127 recto.log.2.gz recto.log.1 recto.log");
    BOOST_TEST(backups_of(folder / "recto.log").size() == 2u);
}

// The names that logrotate gives with `dateext` and the usual forms of `dateformat`, and nginx's log with them.
BOOST_AUTO_TEST_CASE(logrotate_s_names_are_read_like_the_others) {
    const std::pair<std::vector<const char*>, const char*> cases[] = {
        {{"r.log-20261201", "r.log-20261130.gz"}, "r.log-20261130.gz r.log-20261201 r.log"},
        {{"r.log-20261201", "r.log-20261201.gz"}, "r.log-20261201 r.log"},
        {{"r.log-2026120114", "r.log-2026120109.gz", "r.log-20261201"}, "r.log-20261201 r.log-2026120109.gz r.log-2026120114 r.log"},
        {{"r.log-20261201-1796083200", "r.log-20261130-1795996800"}, "r.log-20261130-1795996800 r.log-20261201-1796083200 r.log"},
        {{"r.log-1796083200", "r.log-1795996800.gz"}, "r.log-1795996800.gz r.log-1796083200 r.log"},
        {{"r.log.2026-12-01", "r.log-2026-11-30", "r.log_20261129"}, "r.log_20261129 r.log-2026-11-30 r.log.2026-12-01 r.log"},
        {{"r.log-20261201.xz", "r.log-20261130.bz2", "r.log.3.zst"}, "r.log-20261130.bz2 r.log-20261201.xz r.log.3.zst r.log"},
        {{"r.log-20261201", "r.log.2", "r.log.1.gz"}, "r.log-20261201 r.log.2 r.log.1.gz r.log"},
        {{"r.log-1", "r.log-2.gz", "r.log-", "r.log-x", "r.log-20261201~", "r.log-20261201.gz.new", "r.log-20261201-", "r.log-old"},
         "r.log"},
    };
    for (const auto& [names, expected] : cases) {
        BOOST_TEST_CONTEXT(expected) {
            const TemporaryFolder folder;
            make(folder.path(), {"r.log"});
            make(folder.path(), names);
            BOOST_TEST(names_of(folder / "r.log") == expected);
            for (const auto& backup : backups_of(folder / "r.log")) BOOST_TEST(backup.number <= 3);
            shift_backups(folder / "r.log", 5);
            for (const auto* name : names)
                if (std::string_view(name).starts_with("r.log-")) BOOST_TEST(fs::exists(folder / name), name);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_files_of_all_workers_are_found_by_their_pattern) {
    const TemporaryFolder folder;
    make(folder.path(), {"r.1.log", "r.1.log.1", "r.2.log", "r.2.log.1", "r.2.log.2.gz", "r.10.log", "r.log", "r.x.log", "r.1.log.x"});
    BOOST_TEST(names_of(folder / "r.%i.log") == "r.1.log.1 r.1.log r.2.log.2.gz r.2.log.1 r.2.log r.10.log");
    BOOST_TEST(is_of_instances("r.%i.log"));
    BOOST_TEST(!is_of_instances("/%i/r.log"));
    BOOST_TEST(file_of_instance("/a/r.%i.log", 3) == "/a/r.3.log");
}

BOOST_AUTO_TEST_CASE(a_worker_takes_the_lowest_number_that_is_free_and_so_does_the_one_after_it) {
    const TemporaryFolder folder;
    const auto runtime = folder / "run";
    const auto first = Instance::claim(runtime);
    auto second = Instance::claim(runtime);
    BOOST_TEST(first.number() == 1);
    BOOST_TEST(second.number() == 2);
    BOOST_TEST(Instance::claim(runtime).number() == 3);
    BOOST_TEST(Instance::claim(runtime).number() == 3);  // the one before has ended

    const auto started = folder / "started";
    auto killed = Process::forked([&] {
        const auto third = Instance::claim(runtime);
        write_text(started, std::to_string(third.number()));
        for (;;) ::pause();
    });
    BOOST_REQUIRE(eventually([&] { return fs::exists(started) && !read_file(started).empty(); }));
    BOOST_TEST(read_file(started) == "3");
    BOOST_TEST(Instance::claim(runtime).number() == 4);
    killed.kill();
    BOOST_TEST(Instance::claim(runtime).number() == 3);
}

BOOST_AUTO_TEST_CASE(systemd_says_which_number_a_worker_has) {
    const TemporaryFolder folder;
    const auto runtime = folder / "run";
    ::setenv("RECTO_INSTANCE", "1", 1);
    const auto first = Instance::claim(runtime);
    const auto again = Instance::claim(runtime);
    BOOST_TEST(first.number() == 1);
    BOOST_TEST(again.number() == 1);
    for (const auto* wrong : {"0", "x", "1x", "1001", "-1"}) BOOST_TEST_CONTEXT(wrong) {
            ::setenv("RECTO_INSTANCE", wrong, 1);
            BOOST_CHECK_THROW((void)Instance::claim(runtime), std::runtime_error);
        }
    ::unsetenv("RECTO_INSTANCE");
    BOOST_TEST(Instance::claim(runtime).number() == 2);
    BOOST_TEST(Instance::claim({}).number() == 1);
}

BOOST_AUTO_TEST_CASE(each_worker_writes_to_the_file_of_its_number) {
    const TemporaryFolder folder;
    auto options = log_to({.file = folder / "r.%i.log"});
    options.runtime_dir = folder / "run";
    const LogSession session(options);
    log_event("first");
    BOOST_REQUIRE(exit_status(in_child([&] {
                      ::setenv("RECTO_INSTANCE", "7", 1);
                      ::execl("/proc/self/exe", "log_files_test", "--run_test=in_a_worker", "--", folder.path().c_str(), nullptr);
                  })) == 0);
    BOOST_TEST(names_of(folder / "r.%i.log") == "r.1.log r.7.log");
    BOOST_TEST(read_file(folder / "r.1.log").find("first") != std::string::npos);
    BOOST_TEST(read_file(folder / "r.7.log").find("seventh") != std::string::npos);
}

// What the test above starts as a process of its own; by itself it does nothing.
BOOST_AUTO_TEST_CASE(in_a_worker) {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    if (suite.argc < 2) return;
    const fs::path folder = suite.argv[1];
    auto options = log_to({.file = folder / "r.%i.log"});
    options.runtime_dir = folder / "run";
    const LogSession session(options);
    log_event("seventh");
}
