// G12: a log on a disk that stands still, and the workers' own files, with real workers behind nginx.
#define BOOST_TEST_MODULE log_disk
#include <algorithm>
#include <chrono>
#include <vector>

#include <sys/stat.h>

#include <boost/test/unit_test.hpp>

#include "log/files.hpp"
#include "log/log_counters.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/service.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUnlimited = "[view blog]\nthrottle = none\n";

std::vector<Clock::duration> times_of(HttpClient client, int requests) {
    std::vector<Clock::duration> times;
    for (int i = 0; i < requests; ++i) {
        const auto begin = Clock::now();
        BOOST_REQUIRE(client.get("/api/blog").status == 200);
        times.push_back(Clock::now() - begin);
    }
    std::ranges::sort(times);
    return times;
}

Clock::duration p99(const std::vector<Clock::duration>& sorted) { return sorted[sorted.size() * 99 / 100]; }

}  // namespace

// A pipe that nobody reads takes 64 KiB and then holds write(2) for ever: what the worst disk does. Each line is a kilobyte.
BOOST_AUTO_TEST_CASE(a_disk_that_stands_still_slows_no_request_in_batch_mode_and_the_lines_are_counted) {
    const TemporaryFolder folder;
    const auto stuck = folder / "stuck.log";
    BOOST_REQUIRE(::mkfifo(stuck.c_str(), 0600) == 0);
    ::chmod(folder.path().c_str(), 0755);
    const auto handler = "[log]\nhandlers = file, stuck\n[handler stuck]\nfile = " + stuck.string() +
                         "\nflush = batch\nformat = " + std::string(1000, 'x') + " {message}\n";
    constexpr int kRequests = 3000;
    const Service healthy({.workers = 1, .ini = kUnlimited});
    const auto usual = p99(times_of(healthy.client(), kRequests));
    Service service({.workers = 1, .ini = kUnlimited + handler});
    const auto slowed = p99(times_of(service.client(), kRequests));
    BOOST_TEST_MESSAGE("p99 " << usual / 1us << " us, with the stuck disk " << slowed / 1us << " us");
    BOOST_TEST((slowed < 10 * usual + 50ms));

    const std::vector<LogHandler> handlers{{.name = "file"}, {.name = "stderr"}, {.name = "stuck"}};
    const auto counters = LogCounters::open(service.runtime().path(), handlers);
    BOOST_TEST(counters.read(2).lost > 0u);
    BOOST_TEST(counters.read(2).lost < static_cast<std::uint64_t>(kRequests));
    BOOST_TEST(counters.read(0).lost == 0u);
    BOOST_TEST(counters.read(0).written >= static_cast<std::uint64_t>(kRequests));
    BOOST_TEST(service.lines_with("\"ev\"") >= static_cast<std::size_t>(kRequests));  // the healthy file has them all
    service.end_workers();                                                            // within their time
}

BOOST_AUTO_TEST_CASE(workers_have_files_of_their_own_and_a_restarted_one_goes_on_in_its_own) {
    Service service({.workers = 2, .ini = std::string(kUnlimited) + "[log]\nfile = logs/own.%i.log\nflush = batch\n"});
    const auto names = [&] {
        std::string text;
        for (const auto& file : files_of({.file = service.folder() / "logs" / "own.%i.log"})) text += file.filename().string() + ' ';
        return text;
    };
    const auto starts = [&] {
        std::ptrdiff_t count = 0;
        for (const auto& file : files_of({.file = service.folder() / "logs" / "own.%i.log"}))
            for (const auto& line : split_list(read_file(file), '\n')) count += line.find("worker.start") != std::string::npos ? 1 : 0;
        return count;
    };
    BOOST_TEST(eventually([&] { return starts() == 2; }));
    BOOST_TEST(names() == "own.1.log own.2.log ");
    service.workers().front().kill();
    service.workers().erase(service.workers().begin());
    service.start_worker();
    BOOST_TEST(eventually([&] { return starts() == 3; }));
    service.end_workers();
    BOOST_TEST(names() == "own.1.log own.2.log ");
    for (const auto* const name : {"logs/own.1.log", "logs/own.2.log"})
        BOOST_TEST(read_file(service.folder() / name).find("worker.stop") != std::string::npos);
}

// `truncate -s 0 logs/* logs/.*`
BOOST_AUTO_TEST_CASE(a_worker_goes_on_when_all_files_of_the_log_folder_are_emptied) {
    const Service service({.workers = 1, .ini = kUnlimited});
    auto client = service.client();
    for (int i = 0; i < 50; ++i) {
        for (const auto& entry : std::filesystem::directory_iterator(service.folder() / "logs"))
            std::filesystem::resize_file(entry.path(), 0);
        BOOST_REQUIRE(client.get("/api/blog").status == 200);
    }
    BOOST_TEST(eventually([&] { return service.lines_with("get_blog") > 0u; }));  // a line may come after its answer
}
