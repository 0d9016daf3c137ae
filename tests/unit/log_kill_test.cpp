// What is left when a process dies inside a rotation or a compression: this program has its own rename, unlink and write, which end it
// there.
#define BOOST_TEST_MODULE log_kill
#include <csignal>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <boost/test/unit_test.hpp>

#include "log/backups.hpp"
#include "log/files.hpp"
#include "log/rotating_file.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/log_lines.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/gzip.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::atomic<int> calls_left{0};                                              // of rename and unlink until this process dies; 0: it doesn't
constinit thread_local const std::function<void()>* before_write = nullptr;  // once

void pass() {
    if (calls_left > 0 && --calls_left == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace

extern "C" int rename(const char* from, const char* to) noexcept {
    pass();
    return ::renameat(AT_FDCWD, from, AT_FDCWD, to);
}
extern "C" int unlink(const char* path) noexcept {
    pass();
    return ::unlinkat(AT_FDCWD, path, 0);
}
extern "C" ssize_t write(int fd, const void* bytes, std::size_t size) {
    if (const auto* const work = std::exchange(before_write, nullptr)) (*work)();
    return ::syscall(SYS_write, fd, bytes, size);
}

namespace {

// All of a handler's files, whatever form they have.
std::string text_of(const LogHandler& handler) {
    std::string text;
    for (const auto& file : files_of(handler)) {
        const auto bytes = read_file(file);
        text += file.extension() == ".gz" ? gunzip(bytes, 1u << 30).value() : bytes;
        if (!text.empty() && text.back() != '\n') text += '\n';  // half a line isn't part of the next file's first
    }
    return text;
}

Numbers numbers_of(const LogHandler& handler) { return numbers_in(lines_of(text_of(handler))); }

// A process that logs until it dies at the nth rename or unlink.
void log_until_killed(const LogOptions& options, int writer, int nth, Counter& logged) {
    const auto status = exit_status(in_child([&] {
        const LogSession session(options);
        calls_left = nth;
        log_numbers(writer, 100'000, logged);
    }));
    BOOST_TEST(WIFSIGNALED(status));
}

// Where a process may be when it is killed: in the rotation that precedes a line, or, killed by its compressing thread, at a line, which
// is there then before it was counted, or in half.
enum class Killed { before_a_line, at_any_point };

// Each line that was logged is there once, in its place.
void check_all(const Numbers& numbers, const Progress& logged, int writers, Killed killed = Killed::before_a_line) {
    const auto cut = killed == Killed::at_any_point ? 1 : 0;
    BOOST_TEST(numbers.malformed <= static_cast<std::size_t>(cut * writers));
    for (int writer = 0; writer < writers; ++writer) BOOST_TEST_CONTEXT("writer " << writer) {
            const auto found = numbers.of_writer.find(writer);
            const auto list = found == numbers.of_writer.end() ? std::vector<std::int64_t>{} : found->second;
            BOOST_TEST(counts_up(list));
            BOOST_TEST((list.empty() || list.front() == 0));
            const auto uncounted = static_cast<std::int64_t>(list.size()) - logged[writer];
            BOOST_TEST((uncounted >= 0 && uncounted <= cut), uncounted);
        }
}

}  // namespace

// G2, with the bar of 50 rotations: each process dies inside one, and another goes on beside them.
BOOST_AUTO_TEST_CASE(processes_killed_inside_the_chain_of_renames_lose_nothing) {
    const TemporaryFolder folder;
    const Progress logged;
    const auto options = log_to({.file = folder / "recto.log", .max_bytes = Size{20'000}, .backup_count = 1000});
    constexpr int kKills = 50;
    BOOST_REQUIRE(exit_status(in_child([&] {  // so that a chain is long
                      const LogSession session(options);
                      log_numbers(kKills + 1, 5'000, logged[kKills + 1]);
                  })) == 0);
    std::atomic<bool>* stop =
        new (::mmap(nullptr, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<bool>(false);
    const auto survivor = in_child([&] {
        const LogSession session(options);
        for (std::int64_t number = 0; !*stop; logged[kKills] = ++number) {
            log_event("number", {{"writer", kKills}, {"number", number}});
            std::this_thread::sleep_for(100us);
        }
    });
    for (int kill = 0; kill < kKills; ++kill) log_until_killed(options, kill, kill + 1, logged[kill]);
    *stop = true;
    BOOST_TEST(exit_status(survivor) == 0);
    check_all(numbers_of(options.handlers[0]), logged, kKills + 2);
    BOOST_TEST(backups_of(options.handlers[0].file).size() >= 50u);
}

// The chain is full, so the oldest goes: what is left is the newest lines without a hole.
BOOST_AUTO_TEST_CASE(with_all_backups_taken_a_killed_rotation_leaves_the_newest_lines_without_a_hole) {
    for (int nth = 1; nth <= 12; ++nth) BOOST_TEST_CONTEXT("call " << nth) {
            const TemporaryFolder folder;
            const Progress logged;
            const auto options = log_to({.file = folder / "recto.log", .max_bytes = Size{2'000}, .backup_count = 3});
            BOOST_REQUIRE(exit_status(in_child([&] {
                              const LogSession session(options);
                              log_numbers(0, 200, logged[0]);
                          })) == 0);
            log_until_killed(options, 1, nth, logged[1]);
            BOOST_REQUIRE(exit_status(in_child([&] {
                              const LogSession session(options);
                              log_numbers(2, 5, logged[2]);
                          })) == 0);
            const auto numbers = numbers_of(options.handlers[0]);
            BOOST_TEST(numbers.malformed == 0u);
            for (const auto& [writer, list] : numbers.of_writer) {
                BOOST_TEST(counts_up(list));
                BOOST_TEST(list.back() == logged[static_cast<int>(writer)] - 1);
            }
            BOOST_TEST(numbers.of_writer.contains(2));
            BOOST_TEST(backups_of(options.handlers[0].file).size() <= 3u);
        }
}

BOOST_AUTO_TEST_CASE(processes_killed_while_compressing_leave_each_line_once) {
    const TemporaryFolder folder;
    const Progress logged;
    const auto options = log_to({.file = folder / "recto.log", .max_bytes = Size{20'000}, .backup_count = 1000, .compress = true});
    constexpr int kKills = 40;
    for (int kill = 0; kill < kKills; ++kill) {
        log_until_killed(options, kill, kill + 1, logged[kill]);
        check_all(numbers_of(options.handlers[0]), logged, kill + 1, Killed::at_any_point);
    }
    const auto& file = options.handlers[0].file;
    const auto none_is_plain = [&] {
        return std::ranges::none_of(backups_of(file), [](const auto& one) { return one.number > 1 && !one.is_compressed; });
    };
    {
        const LogSession session(options);
        BOOST_TEST(eventually([&] { return none_is_plain() && !fs::exists(folder / ".recto.log.gz.new"); }));
    }
    check_all(numbers_of(options.handlers[0]), logged, kKills, Killed::at_any_point);
    BOOST_TEST(backups_of(file).size() > 30u);
}

BOOST_AUTO_TEST_CASE(backups_are_compressed_from_the_second_on_and_counted_in_both_forms) {
    const TemporaryFolder folder;
    const auto options = log_to({.file = folder / "recto.log", .max_bytes = Size{50'000}, .backup_count = 4, .compress = true});
    const auto& file = options.handlers[0].file;
    const auto forms = [&] {
        std::string text;
        for (const auto& one : backups_of(file))
            text += (text.empty() ? "" : " ") + std::to_string(one.number) + (one.is_compressed ? "z" : "");
        return text;
    };
    std::uint64_t size = 0;
    {
        const LogSession session(options);
        Counter ignored;
        log_numbers(0, 4'000, ignored);
        BOOST_TEST(eventually([&] { return forms() == "4z 3z 2z 1"; }), forms());
        size = fs::file_size(folder / "recto.log.2.gz");
    }
    BOOST_TEST(size < 10'000u);
    const auto numbers = numbers_of(options.handlers[0]);
    BOOST_TEST(numbers.malformed == 0u);
    BOOST_TEST(counts_up(numbers.of_writer.at(0)));
    BOOST_TEST(numbers.of_writer.at(0).size() > 1500u);
    struct stat plain {
    }, gz{};
    BOOST_REQUIRE(::stat((folder / "recto.log.1").c_str(), &plain) == 0);
    BOOST_REQUIRE(::stat((folder / "recto.log.2.gz").c_str(), &gz) == 0);
    BOOST_TEST(plain.st_mode == gz.st_mode);
}

BOOST_AUTO_TEST_CASE(a_backup_that_grew_while_it_was_compressed_stays_plain) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    write_text(backup(file, 2), "a line\n");
    struct stat status {};
    BOOST_REQUIRE(::stat(backup(file, 2).c_str(), &status) == 0);
    write_text(folder / "whole", "gzip");
    write_text(backup(file, 2), "one more\n");
    BOOST_TEST(!put_compressed(file, folder / "whole", status.st_ino, status.st_size));
    fs::rename(backup(file, 2), backup(file, 5));  // rotated meanwhile: found again
    BOOST_TEST(put_compressed(file, folder / "whole", status.st_ino, status.st_size + 9));
    BOOST_TEST(read_file(folder / "recto.log.5.gz") == "gzip");
    remove_compressed_twice(file);
    BOOST_TEST(!fs::exists(backup(file, 5)));
    BOOST_TEST(fs::exists(folder / "recto.log.5.gz"));
}

// It stood still between counting itself in and write(2), while others rotated the file out of existence.
BOOST_AUTO_TEST_CASE(a_line_that_went_to_a_backup_which_is_gone_is_written_again) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const RotatingFile::Options options{.file = file, .max_bytes = Size{100}, .backup_count = 1};
    const auto no_gap = [](const RotatingFile::Gap&) { return std::string("gap\n"); };
    RotatingFile slow(options, no_gap), other(options, no_gap);
    slow.write("first\n");
    const std::function<void()> rotate_twice = [&] {
        for (int i = 0; i < 3; ++i) other.write(std::string(90, 'x') + '\n');
    };
    before_write = &rotate_twice;
    slow.write("slow\n");
    BOOST_TEST((read_file(file) + read_file(backup(file, 1))).find("slow\n") != std::string::npos);
}
