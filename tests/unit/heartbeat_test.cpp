#define BOOST_TEST_MODULE heartbeat
#include "throttle/heartbeat.hpp"

#include <csignal>
#include <set>
#include <thread>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/skip.hpp"
#include "tests/support/throttles.hpp"
#include "throttle/robust_mutex.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;

namespace {

using Locked = RobustMutex::Locked;
using Waiting = RobustMutex::Waiting;
using Clock = std::chrono::steady_clock;

struct Shared {
    RobustMutex mutex;
    std::atomic<Heartbeat::Name> name{0};
    std::atomic<bool> inside{false}, has_to_leave{false};
    std::atomic<int> seen{-1};
};

Shared& shared() { return *shared_memory<Shared>(); }

// Holds the lock until it is told to leave: asleep, as a process is that waits for memory or a processor.
Process holder(Shared& seen, const std::filesystem::path& folder) {
    auto process = Process::forked([&] {
        const auto own = Heartbeat::of(folder);
        if (seen.mutex.lock(*own) != Locked::yes) throw std::runtime_error("not locked");
        seen.name = own->name();
        seen.inside = true;
        while (!seen.has_to_leave) std::this_thread::sleep_for(1ms);
        seen.mutex.unlock();
    });
    BOOST_REQUIRE(eventually([&] { return seen.inside.load(); }));
    return process;
}

void leave(Shared& seen, Process& process) {
    seen.has_to_leave = true;
    BOOST_TEST((process.wait(60s) == 0));
}

Clock::duration time_of(const auto& work) {
    const auto before = Clock::now();
    work();
    return Clock::now() - before;
}

bool hide_processes() { return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && ::mount("none", "/proc", "tmpfs", 0, nullptr) == 0; }

bool can_hide_processes() {
    return ended_well(in_child([] {
        if (!hide_processes()) throw std::runtime_error("no user namespaces here");
    }));
}

std::string status_of_thread(const std::filesystem::path& task, std::string_view field) {
    for (const auto& line : split_list(read_file(task / "status"), '\n'))
        if (line.starts_with(field)) return std::string(trim(std::string_view(line).substr(field.size())));
    return {};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_holder_that_sleeps_is_waited_for) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = holder(seen, folder.path());
    const auto own = Heartbeat::of(folder.path());
    std::thread later([&] {
        std::this_thread::sleep_for(50ms);
        seen.has_to_leave = true;
    });
    BOOST_TEST((time_of([&] { BOOST_CHECK(seen.mutex.lock(*own) == Locked::yes); }) >= 40ms));
    seen.mutex.unlock();
    later.join();
    leave(seen, process);
}

// The waiting process sees neither the holder's user nor its /proc, as under PrivateUsers= and ProtectProc=.
BOOST_AUTO_TEST_CASE(between_namespaces_a_holder_that_runs_is_waited_for_and_a_stopped_one_is_not) {
    if (!can_hide_processes()) return skip("there are no user namespaces here");
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = holder(seen, folder.path());
    const auto wait_elsewhere = [&] {
        auto waiting = Process::forked([&] {
            if (!hide_processes()) throw std::runtime_error("the other processes are not hidden");
            const auto own = Heartbeat::of(folder.path());
            seen.seen = static_cast<int>(seen.mutex.lock(*own));
        });
        BOOST_REQUIRE((waiting.wait(60s) == 0));
        return static_cast<Locked>(seen.seen.load());
    };
    BOOST_CHECK(wait_elsewhere() == Locked::late);
    process.freeze();
    BOOST_REQUIRE(eventually([&] { return Heartbeat::of(folder.path())->is_stopped(seen.name); }));
    BOOST_CHECK(wait_elsewhere() == Locked::stopped);
    process.kill();
    BOOST_CHECK(wait_elsewhere() == Locked::recovered);
}

BOOST_AUTO_TEST_CASE(a_lock_is_waited_for_200_ms_if_its_holder_runs_and_5_ms_if_it_is_stopped) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = holder(seen, folder.path());
    const auto own = Heartbeat::of(folder.path());
    const auto waited = time_of([&] { BOOST_CHECK(seen.mutex.lock(*own) == Locked::late); });
    BOOST_TEST((waited >= 150ms && waited < 2s));
    process.freeze();
    BOOST_REQUIRE(eventually([&] { return own->is_stopped(seen.name); }));
    auto least = Clock::duration::max();
    for (int i = 0; i < 20; ++i) least = std::min(least, time_of([&] { BOOST_CHECK(seen.mutex.lock(*own) == Locked::stopped); }));
    BOOST_TEST((least >= 4ms && least < 50ms));

    process.signal(SIGCONT);
    BOOST_REQUIRE(eventually([&] { return !own->is_stopped(seen.name); }));
    BOOST_CHECK(seen.mutex.lock(*own) == Locked::late);
    leave(seen, process);
    BOOST_CHECK(seen.mutex.lock(*own) == Locked::yes);
    seen.mutex.unlock();
}

BOOST_AUTO_TEST_CASE(where_nothing_may_wait_a_lock_is_had_at_once_or_not_at_all) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = holder(seen, folder.path());
    const auto own = Heartbeat::of(folder.path());
    auto least = Clock::duration::max();
    for (int i = 0; i < 20; ++i)
        least = std::min(least, time_of([&] { BOOST_CHECK(seen.mutex.lock(*own, Waiting::never) == Locked::busy); }));
    BOOST_TEST((least < 1ms));
    process.kill();
    BOOST_CHECK(seen.mutex.lock(*own, Waiting::never) == Locked::recovered);
    seen.mutex.unlock();
    BOOST_CHECK(seen.mutex.lock(*own, Waiting::never) == Locked::yes);
    seen.mutex.unlock();
}

// A name that the last holder left would be judged by that one's beat.
BOOST_AUTO_TEST_CASE(a_lock_names_no_holder_that_has_gone) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = Process::forked([&] {
        const auto own = Heartbeat::of(folder.path());
        if (seen.mutex.lock(*own) != Locked::yes) throw std::runtime_error("not locked");
        seen.mutex.unlock();
        seen.name = own->name();
        for (;;) ::pause();
    });
    BOOST_REQUIRE(eventually([&] { return seen.name.load() != 0; }));
    process.freeze();
    const auto own = Heartbeat::of(folder.path());
    BOOST_REQUIRE(eventually([&] { return own->is_stopped(seen.name); }));
    // A holder that stands between the lock and its own name: the kernel's part of the lock, without ours.
    std::atomic<bool> locked = false, leaves = false;
    std::thread unnamed([&] {
        auto* const raw = reinterpret_cast<pthread_mutex_t*>(&seen.mutex);
        BOOST_REQUIRE_EQUAL(::pthread_mutex_lock(raw), 0);
        locked = true;
        while (!leaves) std::this_thread::sleep_for(1ms);
        ::pthread_mutex_unlock(raw);
    });
    BOOST_REQUIRE(eventually([&] { return locked.load(); }));
    BOOST_CHECK(seen.mutex.lock(*own) == Locked::late);
    leaves = true;
    unnamed.join();
}

BOOST_AUTO_TEST_CASE(processes_that_were_killed_leave_their_slots_to_others) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    std::set<Heartbeat::Name> names;
    for (int i = 0; i < 20; ++i) {
        seen.name = 0;
        auto process = Process::forked([&] {
            seen.name = Heartbeat::of(folder.path())->name();
            for (;;) ::pause();
        });
        BOOST_REQUIRE(eventually([&] { return seen.name.load() != 0; }));
        names.insert(seen.name);
        process.kill();
    }
    BOOST_TEST(names.size() == 1U);
    BOOST_TEST(std::filesystem::file_size(folder / "beats-1") < 64'000U);
}

BOOST_AUTO_TEST_CASE(a_stopped_process_keeps_its_slot) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = holder(seen, folder.path());
    process.freeze();
    const auto own = Heartbeat::of(folder.path());
    BOOST_TEST(own->name() != 0U);
    BOOST_TEST(own->name() != seen.name.load());
    process.signal(SIGCONT);
    leave(seen, process);
}

BOOST_AUTO_TEST_CASE(without_a_free_slot_a_process_has_no_name_and_is_waited_for) {
    const TemporaryFolder folder(in_memory());
    const UniqueFd all(::open((folder / "beats-1").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1 << 20;
    BOOST_REQUIRE_EQUAL(::fcntl(all.get(), F_OFD_SETLK, &lock), 0);
    const auto own = Heartbeat::of(folder.path());
    BOOST_TEST(own->name() == 0U);
    BOOST_TEST(!own->is_stopped(0));
    auto& seen = shared();
    BOOST_CHECK(seen.mutex.lock(*own) == Locked::yes);
    seen.mutex.unlock();
}

BOOST_AUTO_TEST_CASE(tables_and_gates_of_a_process_share_one_thread_and_it_blocks_all_signals) {
    const TemporaryFolder folder(in_memory());
    const auto own = Heartbeat::of(folder.path());
    BOOST_TEST(own == Heartbeat::of(folder.path()));
    unsigned others = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        if (task.path().filename() == std::to_string(::getpid())) continue;
        ++others;
        constexpr auto kAll = 0x7FFBFEFFUL;  // from 1 to 31 but SIGKILL and SIGSTOP
        if (!kSanitized) BOOST_TEST((std::stoul(status_of_thread(task.path(), "SigBlk:"), nullptr, 16) & kAll) == kAll);
    }
    BOOST_TEST((kSanitized || others == 1U));
    sigset_t mask;
    BOOST_REQUIRE_EQUAL(::pthread_sigmask(SIG_BLOCK, nullptr, &mask), 0);
    BOOST_TEST(::sigismember(&mask, SIGTERM) == 0);  // of ours as before
}

BOOST_AUTO_TEST_CASE(a_file_that_was_removed_is_made_again_and_all_find_each_other) {
    const TemporaryFolder folder(in_memory());
    auto& seen = shared();
    auto process = Process::forked([&] {
        const auto own = Heartbeat::of(folder.path());
        for (;;) {
            seen.name = own->name();
            std::this_thread::sleep_for(1ms);
        }
    });
    BOOST_REQUIRE(eventually([&] { return seen.name.load() != 0; }));
    const auto own = Heartbeat::of(folder.path());
    const auto before = seen.name.load();
    std::filesystem::remove(folder / "beats-1");
    BOOST_REQUIRE(eventually([&] { return std::filesystem::exists(folder / "beats-1") && seen.name != before; }));
    BOOST_TEST(!own->is_stopped(seen.name));
    process.freeze();
    BOOST_TEST(eventually([&] { return own->is_stopped(seen.name); }));
    BOOST_TEST(!own->is_stopped(before));  // of a file that is no more: not known
}
