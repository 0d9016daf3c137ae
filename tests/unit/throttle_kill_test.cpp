// Whoever makes, replaces or saves a table is killed at each system call, and after each store that others can see.
#define BOOST_TEST_MODULE throttle_kill
#include <set>

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <csignal>

#include <boost/test/unit_test.hpp>

#include "tests/support/throttles.hpp"
#include "util/shared_file.hpp"

using namespace recto;

namespace {

// A child that stands still before `work` and is let go on step by step.
class Traced {
public:
    explicit Traced(const std::function<void()>& work)
        : pid_(in_child([&] {
              ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
              ::raise(SIGSTOP);
              work();
          })) {
        BOOST_REQUIRE(WIFSTOPPED(wait_for(pid_)));
        BOOST_REQUIRE(::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) == 0);
    }
    ~Traced() { kill(); }
    Traced(const Traced&) = delete;
    Traced& operator=(const Traced&) = delete;

    void kill() {
        if (ended_) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ended_ = true;
    }

    // False when it came to its end, which has to be a good one.
    bool to_next(__ptrace_request how) {
        BOOST_REQUIRE(::ptrace(how, pid_, nullptr, nullptr) == 0);
        const auto status = wait_for(pid_);
        if (WIFSTOPPED(status)) return true;
        ended_ = true;
        BOOST_REQUIRE_EQUAL(status, 0);
        return false;
    }

    bool past_system_calls(unsigned count) {
        for (; count > 0; --count)
            if (!to_next(PTRACE_SYSCALL)) return false;
        return true;
    }

    void to_system_call(unsigned long number) {
        do BOOST_REQUIRE(to_next(PTRACE_SYSCALL));
        while (registers().orig_rax != number);
    }

    bool past_stores(unsigned count, std::span<const std::byte> memory) {
        std::vector<std::byte> seen(memory.begin(), memory.end());
        while (count > 0) {
            if (!to_next(PTRACE_SINGLESTEP)) return false;
            if (std::ranges::equal(seen, memory)) continue;
            std::ranges::copy(memory, seen.begin());
            --count;
        }
        return true;
    }

private:
    [[nodiscard]] user_regs_struct registers() const {
        user_regs_struct all{};
        BOOST_REQUIRE(::ptrace(PTRACE_GETREGS, pid_, nullptr, &all) == 0);
        return all;
    }

    pid_t pid_;
    bool ended_ = false;
};

std::set<std::string> names_in(const std::filesystem::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
    return names;
}

constexpr unsigned kStep = kSanitized ? 25 : 1;  // a sanitizer makes many system calls of its own

const std::set<std::string> kNames = {"beats-1", "throttle", "throttle.lock"};

unsigned accepted_of(Throttle& throttle, unsigned requests, const Client& client) {
    unsigned count = 0;
    while (requests-- > 0) count += throttle.check(kFirst, client).outcome == Outcome::accepted;
    return count;
}

std::filesystem::path traced_folder;

// One client has used 2 of 4 and one all, when somebody replaces the table and is killed by `stop`, which is false when it is too late.
bool keeps_the_limit(const std::function<bool(Traced&, std::span<const std::byte>)>& stop) {
    Table t({policy("anon", 4, 86'400s, true)}, 8, 8);
    auto old = t.open(boot_ticks());
    const auto exhausted = at("192.0.2.1");
    BOOST_REQUIRE_EQUAL(accepted_of(old, 2, kSomeone), 2U);
    BOOST_REQUIRE_EQUAL(accepted_of(old, 5, exhausted), 4U);
    const auto file = SharedFile::attach(t.options.folder / "throttle");
    traced_folder = t.options.folder;

    auto changed = t.options;
    changed.clients = 10;
    Traced traced([&] { static_cast<void>(Throttle::open(changed)); });
    const bool stopped = stop(traced, file->bytes());
    traced.kill();

    BOOST_REQUIRE_EQUAL(accepted_of(old, 1, kSomeone), 1U);
    auto young = Throttle::open(changed);
    BOOST_REQUIRE_EQUAL(accepted_of(young, 3, kSomeone), 1U);
    for (auto* const throttle : {&old, &young}) {
        BOOST_REQUIRE_EQUAL(accepted_of(*throttle, 2, kSomeone), 0U);
        BOOST_REQUIRE_EQUAL(accepted_of(*throttle, 2, exhausted), 0U);
        BOOST_REQUIRE_EQUAL(throttle->counters().stalls, 0U);
    }
    BOOST_REQUIRE(names_in(t.options.folder) == kNames);
    return stopped;
}

}  // namespace

BOOST_AUTO_TEST_CASE(whoever_makes_the_first_table_may_be_killed_at_any_system_call) {
    bool stopped = true;
    unsigned calls = 0;
    for (; stopped; calls += kStep) BOOST_TEST_CONTEXT(calls << " system calls") {
            const Table t({policy("user", 3, 86'400s)});
            Traced traced([&] { static_cast<void>(t.open(boot_ticks())); });
            stopped = traced.past_system_calls(calls);
            traced.kill();
            auto throttle = t.open(boot_ticks());
            BOOST_REQUIRE_EQUAL(accepted_of(throttle, 5, kSomeone), 3U);
            BOOST_REQUIRE(names_in(t.options.folder) == kNames);
        }
    BOOST_TEST(calls > 20U);
}

BOOST_AUTO_TEST_CASE(whoever_replaces_a_table_may_be_killed_at_any_system_call) {
    unsigned calls = 0;
    const auto stop = [&](Traced& traced, auto) { return traced.past_system_calls(calls); };
    for (bool stopped = true; stopped; calls += kStep) BOOST_TEST_CONTEXT(calls << " system calls") stopped = keeps_the_limit(stop);
    BOOST_TEST(calls > 20U);
}

// A sanitizer's instructions would make this minutes and tell nothing about ours.
BOOST_AUTO_TEST_CASE(whoever_replaces_a_table_may_be_killed_after_any_store_into_the_old_one, *boost::unit_test::enable_if<!kSanitized>()) {
    unsigned stores = 0;
    const auto stop = [&](Traced& traced, std::span<const std::byte> old) {
        traced.to_system_call(SYS_fallocate);
        return traced.past_stores(stores, old);
    };
    for (bool stopped = true; stopped; ++stores) BOOST_TEST_CONTEXT(stores << " stores") stopped = keeps_the_limit(stop);
    BOOST_TEST(stores > 10U);
}

BOOST_AUTO_TEST_CASE(whoever_moves_records_may_be_killed_after_any_store_into_the_new_table, *boost::unit_test::enable_if<!kSanitized>()) {
    unsigned stores = 0;
    const auto stop = [&](Traced& traced, auto) {
        traced.to_system_call(SYS_rename);
        BOOST_REQUIRE(traced.past_system_calls(1));
        const auto next = SharedFile::attach(traced_folder / "throttle.next");
        return traced.past_stores(stores, next->bytes());
    };
    for (bool stopped = true; stopped; ++stores) BOOST_TEST_CONTEXT(stores << " stores") stopped = keeps_the_limit(stop);
    BOOST_TEST(stores > 20U);
}

BOOST_AUTO_TEST_CASE(whoever_saves_a_snapshot_may_be_killed_at_any_system_call) {
    bool stopped = true;
    unsigned calls = 0;
    unsigned newer = 0;
    for (; stopped; calls += kStep) BOOST_TEST_CONTEXT(calls << " system calls") {
            Table t({policy("user", 3, 86'400s)});
            std::filesystem::create_directory(t.folder.path() / "saved");
            t.options.snapshot = t.folder.path() / "saved" / "snapshot";
            auto throttle = t.open(boot_ticks());
            BOOST_REQUIRE_EQUAL(accepted_of(throttle, 1, kSomeone), 1U);
            throttle.save();
            BOOST_REQUIRE_EQUAL(accepted_of(throttle, 1, kSomeone), 1U);
            Traced traced([&] { throttle.save(); });
            stopped = traced.past_system_calls(calls);
            traced.kill();
            std::filesystem::remove_all(t.options.folder);
            auto rebooted = t.open(boot_ticks());
            const auto left = accepted_of(rebooted, 3, kSomeone);
            BOOST_REQUIRE((left == 1U || left == 2U));  // that of now or the one before
            newer += left == 1U;
            BOOST_REQUIRE((names_in(t.folder.path() / "saved") == std::set<std::string>{"snapshot"}));
        }
    BOOST_TEST(calls > 8U);
    BOOST_TEST((newer >= 1U && newer < calls));
}
