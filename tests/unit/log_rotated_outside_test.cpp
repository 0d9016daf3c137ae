// G11: somebody else rotates the log, Debian's logrotate.
#define BOOST_TEST_MODULE log_rotated_outside
#include <set>

#include <boost/test/unit_test.hpp>

#include "tests/support/log_lines.hpp"
#include "tests/support/service.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
namespace fs = std::filesystem;

namespace {

constexpr int kRotations = 20;

void rotate(const fs::path& folder, const std::string& how) {
    const auto configuration = folder / "logrotate.conf";
    if (!fs::exists(configuration)) {
        write_text(configuration, (folder / "recto.log").string() + " {\n rotate 1000\n missingok\n " + how + "\n}\n");
        fs::permissions(configuration, fs::perms::owner_read | fs::perms::owner_write);
    }
    (void)done(run_command({"/usr/sbin/logrotate", "-f", "-s", folder / "logrotate.state", configuration}));
}

// If a writer makes the new file before logrotate does, logrotate renames that too, to `recto.log-DATE.backup`.
Lines all_lines_beside_logrotate(const fs::path& folder) {
    auto lines = all_lines(folder / "recto.log");
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".backup") std::ranges::copy(lines_of(read_file(entry.path())), std::back_inserter(lines));
    return lines;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_that_logrotate_renames_loses_no_line_though_nobody_tells_us) {
    for (const auto* const how : {"nocreate", "create 0640"})
        BOOST_TEST_CONTEXT(how) for (const auto flush : {Flush::record, Flush::batch}) {
            const TemporaryFolder folder;
            const Progress logged;
            const auto options = log_to({.file = folder / "recto.log", .flush = flush});
            std::vector<pid_t> writers;
            constexpr std::int64_t kMany = 1'000'000'000;
            auto* const stop = &logged[kMaxWriters - 1];
            for (int process = 0; process < 2; ++process)
                writers.push_back(in_child([&] {
                    const LogSession session(options);
                    for (std::int64_t number = 0; number < kMany && *stop == 0; logged[process] = ++number) {
                        log_event("number", {{"writer", process}, {"number", number}});
                        std::this_thread::sleep_for(std::chrono::microseconds(200));
                    }
                }));
            for (int i = 0; i < kRotations; ++i) {
                const std::int64_t seen[] = {logged[0], logged[1]};
                rotate(folder.path(), how);
                BOOST_TEST(
                    eventually([&] { return fs::exists(folder / "recto.log") && logged[0] > seen[0] + 50 && logged[1] > seen[1] + 50; }));
            }
            *stop = 1;
            for (const auto pid : writers) BOOST_TEST(exit_status(pid) == 0);
            const auto numbers = numbers_in(all_lines_beside_logrotate(folder.path()));
            BOOST_TEST(numbers.malformed == 0u);
            BOOST_TEST(backup_numbers(folder / "recto.log").size() > 5u);
            for (int process = 0; process < 2; ++process) {
                const auto& list = numbers.of_writer.at(process);
                BOOST_TEST(static_cast<std::int64_t>(std::set(list.begin(), list.end()).size()) == logged[process]);
                BOOST_TEST(static_cast<std::int64_t>(list.size()) == logged[process]);
            }
        }
}

// What is logged between its copy and its truncation logrotate itself loses; here nobody logs meanwhile.
BOOST_AUTO_TEST_CASE(a_file_that_logrotate_copies_and_empties_goes_on_at_its_beginning) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log", .max_bytes = Size{50'000}}));
    std::int64_t number = 0;
    for (int i = 0; i < kRotations; ++i) {
        for (int line = 0; line < 100; ++line) log_event("number", {{"writer", 0}, {"number", number++}});
        rotate(folder.path(), "copytruncate");
    }
    const auto numbers = numbers_in(folder / "recto.log");
    BOOST_TEST(numbers.malformed == 0u);
    BOOST_TEST(numbers.of_writer.at(0).size() == 100u * kRotations);
    BOOST_TEST(counts_up(numbers.of_writer.at(0)));
    // Ours would be there beside its own, had the meter not noticed that the file is empty again.
    BOOST_TEST(backup_numbers(folder / "recto.log").size() == static_cast<std::size_t>(kRotations));
}
