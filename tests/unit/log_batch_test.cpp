#define BOOST_TEST_MODULE log_batch
#include "log/batch.hpp"

#include <csignal>
#include <random>
#include <set>

#include <sys/resource.h>
#include <sys/stat.h>
#include <boost/test/unit_test.hpp>

#include "log/log_counters.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/log_lines.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

LogOptions batched(const fs::path& file, Size max_bytes = Size{10u << 20}, int backup_count = 10) {
    return log_to({.file = file, .max_bytes = max_bytes, .backup_count = backup_count, .flush = Flush::batch});
}

std::size_t count_lines(const fs::path& file) { return fs::exists(file) ? lines_of(read_file(file)).size() : 0; }

// A disk that stands still: write(2) to a full pipe waits until somebody reads. The log opens it itself.
class StuckFile {
public:
    explicit StuckFile(const fs::path& path) : path_(path) { BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }

    // It goes on: what was and will be written, until `last` has come.
    std::string read_until(std::string_view last) const {
        const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        std::string text;
        char buffer[1 << 16];
        const bool complete = eventually([&] {
            for (auto got = ::read(fd.get(), buffer, sizeof buffer); got > 0; got = ::read(fd.get(), buffer, sizeof buffer))
                text.append(buffer, static_cast<std::size_t>(got));
            return text.find(last) != std::string::npos && text.ends_with('\n');
        });
        BOOST_TEST(complete);
        return text;
    }

private:
    fs::path path_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(lines_are_written_together_within_a_tenth_of_a_second) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const LogSession session(batched(file));
    const auto begin = Clock::now();
    for (int i = 0; i < 10; ++i) log_event("number", {{"number", i}});
    const auto early = count_lines(file);
    // A busy machine may have taken longer to get here than lines wait.
    if (Clock::now() - begin < 90ms) BOOST_TEST(early == 0u);
    BOOST_TEST(eventually([&] { return count_lines(file) == 10u; }));
    for (const auto& line : lines_of(read_file(file))) BOOST_TEST(event_of(line).is_object());
}

BOOST_AUTO_TEST_CASE(a_batch_is_written_when_it_has_64_kilobytes) {
    // Before its time is over; a busy machine may miss that now and then.
    const auto is_written_early = [] {
        const TemporaryFolder folder;
        const auto file = folder / "recto.log";
        const LogSession session(batched(file));
        const json::value data{{"text", std::string(900, 'x')}};
        const auto begin = Clock::now();
        for (int i = 0; i < 80; ++i) log_event("wide", data);
        const bool early = eventually([&] { return count_lines(file) >= 60u; }) && Clock::now() - begin < 95ms;
        BOOST_TEST(eventually([&] { return count_lines(file) == 80u; }));
        return early;
    };
    BOOST_TEST(eventually(is_written_early));
}

BOOST_AUTO_TEST_CASE(an_error_is_written_at_once_with_all_before_it_and_in_order) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const LogSession session(batched(file));
    for (int round = 1; round <= 20; ++round) {
        for (int i = 0; i < 5; ++i) log_event("number", {{"writer", 0}, {"number", round * 6 + i}});
        log_event("number", {{"writer", 0}, {"number", round * 6 + 5}}, kDefaultLogger, Level::error);
        BOOST_TEST(count_lines(file) == static_cast<std::size_t>(6 * round));
    }
    BOOST_TEST(counts_up(numbers_in(file).of_writer.at(0)));
}

BOOST_AUTO_TEST_CASE(nothing_is_left_behind_at_the_end_of_a_session) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    std::size_t expected = 0;
    for (int session = 0; session < 50; ++session) {
        const LogSession log(batched(file));
        for (int i = 0; i < session; ++i) log_event("number", {{"number", i}});
        expected += static_cast<std::size_t>(session);
    }
    BOOST_TEST(count_lines(file) == expected);
}

BOOST_AUTO_TEST_CASE(a_line_longer_than_a_batch_is_written_whole_and_in_its_place) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    {
        auto options = batched(file);
        options.handlers[0].max_record = Size{2u << 20};
        const LogSession session(options);
        log_event("number", {{"writer", 0}, {"number", 0}});
        log_event("number", {{"writer", 0}, {"number", 1}, {"text", std::string(200'000, 'x')}});
        log_event("number", {{"writer", 0}, {"number", 2}});
        // Longer than all that may wait: alone it may.
        log_event("number", {{"writer", 0}, {"number", 3}}, kDefaultLogger, Level::error);
        log_event("number", {{"writer", 0}, {"number", 4}, {"text", std::string(Batch::kCapacity + 1000, 'x')}});
        log_event("number", {{"writer", 0}, {"number", 5}}, kDefaultLogger, Level::error);
    }
    const auto numbers = numbers_in(file);
    BOOST_TEST(numbers.malformed == 0u);
    const auto& list = numbers.of_writer.at(0);
    BOOST_TEST(counts_up(std::vector(list.begin(), list.begin() + 5)));
}

// G1. A disk that is too slow for them costs lines here, and tells how many.
BOOST_AUTO_TEST_CASE(each_line_of_four_processes_is_there_once_whole_and_in_order) {
    const TemporaryFolder folder;
    const Progress logged;
    auto options = batched(folder / "recto.log", Size{300'000}, 400);
    constexpr std::int64_t kLines = 10'000;
    std::vector<pid_t> writers;
    for (int process = 0; process < 4; ++process) writers.push_back(start_writers(options, process, kLines, logged));
    for (const auto pid : writers) BOOST_TEST(exit_status(pid) == 0);

    const auto file = options.handlers[0].file;
    const auto numbers = numbers_in(file);
    BOOST_TEST(numbers.malformed == 0u);
    BOOST_TEST(numbers.of_writer.size() == 8u);
    std::int64_t lost = 0;
    for (const auto& [writer, list] : numbers.of_writer) BOOST_TEST_CONTEXT("writer " << writer) {
            BOOST_TEST((std::ranges::adjacent_find(list, std::greater_equal()) == list.end()));
            lost += kLines - static_cast<std::int64_t>(list.size());
        }
    BOOST_TEST(lost == numbers.told_lost);
    BOOST_TEST(backup_numbers(file).size() > 20u);
    BOOST_TEST(largest_file(file) <= 300'000u + 4 * Batch::kBytes);
}

// G2, and what `flush = batch` may cost.
BOOST_AUTO_TEST_CASE(a_killed_process_loses_some_of_its_last_lines_only_and_no_more_than_the_buffer) {
    const TemporaryFolder folder;
    const Progress logged;
    const auto options = batched(folder / "recto.log", Size{300'000}, 3000);
    const auto started = kill_writers_at_random(options, logged);

    BOOST_TEST(backup_numbers(options.handlers[0].file).size() >= 50u);
    constexpr std::int64_t kShortestLine = 80;
    const auto numbers = numbers_in(options.handlers[0].file);
    BOOST_TEST(numbers.malformed <= static_cast<std::size_t>(started));
    for (int process = 0; process < started; ++process) BOOST_TEST_CONTEXT("process " << process) {
            std::int64_t lost = 0, behind_the_first_lost = 0;
            for (int writer = process * kThreads; writer < (process + 1) * kThreads; ++writer) {
                const auto found = numbers.of_writer.find(writer);
                auto list = found == numbers.of_writer.end() ? std::vector<std::int64_t>{} : found->second;
                // Half a line that another process left costs the first line of a batch its place: it comes again behind the batch, unless
                // its own process is killed just then.
                std::ranges::sort(list);
                BOOST_TEST((std::ranges::adjacent_find(list) == list.end()));
                std::int64_t first_lost = 0;
                while (std::ranges::binary_search(list, first_lost)) ++first_lost;
                lost += logged[writer] - static_cast<std::int64_t>(list.size());
                behind_the_first_lost += logged[writer] - first_lost;
            }
            BOOST_TEST((lost - numbers.told_lost) * kShortestLine <= static_cast<std::int64_t>(Batch::kCapacity));
            // A disk too slow for them costs lines anywhere, and tells so.
            if (numbers.told_lost == 0) BOOST_TEST(behind_the_first_lost * kShortestLine <= static_cast<std::int64_t>(Batch::kCapacity));
        }
}

// G3
BOOST_AUTO_TEST_CASE(a_full_disk_costs_exactly_the_lines_that_the_gaps_tell) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    constexpr std::int64_t kFull = 5000;
    constexpr std::int64_t kAfter = 10;
    BOOST_REQUIRE(exit_status(in_child([&] {
                      const ErrorOutput redirected(folder / "stderr");
                      std::signal(SIGXFSZ, SIG_IGN);
                      rlimit limit{};
                      ::getrlimit(RLIMIT_FSIZE, &limit);
                      const rlimit tight{100'050, limit.rlim_max};
                      const LogSession session(batched(file));
                      Counter ignored;
                      ::setrlimit(RLIMIT_FSIZE, &tight);
                      log_numbers(0, kFull, ignored);
                      log_event("last", {}, kDefaultLogger, Level::error);  // so that all before it has been tried
                      ::setrlimit(RLIMIT_FSIZE, &limit);
                      log_numbers(1, kAfter, ignored);
                  })) == 0);
    std::int64_t lost = 0;
    std::size_t malformed = 0;
    std::map<std::int64_t, std::set<std::int64_t>> seen;
    for (const auto& line : all_lines(file)) {
        const auto event = event_of(line);
        if (event.is_null())
            ++malformed;
        else if (event.at("ev").as_string() == "log.gap")
            lost += event.at("data").at("lost").as_int64();
        else
            BOOST_TEST(seen[event.at("data").at("writer").as_int64()].insert(event.at("data").at("number").as_int64()).second);
    }
    BOOST_TEST(malformed <= 1u);
    BOOST_TEST(seen[0].size() > 0u);
    BOOST_TEST(static_cast<std::int64_t>(seen[0].size()) + lost == kFull + 1);
    BOOST_TEST(static_cast<std::int64_t>(seen[1].size()) == kAfter);
}

// G12
BOOST_AUTO_TEST_CASE(a_disk_that_stands_still_holds_nobody_and_what_it_costs_is_counted) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const StuckFile disk(file);
    auto options = batched(file);
    options.runtime_dir = folder / "run";
    constexpr std::int64_t kLines = 40'000;  // some 4 MB, more than the pipe and the buffer
    std::string text;
    {
        const LogSession session(options);
        Counter ignored;
        int slow = 0;
        for (std::int64_t number = 0; number < kLines; ++number) {
            const auto begin = Clock::now();
            log_event("number", {{"writer", 0}, {"number", number}});
            if (Clock::now() - begin > 20ms) ++slow;
        }
        BOOST_TEST(slow < kLines / 1000);  // one waits for room; the others are the machine's affair

        // The first error waits for a while, those after it don't: the disk is known to stand still.
        auto begin = Clock::now();
        log_event("stuck", {}, kDefaultLogger, Level::error);
        BOOST_TEST((Clock::now() - begin < 5s));
        begin = Clock::now();
        for (int i = 0; i < 50; ++i) log_event("stuck", {}, kDefaultLogger, Level::error);
        BOOST_TEST((Clock::now() - begin < 10s));  // 50 s if each waited

        BOOST_TEST(LogCounters::open(options.runtime_dir, options.handlers).read(0).lost > 0u);  // known while it stands still
        std::thread reader([&] { text = disk.read_until("goes.on"); });
        std::atomic<bool> has_come{false};
        std::thread writer([&] {  // until there is room again
            while (!has_come) log_event("goes.on", {}, kDefaultLogger, Level::error);
        });
        reader.join();
        has_come = true;
        writer.join();
    }
    std::int64_t lost = 0, written = 0, others = 0;
    for (const auto& line : lines_of(text)) {
        const auto event = event_of(line);
        BOOST_REQUIRE(event.is_object());
        const auto& name = event.at("ev").as_string();
        if (name == "log.gap")
            lost += event.at("data").at("lost").as_int64();
        else
            ++(name == "number" ? written : others);
    }
    BOOST_TEST(lost > 0);
    BOOST_TEST(written > 5000);
    BOOST_TEST(written + lost >= kLines);
    const auto counts = LogCounters::open(options.runtime_dir, options.handlers).read(0);
    BOOST_TEST(static_cast<std::int64_t>(counts.lost) >= lost);
}

BOOST_AUTO_TEST_CASE(a_session_ends_though_the_disk_stands_still) {
    const TemporaryFolder folder;
    const StuckFile disk(folder / "recto.log");
    const auto begin = Clock::now();
    BOOST_TEST(exit_status(in_child([&] {
                   const LogSession session(batched(folder / "recto.log"));
                   Counter ignored;
                   log_numbers(0, 10'000, ignored);
               })) == 0);
    BOOST_TEST((Clock::now() - begin < 20s));
}
