// Reading a log's files, plain and packed, while they are written and rotated.
#define BOOST_TEST_MODULE read_lines
#include "log/read_lines.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "tests/support/skip.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/gzip.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

using Lines = std::vector<std::string>;

Lines split(const std::vector<std::string_view>& pieces) {
    Lines lines;
    const auto take = [&](std::string_view line) { lines.emplace_back(line); };
    LineSplitter splitter;
    for (const auto piece : pieces) splitter.feed(piece, take);
    splitter.finish(take);
    return lines;
}

Lines lines_of(const fs::path& file) {
    Lines lines;
    for (const auto& log : open_logs({.file = file})) read_lines(log, [&](std::string_view line) { lines.emplace_back(line); });
    return lines;
}

void put(const fs::path& file, std::string_view text) { std::ofstream(file, std::ios::app | std::ios::binary) << text; }

}  // namespace

BOOST_AUTO_TEST_CASE(lines_come_whole_however_their_bytes_come) {
    const std::pair<std::vector<std::string_view>, Lines> cases[] = {
        {{}, {}},
        {{""}, {}},
        {{"a\n"}, {"a"}},
        {{"a"}, {"a"}},
        {{"a\nb\n"}, {"a", "b"}},
        {{"a", "b\n", "c", "\n"}, {"ab", "c"}},
        {{"\n\n"}, {"", ""}},
        {{std::string_view("a\0b\n", 4)}, {"a\0b"s}},
    };
    for (const auto& [pieces, expected] : cases) BOOST_TEST(split(pieces) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_line_without_end_takes_no_more_memory_than_it_may) {
    std::size_t taken = 0, longest = 0;
    const auto take = [&](std::string_view line) { ++taken, longest = std::max(longest, line.size()); };
    LineSplitter splitter;
    const std::string chunk(1 << 20, 'x');
    for (int i = 0; i < 10; ++i) splitter.feed(chunk, take);
    BOOST_TEST(taken == 0u);
    splitter.feed("\nshort\n", take);
    BOOST_TEST(taken == 2u);
    BOOST_TEST(longest == LineSplitter::kMaxLine);
    splitter.feed(chunk + chunk + chunk + "\n", take);
    BOOST_TEST(longest == LineSplitter::kMaxLine);
}

BOOST_AUTO_TEST_CASE(the_oldest_line_is_the_first_of_all_files) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    put(folder / "recto.log", "six\nseven\n");
    put(folder / "recto.log.1", "five\n");
    put(folder / "recto.log.2.gz", gzip("three\nfo") + gzip("ur\n"));  // members may be joined
    put(folder / "recto.log.10", "two\n");
    put(folder / "recto.log.11.gz", gzip("one\n"));
    for (const auto* other :
         {"recto.log.lock", "recto.log.x", "recto.logs", "recto.log.0", "recto.log.-1", "recto.log.", "other.log", ".recto.log.lock"})
        put(folder / other, "no\n");
    const Lines expected{"one", "two", "three", "four", "five", "six", "seven"};
    BOOST_TEST(lines_of(file) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(each_worker_may_have_files_of_its_own) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.%i.log";
    put(folder / "recto.1.log", "b\n");
    put(folder / "recto.1.log.1", "a\n");
    put(folder / "recto.12.log", "c\n");
    put(folder / "recto.log", "no\n");
    const Lines expected{"a", "b", "c"};
    BOOST_TEST(lines_of(file) == expected, boost::test_tools::per_element());
    const std::vector<fs::path> current{folder / "recto.1.log", folder / "recto.12.log"};
    BOOST_TEST((current_files({.file = file}) == current));
    BOOST_TEST((current_files({.file = folder / "recto.log"}) == std::vector{folder / "recto.log"}));
    BOOST_TEST(current_files({}).empty());
}

BOOST_AUTO_TEST_CASE(a_packed_file_of_many_times_its_size_is_read) {
    const TemporaryFolder folder;
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "a line like all the others\n";
    put(folder / "recto.log.1.gz", gzip(text));
    BOOST_TEST(lines_of(folder / "recto.log").size() == 100'000u);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_named) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const auto whole = gzip("one\ntwo\n");
    for (const auto& broken : {"no gzip"s, whole.substr(0, whole.size() / 2), whole + "x", "\x1f\x8b"s}) {
        const auto path = folder / "recto.log.1.gz";
        fs::remove(path);
        put(path, broken);
        BOOST_CHECK_EXCEPTION(lines_of(file), std::runtime_error,
                              [&](const auto& problem) { return std::string(problem.what()).find(path.string()) != std::string::npos; });
    }
    fs::remove(folder / "recto.log.1.gz");
    fs::create_directory(file);
    BOOST_CHECK_THROW(lines_of(file), std::runtime_error);
    fs::remove(file);
    BOOST_REQUIRE(::mkfifo(file.c_str(), 0600) == 0);  // must not wait for a writer
    BOOST_CHECK_THROW(lines_of(file), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_file_that_may_not_be_read_is_named) {
    if (::geteuid() == 0) return skip("root may read every file");
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    put(file, "secret\n");
    fs::permissions(file, fs::perms::none);
    BOOST_CHECK_THROW(lines_of(file), std::system_error);
}

// A copy that broke off, a disk that damaged it: what stands before is read, and the file is named.
BOOST_AUTO_TEST_CASE(of_a_damaged_packed_file_the_lines_before_the_damage_are_read) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += "line " + std::to_string(i) + " of many\n";
    const auto whole = gzip(text);
    auto wrong_sum = whole;
    wrong_sum[wrong_sum.size() - 8] ^= 1;
    auto flipped = whole;
    flipped[flipped.size() / 2] ^= 0x55;
    struct {
        std::string packed;
        std::size_t least, most;  // lines
        const char* problem;      // empty: none
    } const cases[] = {
        {whole, 20'000, 20'000, ""},
        {gzip("a\n") + gzip("b\n") + gzip("c\n"), 3, 3, ""},
        {whole + std::string(512, '\0'), 20'000, 20'000, ""},
        {whole + std::string(512, '\0') + gzip("one\n"), 20'001, 20'001, ""},
        {whole.substr(0, whole.size() / 2), 5'000, 19'999, "its end is missing"},
        {whole.substr(0, whole.size() - 1), 20'000, 20'000, "its end is missing"},
        {whole.substr(0, whole.size() - 8), 20'000, 20'000, "its end is missing"},
        {gzip("one\n") + whole.substr(0, 3), 1, 1, "its end is missing"},
        {whole + "x", 20'000, 20'000, "something that isn't gzip follows its end"},
        {whole + std::string(512, '\0') + "x", 20'000, 20'000, "something that isn't gzip follows its end"},
        {wrong_sum, 20'000, 20'000, "it is damaged"},
        {flipped, 1, 20'000, "it is damaged"},
        {"", 0, 0, "it is empty"},
        {std::string(512, '\0'), 0, 0, "it isn't gzip"},
        {"plain\n", 0, 0, "it isn't gzip"},
        {"\x1f\x8b", 0, 0, "its end is missing"},
    };
    for (const auto& [packed, least, most, problem] : cases) {
        BOOST_TEST_CONTEXT(problem << ", " << packed.size() << " bytes") {
            const TemporaryFolder folder;
            const auto path = folder / "recto.log.2.gz";
            put(path, packed);
            std::size_t lines = 0;
            std::string said;
            try {
                for (const auto& log : open_logs({.file = folder / "recto.log"})) read_lines(log, [&](std::string_view) { ++lines; });
            } catch (const std::runtime_error& found) {
                said = found.what();
            }
            BOOST_TEST(lines >= least);
            BOOST_TEST(lines <= most);
            BOOST_TEST(said == (*problem == '\0' ? "" : "cannot read " + path.string() + " to its end: " + problem));
        }
    }
}

BOOST_AUTO_TEST_CASE(one_packed_otherwise_is_named_and_hides_no_other) {
    for (const auto* form : {".xz", ".bz2", ".zst", ".lz4", ".Z"}) {
        const TemporaryFolder folder;
        put(folder / ("recto.log-20261201"s + form),
            "\xfd"
            "7zXZ");
        put(folder / "recto.log", "one\n");
        Lines lines;
        std::string said;
        for (const auto& log : open_logs({.file = folder / "recto.log"})) {
            try {
                read_lines(log, [&](std::string_view line) { lines.emplace_back(line); });
            } catch (const std::runtime_error& problem) {
                said += problem.what();
            }
        }
        BOOST_TEST(said.ends_with("recto.log-20261201"s + form + ": of packed files only .gz can be read; unpack it"), said);
        BOOST_TEST(lines == Lines{"one"}, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(one_that_cannot_be_opened_hides_no_other) {
    const TemporaryFolder folder;
    put(folder / "recto.log", "three\n");
    fs::create_directory(folder / "recto.log.1");
    put(folder / "recto.log.2", "one\ntwo\n");
    Lines lines;
    std::size_t failed = 0;
    for (const auto& log : open_logs({.file = folder / "recto.log"})) {
        try {
            read_lines(log, [&](std::string_view line) { lines.emplace_back(line); });
        } catch (const std::runtime_error& problem) {
            BOOST_TEST(std::string(problem.what()).find("recto.log.1") != std::string::npos, problem.what());
            ++failed;
        }
    }
    BOOST_TEST(failed == 1u);
    const Lines expected{"one", "two", "three"};
    BOOST_TEST(lines == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_file_and_no_folder_are_no_lines) {
    const TemporaryFolder folder;
    BOOST_TEST(lines_of(folder / "recto.log").empty());
    BOOST_TEST(lines_of(folder.path() / "logs" / "recto.log").empty());
}

// Ten files, one of which always is the newest: whatever the moment, the reader has all lines that he may have, each once and in order.
BOOST_AUTO_TEST_CASE(nothing_is_missed_or_read_twice_while_files_are_rotated) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const auto backup = [&](int number) { return fs::path(file.string() + '.' + std::to_string(number)); };
    constexpr int kBackups = 5;
    std::atomic<int> written = 0;
    const std::jthread writer([&](const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested(); ++i) {
            std::error_code ignored;
            for (int number = kBackups; number > 1; --number) fs::rename(backup(number - 1), backup(number), ignored);
            fs::rename(file, backup(1), ignored);
            put(file, std::to_string(i) + "\n");
            written = i;
            std::this_thread::sleep_for(1ms);  // still a thousand times as often as a log of 1 MB/s would
        }
    });
    while (written < kBackups) std::this_thread::yield();
    for (int i = 0; i < 300; ++i) {
        const int least = written - kBackups + 1;
        const int newest = written;
        const auto logs = open_logs({.file = file});
        const int most = written + 1;
        Lines lines;
        for (const auto& log : logs) read_lines(log, [&](std::string_view line) { lines.emplace_back(line); });
        BOOST_REQUIRE(!lines.empty());
        for (std::size_t k = 1; k < lines.size(); ++k) BOOST_REQUIRE(std::stoi(lines[k]) == std::stoi(lines[k - 1]) + 1);
        BOOST_TEST(std::stoi(lines.front()) >= least - 1);
        BOOST_TEST(std::stoi(lines.back()) >= newest);
        BOOST_TEST(std::stoi(lines.back()) <= most);
    }
}
