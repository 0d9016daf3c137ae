// What the table takes of runtime_dir, and that a small machine has that much.
#define BOOST_TEST_MODULE throttle_memory
#include <sys/mount.h>

#include "config/config.hpp"
#include "site/site.hpp"
#include "tests/support/throttles.hpp"

using namespace recto;

namespace {

ThrottleOptions options_of(std::string_view ini) {
    auto loaded = parse_config(ini, "recto.ini", {}, {});
    BOOST_REQUIRE(loaded.mistakes.empty());
    return throttle_options(loaded.config);
}

const ThrottlePolicy& scope(const ThrottleOptions& options, std::string_view name) {
    const auto found = std::ranges::find(options.policies, name, &ThrottlePolicy::scope);
    BOOST_REQUIRE((found != options.policies.end()));
    return *found;
}

// /run of a machine with 512 MB.
class SmallFolder {
public:
    SmallFolder() { BOOST_REQUIRE(::mount("none", folder_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=51m,mode=0700") == 0); }
    ~SmallFolder() { ::umount2(folder_.path().c_str(), MNT_DETACH); }
    [[nodiscard]] std::filesystem::path path() const { return folder_.path(); }

private:
    TemporaryFolder folder_;
};

boost::test_tools::assertion_result can_mount(boost::unit_test::test_unit_id) {
    const TemporaryFolder folder;
    boost::test_tools::assertion_result can(::mount("none", folder.path().c_str(), "tmpfs", 0, "size=1m") == 0);
    if (can) ::umount2(folder.path().c_str(), MNT_DETACH);
    if (!can) can.message() << "no tmpfs can be mounted here: it takes root";
    return can;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_default_table_takes_at_most_24_mb) {
    const auto options = options_of("");
    BOOST_TEST_MESSAGE("the default table: " << memory_of(options).bytes << " bytes");
    BOOST_TEST(memory_of(options).bytes <= 24ULL << 20);
    BOOST_TEST(memory_of(options).bytes >= 10ULL << 20);
    BOOST_TEST((options.clients == 4096U && options.users == 1024U));
}

BOOST_AUTO_TEST_CASE(a_limit_above_255_is_kept_in_little_memory_and_one_that_a_narrow_record_cannot_hold_exactly) {
    using enum Representation;
    const std::tuple<const char*, Representation, Representation> cases[] = {{"1/day", ring32, ring32},
                                                                             {"255/day", ring32, ring32},
                                                                             {"256/day", windows, ring16},
                                                                             {"65534/day", windows, ring16},
                                                                             {"65535/day", ring32, ring32}};
    for (const auto& [rate, of_addresses, of_users] : cases) BOOST_TEST_CONTEXT(rate) {
            const auto options = options_of("[throttle]\nmine = " + std::string(rate) + "\n");
            BOOST_CHECK(scope(options, "mine").representation_of(false) == of_addresses);
            BOOST_CHECK(scope(options, "mine").representation_of(true) == of_users);
        }
}

BOOST_AUTO_TEST_CASE(repr_is_said_for_each_kind_of_client) {
    using enum Representation;
    const std::tuple<const char*, Representation, Representation> cases[] = {
        {"repr = ring16\n", ring16, ring16}, {"repr = windows, ring32\n", windows, ring32}, {"repr = ring32,windows\n", ring32, windows}};
    for (const auto& [lines, of_addresses, of_users] : cases) BOOST_TEST_CONTEXT(lines) {
            const auto options = options_of("[throttle]\nmine = 1000/day\n[scope mine]\n" + std::string(lines));
            BOOST_CHECK(scope(options, "mine").representation_of(false) == of_addresses);
            BOOST_CHECK(scope(options, "mine").representation_of(true) == of_users);
        }
}

BOOST_AUTO_TEST_CASE(addresses_and_users_are_late_by_their_own_representation_and_never_early) {
    const auto options = options_of("[throttle]\nmine = 300/day\n");
    const auto& policy = scope(options, "mine");
    BOOST_TEST((lateness_of(policy) <= 12min + 1s));
    BOOST_TEST((lateness_of(policy) >= 10min));
    BOOST_TEST((lateness_of(policy, true) <= 4s));
    Table table({policy});
    FakeTicks clock;
    auto throttle = table.open(clock);
    for (const auto& client : {kSomeone, user(1)}) BOOST_TEST_CONTEXT(name_of(client)) {
            const auto begin = clock.tick;
            for (unsigned i = 0; i < 300; ++i) BOOST_REQUIRE(throttle.check(kFirst, client).outcome == Outcome::accepted);
            clock.tick = begin + kDay - 1;
            const auto refused = throttle.check(kFirst, client);
            BOOST_REQUIRE(refused.outcome == Outcome::refused);
            const auto late = std::chrono::duration_cast<std::chrono::seconds>(lateness_of(policy, client.user_id.has_value()));
            BOOST_TEST((refused.retry_after <= late + 2s));
            clock.tick += static_cast<std::uint64_t>(refused.retry_after.count()) * kSecond;
            for (unsigned i = 0; i < 300; ++i) BOOST_REQUIRE(throttle.check(kFirst, client).outcome == Outcome::accepted);
        }
    // And the same from a file, also after a reload.
    table.options.clients += 10;
    auto young = table.open(clock);
    for (const auto& client : {kSomeone, user(1)}) BOOST_TEST((young.check(kFirst, client).outcome == Outcome::refused));
}

BOOST_AUTO_TEST_CASE(the_default_table_and_its_successor_fit_a_small_machine, *boost::unit_test::precondition(can_mount)) {
    const SmallFolder small;
    auto options = options_of("");
    options.folder = small.path() / "run";
    options.snapshot.clear();
    auto throttle = Throttle::open(options);
    BOOST_TEST((throttle.check(Scopes{0}, kSomeone).outcome == Outcome::accepted));
    options.policies[0].rate.limit += 1;
    auto young = Throttle::open(options);  // while it is made there are two
    BOOST_TEST((young.check(Scopes{0}, kSomeone).outcome == Outcome::accepted));
    BOOST_TEST(young.usage(kSomeone).at(0).used == 2U);
    BOOST_TEST(std::filesystem::file_size(options.folder / "throttle") == memory_of(options).bytes);
}
