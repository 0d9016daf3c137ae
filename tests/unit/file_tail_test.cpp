// Following a file while it is rotated, removed, renamed, truncated.
#define BOOST_TEST_MODULE file_tail
#include "log/file_tail.hpp"

#include <fstream>
#include <thread>

#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "log/log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/json.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& file, std::string_view text) { std::ofstream(file, std::ios::app | std::ios::binary) << text; }

std::string numbered(int from, int to) {
    std::string text;
    for (int i = from; i <= to; ++i) text += std::to_string(i) + '\n';
    return text;
}

// A log's file, and what its tail took of it.
struct Followed {
    TemporaryFolder folder;
    fs::path file = folder.path() / "logs" / "recto.log";
    std::vector<std::string> lines = {};

    Followed() { fs::create_directory(file.parent_path()); }

    fs::path backup(int number) const { return file.string() + '.' + std::to_string(number); }

    void rotate() const {
        for (int number = 9; number > 0; --number)
            if (fs::exists(backup(number))) fs::rename(backup(number), backup(number + 1));
        fs::rename(file, backup(1));
    }

    // The lines that are new, joined by blanks.
    std::string taken(FileTail& tail) {
        lines.clear();
        tail.poll([&](std::string_view line) { lines.emplace_back(line); });
        return join(lines, " ");
    }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(it_begins_with_the_last_lines, Followed) {
    put(file, numbered(1, 100'000));
    const std::pair<std::size_t, std::string> cases[] = {{0, ""}, {1, "100000"}, {2, "99999 100000"}, {3, "99998 99999 100000"}};
    for (const auto& [count, expected] : cases) {
        FileTail tail(file, count);
        BOOST_TEST(taken(tail) == expected);
    }
    for (const std::size_t count : {99'999, 100'000, 200'000}) {
        FileTail tail(file, count);
        (void)taken(tail);
        BOOST_TEST(lines.size() == std::min<std::size_t>(count, 100'000));
    }
}

BOOST_FIXTURE_TEST_CASE(of_more_than_16_mb_come_as_many_last_lines_as_are_within, Followed) {
    const std::string line(1023, 'x');
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += line + '\n';
    put(file, text);
    FileTail tail(file, 100'000);
    (void)taken(tail);
    BOOST_TEST(lines.size() > 16'000u);
    BOOST_TEST(lines.size() < 17'000u);
    BOOST_TEST(lines.front() == line);
}

BOOST_FIXTURE_TEST_CASE(a_line_is_taken_when_it_has_ended, Followed) {
    put(file, "one\ntw");
    FileTail tail(file, 10);
    BOOST_TEST(taken(tail) == "one");
    put(file, "o");
    BOOST_TEST(taken(tail) == "");
    put(file, "\nthree\n");
    BOOST_TEST(taken(tail) == "two three");
    BOOST_TEST(taken(tail) == "");
}

BOOST_FIXTURE_TEST_CASE(it_goes_on_in_the_next_file_after_a_rotation, Followed) {
    put(file, "one\n");
    FileTail tail(file, 10);
    BOOST_TEST(taken(tail) == "one");
    put(file, "two\n");
    rotate();
    put(backup(1), "late\n");
    put(file, "three\n");
    BOOST_TEST(taken(tail) == "two late three");
    put(backup(1), "very late\n");  // a process that hasn't seen the rotation
    put(file, "four\n");
    BOOST_TEST(taken(tail) == "very late four");
}

BOOST_FIXTURE_TEST_CASE(files_that_came_and_went_between_two_looks_are_read_too, Followed) {
    put(file, "old\n");
    rotate();
    put(file, "one\n");
    FileTail tail(file, 10);
    BOOST_TEST(taken(tail) == "one");
    std::this_thread::sleep_for(20ms);  // the kernel's clock for files has ticks of up to 10 ms
    for (int i = 2; i < 6; ++i) {
        rotate();
        put(file, std::to_string(i) + '\n');
    }
    BOOST_TEST(taken(tail) == "2 3 4 5");
    BOOST_TEST(taken(tail) == "");
}

BOOST_FIXTURE_TEST_CASE(it_waits_for_a_file_that_is_not_there_yet, Followed) {
    fs::remove_all(file.parent_path());
    FileTail tail(file, 10);
    BOOST_TEST(!tail.is_there());
    BOOST_TEST(taken(tail) == "");
    fs::create_directory(file.parent_path());
    BOOST_TEST(taken(tail) == "");
    put(file, numbered(1, 3));
    BOOST_TEST(taken(tail) == "1 2 3");
    BOOST_TEST(tail.is_there());
}

BOOST_FIXTURE_TEST_CASE(it_survives_what_happens_to_a_file, Followed) {
    put(backup(1), "before\n");
    put(file, "one\n");
    FileTail tail(file, 10);
    BOOST_TEST(taken(tail) == "one");

    fs::remove(file);
    BOOST_TEST(taken(tail) == "");
    put(file, "after removal\n");
    BOOST_TEST(taken(tail) == "after removal");

    fs::rename(file, file.string() + ".old");
    put(file.string() + ".old", "to the renamed one\n");
    BOOST_TEST(taken(tail) == "to the renamed one");
    put(file, "after renaming\n");
    BOOST_TEST(taken(tail) == "after renaming");

    fs::remove_all(file.parent_path());
    BOOST_TEST(taken(tail) == "");
    put(file.parent_path(), "a file instead of the folder\n");
    BOOST_TEST(taken(tail) == "");
    fs::remove(file.parent_path());
    fs::create_directory(file.parent_path());
    put(file, "after the folder\n");
    BOOST_TEST(taken(tail) == "after the folder");

    BOOST_REQUIRE(::truncate(file.c_str(), 0) == 0);  // as copytruncate of logrotate does
    BOOST_TEST(taken(tail) == "");
    put(file, "new\n");
    BOOST_TEST(taken(tail) == "new");
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_read_is_an_exception, Followed) {
    fs::create_directory(file);
    BOOST_CHECK_THROW(FileTail(file, 10), std::runtime_error);
}

// The real writer, which rotates every few hundred lines.
BOOST_FIXTURE_TEST_CASE(no_line_of_the_log_is_missed_or_taken_twice, Followed) {
    constexpr int kLines = 20'000;
    put(file, "");
    FileTail tail(file, 0);
    std::vector<std::int64_t> numbers;
    const auto poll = [&] {
        tail.poll(
            [&](std::string_view line) { numbers.push_back(json::parse(line.substr(line.find('{'))).at("data").at("number").as_int64()); });
    };
    auto writer = Process::forked([&] {
        const LogSession session(log_to({.file = file, .max_bytes = Size{16 << 10}, .backup_count = 100, .max_record = Size{1 << 10}}));
        for (int i = 0; i < kLines; ++i) log_event("number", {{"number", i}});
    });
    const auto is_complete = [&] {
        poll();
        return !numbers.empty() && numbers.back() == kLines - 1;
    };
    BOOST_TEST(eventually(is_complete));
    BOOST_TEST(writer.wait(10s).value_or(-1) == 0);
    poll();
    BOOST_TEST(numbers.size() == std::size_t{kLines});
    for (std::size_t i = 0; i < numbers.size(); ++i) BOOST_REQUIRE(numbers[i] == static_cast<std::int64_t>(i));
}
