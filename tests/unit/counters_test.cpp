#define BOOST_TEST_MODULE counters
#include "util/counters.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.hpp"

using namespace recto;

namespace {

const std::vector<std::string> kNames{"hit", "miss", "error"};

}  // namespace

BOOST_AUTO_TEST_CASE(threads_and_processes_add_to_the_same_rows) {
    const TemporaryFolder folder;
    constexpr int kProcesses = 3, kThreads = 4, kAdds = 20'000;
    for (int i = 0; i < kProcesses; ++i) {
        if (::fork() != 0) continue;
        auto counters = Counters::open(folder.path(), kNames);
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&] {
                for (int n = 0; n < kAdds; ++n) counters.add(1);
            });
        for (auto& thread : threads) thread.join();
        ::_exit(0);
    }
    for (int i = 0; i < kProcesses; ++i) ::wait(nullptr);
    const auto counters = Counters::open(folder.path(), kNames);
    BOOST_TEST(counters.sum(1) == kProcesses * kThreads * kAdds);
    BOOST_TEST(counters.sum(0) == 0);
}

BOOST_AUTO_TEST_CASE(what_a_killed_process_has_counted_stays) {
    const TemporaryFolder folder;
    const auto child = ::fork();
    if (child == 0) {
        Counters::open(folder.path(), kNames).add(2, 7);
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    BOOST_TEST(Counters::open(folder.path(), kNames).sum(2) == 7);
}

BOOST_AUTO_TEST_CASE(other_rows_are_another_file) {
    const TemporaryFolder folder;
    auto counters = Counters::open(folder.path(), kNames);
    counters.add(0);
    const std::vector<std::string> others{"miss", "hit", "error"};
    BOOST_TEST(Counters::open(folder.path(), others).sum(0) == 0);
    BOOST_TEST(counters.sum(0) == 1);
}
