#define BOOST_TEST_MODULE log_space
#include <csignal>
#include <cstdlib>
#include <random>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <boost/test/unit_test.hpp>

#include "log/files.hpp"
#include "log/log_counters.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/log_lines.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr int kCannot = 77;

// A file system in memory, of a namespace of the calling process's own: nobody else sees it, and it ends with the process.
bool mount_small_disk(const fs::path& folder, const std::string& size) {
    const auto user = std::to_string(::getuid()), group = std::to_string(::getgid());
    if (::unshare(::getuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (user != "0") {
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/uid_map") << user + " " + user + " 1";
        std::ofstream("/proc/self/gid_map") << group + " " + group + " 1";
    }
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    return ::mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
}

// Works in a child that has a disk of `size` at `folder`.
template <class Work>
void with_small_disk(const fs::path& folder, const std::string& size, const Work& work) {
    const auto status = exit_status(in_child([&] {
        if (!mount_small_disk(folder, size)) ::_exit(kCannot);
        work();
    }));
    if (WEXITSTATUS(status) == kCannot) return skip("this machine lets nobody mount a tmpfs");
    BOOST_TEST(status == 0);
}

void require(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(what);
}

void fill(const fs::path& file, std::size_t bytes) { write_text(file, std::string(bytes, 'x')); }

// Until not a byte is left.
void fill_up(const fs::path& file) {
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string page(4096, 'x');
    while (::write(fd.get(), page.data(), page.size()) > 0) {
    }
}

std::size_t count_of(const fs::path& file, std::string_view event) {
    return static_cast<std::size_t>(std::ranges::count_if(
        lines_of(read_file(file)), [&](const auto& line) { return line.find("\"ev\":\"" + std::string(event)) != std::string::npos; }));
}

}  // namespace

// The disk fills with something else: the log gives way, the oldest lines first.
BOOST_AUTO_TEST_CASE(the_oldest_backups_go_when_the_disk_gets_short) {
    const TemporaryFolder folder;
    with_small_disk(folder.path(), "4m", [&] {
        const auto file = folder / "recto.log";
        for (int number = 1; number <= 4; ++number) fill(backup(file, number), 500'000);
        fill(folder / "recto.log.note", 100'000);
        const LogSession session(log_to({.file = file, .min_free_space = Size{1u << 20}}));
        log_event("enough");
        require(backups_of(file).size() == 4, "a backup went though there was room");
        fill(folder / "other", 1'000'000);  // now some 0.9 MB are free
        require(eventually([&] {
                    log_event("going.on");
                    return !fs::exists(backup(file, 4));
                }),
                "the oldest backup is still there");
        std::this_thread::sleep_for(150ms);
        log_event("going.on");
        require(backups_of(file).size() == 3, "more went than had to");
        require(fs::exists(folder / "recto.log.note"), "a file that is no backup went");
        require(count_of(file, "log.gap") == 0, "lines were lost");
    });
}

// logrotate with `dateformat .%Y%m%d` and its like: they keep their own count, and know nothing of ours.
BOOST_AUTO_TEST_CASE(backups_with_a_date_are_another_s_and_stay) {
    const TemporaryFolder folder;
    with_small_disk(folder.path(), "4m", [&] {
        const ErrorOutput redirected(folder / "stderr");
        const auto file = folder / "recto.log";
        const fs::path dated[] = {folder / "recto.log.20261126.gz", folder / "recto.log.20261127"};
        for (const auto& path : dated) fill(path, 500'000);
        for (int number = 1; number <= 2; ++number) fill(backup(file, number), 100'000);
        fill(folder / "other", 2'500'000);
        const LogSession session(log_to({.file = file, .min_free_space = Size{1u << 20}}));
        require(eventually([&] {
                    log_event("going.on");
                    return !fs::exists(backup(file, 2)) || !fs::exists(dated[1]);
                }),
                "nothing goes");
        require(fs::exists(backup(file, 1)), "the newer backup went first");
        require(eventually([&] {
                    log_event("going.on");
                    return read_file(folder / "stderr").find("min_free_space") != std::string::npos;
                }),
                "nobody was told");
        require(!fs::exists(backup(file, 1)), "a backup is left");
        for (const auto& path : dated) require(fs::exists(path), "another's file went");
    });
}

BOOST_AUTO_TEST_CASE(with_no_backup_left_lines_are_lost_until_there_is_room_and_the_gap_tells) {
    const TemporaryFolder folder;
    with_small_disk(folder.path(), "4m", [&] {
        const ErrorOutput redirected(folder / "stderr");
        const auto file = folder / "recto.log";
        auto options = log_to({.file = file, .min_free_space = Size{1u << 20}});
        options.runtime_dir = folder / "run";
        fill(backup(file, 1), 100'000);
        fill(folder / "other", 3'500'000);
        std::size_t tried = 0;
        {
            const LogSession session(options);
            require(eventually([&] {
                        ++tried;
                        log_event("tried");
                        return LogCounters::open(options.runtime_dir, options.handlers).read(0).lost > 10;
                    }),
                    "no line is lost");
            require(!fs::exists(backup(file, 1)), "the backup is still there");
            fs::remove(folder / "other");
            require(eventually([&] {
                        log_event("again");
                        return count_of(file, "again") > 0;
                    }),
                    "nothing is written again");
        }
        std::int64_t lost = 0;
        std::size_t others = 0;
        for (const auto& event : events_of(file))
            if (event.at("ev").as_string() == "log.gap") lost += event.at("data").at("lost").as_int64(), ++others;
        require(others == 1 && lost > 10, "no gap tells");
        const auto counts = LogCounters::open(options.runtime_dir, options.handlers).read(0);
        require(static_cast<std::int64_t>(counts.lost) == lost, "the counter and the gap differ");
        require(counts.last_errno == ENOSPC, "the reason isn't known");
        require(read_file(folder / "stderr").find("min_free_space") != std::string::npos, "nobody was told");
    });
}

// G3, on a disk that is full indeed.
BOOST_AUTO_TEST_CASE(a_full_disk_costs_exactly_the_lines_that_the_gaps_tell) {
    const TemporaryFolder folder;
    with_small_disk(folder.path(), "256k", [&] {
        for (const auto flush : {Flush::record, Flush::batch}) {
            const ErrorOutput redirected(folder / "stderr");
            const auto file = folder / "recto.log";
            fs::remove(file);
            constexpr std::int64_t kLines = 5000;
            Counter ignored;
            {
                const LogSession session(log_to({.file = file, .flush = flush}));
                log_numbers(0, kLines, ignored);
                log_event("last", {}, kDefaultLogger, Level::error);
                // Room again: somebody emptied the file.
                fs::resize_file(file, 0);
                require(eventually([&] {
                            log_event("after", {}, kDefaultLogger, Level::error);
                            return count_of(file, "after") > 0;
                        }),
                        "nothing is written again");
            }
            const auto events = events_of(file);
            require(!events.empty() && events[0].at("ev").as_string() == "log.gap", "the first line is no gap");
            require(events[0].at("data").at("lost").as_int64() > 1000, "the gap is too small");
            for (const auto& line : all_lines(file)) require(event_of(line).is_object(), "a line is torn");
        }
    });
}

// Nothing is written after the room came back: the end of the log tells.
BOOST_AUTO_TEST_CASE(lines_that_were_lost_just_before_the_log_closes_are_told_in_the_file) {
    const TemporaryFolder folder;
    with_small_disk(folder.path(), "256k", [&] {
        for (const auto flush : {Flush::record, Flush::batch}) {
            const ErrorOutput redirected(folder / "stderr");
            const auto file = folder / "recto.log";
            fs::remove(file);
            auto options = log_to({.file = file, .flush = flush});
            options.runtime_dir = folder / ("run" + std::to_string(static_cast<int>(flush)));
            std::uint64_t lost = 0;
            {
                const LogSession session(options);
                log_event("first", {}, kDefaultLogger, Level::error);
                fill_up(folder / "other");
                require(eventually([&] {
                            log_event("lost", {}, kDefaultLogger, Level::error);
                            lost = LogCounters::open(options.runtime_dir, options.handlers).read(0).lost;
                            return lost >= 3;
                        }),
                        "no line is lost");
                fs::remove(folder / "other");
            }
            const auto events = events_of(file);
            const auto& last = events.back();
            require(last.at("ev").as_string() == "log.gap", "no gap tells");
            require(last.at("data").at("lost").to_number<std::uint64_t>() == lost, "the counter and the gap differ");
            require(read_file(folder / "stderr").find("closed") == std::string::npos, "the gap is told twice");
        }
    });
}

BOOST_AUTO_TEST_CASE(a_backup_that_cannot_be_compressed_takes_no_room_from_the_log) {
    const TemporaryFolder folder, elsewhere;
    with_small_disk(folder.path(), "1m", [&] {
        const ErrorOutput redirected(elsewhere / "stderr");
        const auto file = folder / "recto.log";
        std::string noise(700'000, '\0');
        std::ranges::generate(noise, [random = std::minstd_rand()]() mutable { return static_cast<char>(random() >> 8); });
        write_text(backup(file, 2), noise);
        const LogSession session(log_to({.file = file, .compress = true}));
        require(eventually([&] { return read_file(elsewhere / "stderr").find("not compressed") != std::string::npos; }), "it fits");
        require(!fs::exists(folder / ".recto.log.gz.new"), "what was made of it is still there");
        require(eventually([&] {
                    log_event("again");
                    return count_of(file, "again") > 0;
                }),
                "nothing is written");
    });
}

BOOST_AUTO_TEST_CASE(a_handler_counts_what_it_wrote_and_when_for_all_processes) {
    const TemporaryFolder folder;
    auto options = log_to({.file = folder / "recto.log", .max_bytes = Size{20'000}, .backup_count = 50});
    options.handlers.push_back({.file = folder / "other.log", .name = "other"});
    options.runtime_dir = folder / "run";
    const Progress logged;
    std::vector<pid_t> writers;
    for (int process = 0; process < 3; ++process) writers.push_back(start_writers(options, process, 500, logged));
    for (const auto pid : writers) BOOST_TEST(exit_status(pid) == 0);

    const auto counters = LogCounters::open(options.runtime_dir, options.handlers);
    const auto counts = counters.read(0);
    BOOST_TEST(counts.written == 3'000u);
    BOOST_TEST(counts.lost == 0u);
    BOOST_TEST(counts.rotations == backup_numbers(folder / "recto.log").size());
    BOOST_TEST(counts.reopened >= counts.rotations);
    BOOST_TEST(counts.last_errno == 0);
    BOOST_TEST(std::abs(counts.last_ok - std::time(nullptr)) < 60);
    BOOST_TEST(counters.read(1).written == 0u);
    BOOST_TEST(counters.read(1).last_ok == 0);
}
