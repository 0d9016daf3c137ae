#define BOOST_TEST_MODULE gate
#include "throttle/gate.hpp"

#include <csignal>
#include <random>
#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/throttles.hpp"
#include "util/file.hpp"

using namespace recto;

namespace {

// How many can enter now.
std::uint32_t room(Gate& gate, Gate::Door door, std::uint32_t limit) {
    std::vector<Gate::Pass> passes;
    while (auto pass = gate.enter(door, limit)) passes.push_back(*std::move(pass));
    return static_cast<std::uint32_t>(passes.size());
}

struct Shared {
    std::atomic<std::uint32_t> inside = 0, most = 0, entered = 0;
};

void go_through(const std::filesystem::path& folder, std::uint32_t limit, int times, Shared& shared) {
    auto gate = Gate::open(folder);
    const auto door = gate.door("view");
    for (int i = 0; i < times; ++i) {
        const auto pass = gate.enter(door, limit);
        if (!pass) continue;
        ++shared.entered;
        const auto now = ++shared.inside;
        for (auto most = shared.most.load(); now > most && !shared.most.compare_exchange_weak(most, now);) continue;
        --shared.inside;
    }
}

[[noreturn]] void stay_inside(const std::filesystem::path& folder, std::uint32_t limit, std::atomic<std::uint32_t>& entered) {
    auto gate = Gate::open(folder);
    const auto pass = gate.enter(gate.door("view"), limit);
    if (pass) ++entered;
    for (;;) ::pause();
}

}  // namespace

BOOST_AUTO_TEST_CASE(no_more_than_the_limit_are_inside_and_who_leaves_makes_room) {
    const TemporaryFolder folder(in_memory());
    auto gate = Gate::open(folder.path());
    const auto door = gate.door("view");
    auto first = gate.enter(door, 2);
    const auto second = gate.enter(door, 2);
    BOOST_TEST((first && second));
    BOOST_TEST(!gate.enter(door, 2));
    BOOST_TEST(gate.enter(door, 3).has_value());  // at once given back
    first.reset();
    BOOST_TEST(room(gate, door, 2) == 1u);
    BOOST_TEST(!gate.enter(door, 0));
}

BOOST_AUTO_TEST_CASE(doors_go_by_name_and_are_the_same_for_all) {
    const TemporaryFolder folder(in_memory());
    auto one = Gate::open(folder.path());
    auto other = Gate::open(folder.path());
    const auto view = one.door("view");
    const auto another = one.door("another");
    BOOST_TEST(other.door("another") == another);
    BOOST_TEST(other.door("view") == view);
    const auto pass = one.enter(view, 1);
    BOOST_TEST(!other.enter(view, 1));
    BOOST_TEST(other.enter(another, 1).has_value());
    BOOST_CHECK_THROW((void)one.door(std::string(48, 'a')), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(there_are_never_more_inside_than_the_limit_whoever_asks) {
    const TemporaryFolder folder(in_memory());
    auto& shared = *shared_memory<Shared>();
    {
        std::vector<Process> processes;
        for (int i = 0; i < 8; ++i) processes.push_back(Process::forked([&] { go_through(folder.path(), 3, 20'000, shared); }));
        for (auto& process : processes) BOOST_TEST((process.wait(60s) == 0));
    }
    BOOST_TEST(shared.most <= 3u);
    BOOST_TEST(shared.entered > 1000u);
    auto gate = Gate::open(folder.path());
    BOOST_TEST(room(gate, gate.door("view"), 3) == 3u);
}

BOOST_AUTO_TEST_CASE(a_stopped_process_is_still_inside_and_a_killed_one_is_not) {
    const TemporaryFolder folder(in_memory());
    auto& shared = *shared_memory<Shared>();
    auto gate = Gate::open(folder.path());
    const auto door = gate.door("view");
    auto process = Process::forked([&] { stay_inside(folder.path(), 1, shared.entered); });
    BOOST_REQUIRE(eventually([&] { return shared.entered == 1u; }));
    process.freeze();
    BOOST_TEST(!gate.enter(door, 1));
    process.kill();
    BOOST_TEST(gate.enter(door, 1).has_value());
}

BOOST_AUTO_TEST_CASE(killed_at_any_moment_nobody_takes_a_place_along) {
    constexpr int kRounds = 150;
    const TemporaryFolder folder(in_memory());
    auto& shared = *shared_memory<Shared>();
    auto gate = Gate::open(folder.path());
    const auto door = gate.door("view");
    std::mt19937 random(20261123);
    for (int round = 0; round < kRounds; ++round) {
        const auto before = shared.entered.load();
        auto process = Process::forked([&] { go_through(folder.path(), 2, 1'000'000'000, shared); });
        BOOST_REQUIRE(eventually([&] { return shared.entered != before; }));
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
        process.kill();
        BOOST_REQUIRE(room(gate, door, 2) == 2u);
    }
}

BOOST_AUTO_TEST_CASE(a_file_of_another_version_is_replaced) {
    const TemporaryFolder folder(in_memory());
    for (const auto& content : {std::string("short"), std::string(70'000, 'x')}) {
        replace_file(folder / "gate", content, 0600);
        auto gate = Gate::open(folder.path());
        BOOST_TEST(gate.enter(gate.door("view"), 1).has_value());
    }
}

BOOST_AUTO_TEST_CASE(more_processes_than_there_are_lines_are_told) {
    const TemporaryFolder folder(in_memory());
    std::vector<Gate> gates;
    for (int i = 0; i < 256; ++i) gates.push_back(Gate::open(folder.path()));
    BOOST_CHECK_THROW((void)Gate::open(folder.path()), std::runtime_error);
    gates.pop_back();
    BOOST_CHECK_NO_THROW((void)Gate::open(folder.path()));
}
