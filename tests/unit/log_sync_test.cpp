// `sync = error`: this program has its own fdatasync, which looks at what is in the file by then.
#define BOOST_TEST_MODULE log_sync
#include <mutex>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "tests/support/log_lines.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;

namespace {

std::mutex mutex;
std::vector<std::size_t> synced;  // the lines that were in the file at each call

std::size_t lines_behind(int fd) {
    std::string text(64u << 10, '\0');
    const auto size = ::pread(fd, text.data(), text.size(), 0);
    return size < 0 ? 0 : lines_of(text.substr(0, static_cast<std::size_t>(size))).size();
}

}  // namespace

extern "C" int fdatasync(int fd) {
    const std::lock_guard lock(mutex);
    synced.push_back(lines_behind(fd));
    return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

BOOST_AUTO_TEST_CASE(an_error_is_on_the_disk_when_the_call_returns_and_nothing_else_is_waited_for) {
    for (const auto flush : {Flush::record, Flush::batch})
        for (const bool sync : {true, false}) BOOST_TEST_CONTEXT(static_cast<int>(flush) << sync) {
                const TemporaryFolder folder;
                synced.clear();
                const LogSession session(log_to({.file = folder / "recto.log", .flush = flush, .sync_errors = sync}));
                for (int i = 0; i < 5; ++i) log_event("calm", {}, kDefaultLogger, Level::warning);
                log_event("loud", {}, kDefaultLogger, Level::error);
                const std::lock_guard lock(mutex);
                BOOST_TEST(synced == (sync ? std::vector<std::size_t>{6} : std::vector<std::size_t>{}), boost::test_tools::per_element());
            }
}

BOOST_AUTO_TEST_CASE(an_error_is_on_the_disk_also_where_no_file_descriptor_is_free, *boost::unit_test::enable_if<!kNeedsDescriptors>()) {
    const TemporaryFolder folder;
    synced.clear();
    const LogSession session(log_to({.file = folder / "recto.log", .sync_errors = true}));
    rlimit files{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    const rlimit none{0, files.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    log_event("loud", {}, kDefaultLogger, Level::error);
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
    const std::lock_guard lock(mutex);
    BOOST_TEST(synced == std::vector<std::size_t>{1}, boost::test_tools::per_element());
}

// By then the name may be another file's: it is the one with the line that has to be on the disk.
BOOST_AUTO_TEST_CASE(errors_of_many_threads_are_each_in_the_file_that_is_synced) {
    const TemporaryFolder folder;
    synced.clear();
    {
        const LogSession session(log_to({.file = folder / "recto.log", .max_bytes = Size{2000}, .backup_count = 50, .sync_errors = true}));
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread)
            threads.emplace_back([] {
                for (int i = 0; i < 25; ++i) log_event("loud", {}, kDefaultLogger, Level::error);
            });
    }
    BOOST_TEST(synced.size() == 100u);
    BOOST_TEST(std::ranges::count(synced, 0u) == 0);
    BOOST_TEST(all_lines(folder / "recto.log").size() == 100u);
}
