#define BOOST_TEST_MODULE context
#include "util/context.hpp"

#include <boost/test/unit_test.hpp>

#include <thread>

using namespace recto;
using namespace std::chrono_literals;

namespace {

PhaseTimes::Clock::duration sum_of(const PhaseTimes& times) {
    PhaseTimes::Clock::duration sum{0};
    for (std::size_t i = 0; i < kPhaseNames.size(); ++i) sum += times.spent(static_cast<Phase>(i));
    return sum;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_phases_add_up_to_the_whole) {
    PhaseTimes times;
    for (const auto phase : {Phase::throttle, Phase::cache, Phase::wait, Phase::cache, Phase::render, Phase::write}) {
        std::this_thread::sleep_for(2ms);
        times.enter(phase);
    }
    times.enter(Phase::write);
    BOOST_TEST((times.total() >= 12ms));
    BOOST_TEST((times.total() == sum_of(times)));
    for (const auto phase : {Phase::auth, Phase::throttle, Phase::wait, Phase::render}) BOOST_TEST((times.spent(phase) >= 2ms));
    BOOST_TEST((times.spent(Phase::cache) >= 4ms));
    BOOST_TEST((times.spent(Phase::store) == 0ms));
}

BOOST_AUTO_TEST_CASE(a_scope_s_time_is_not_the_time_of_the_phase_around_it) {
    RequestContext context;
    const ContextScope request(context);
    context.times.enter(Phase::render);
    {
        const PhaseScope outer(Phase::store);
        std::this_thread::sleep_for(5ms);
        {
            const PhaseScope inner(Phase::cache);
            BOOST_TEST(to_text(context.times.current()) == "cache");
            std::this_thread::sleep_for(20ms);
        }
        BOOST_TEST(to_text(context.times.current()) == "store");
    }
    BOOST_TEST(to_text(context.times.current()) == "render");
    BOOST_TEST((context.times.spent(Phase::store) >= 5ms));
    BOOST_TEST((context.times.spent(Phase::cache) >= 20ms));
    context.times.enter(Phase::write);
    BOOST_TEST((context.times.total() == sum_of(context.times)));
}

BOOST_AUTO_TEST_CASE(outside_of_a_request_nothing_is_counted) {
    RequestContext context;
    {
        const PhaseScope scope(Phase::store);
        count_query();
        const ContextScope request(context);
        count_query();
    }
    BOOST_TEST(current_context() == nullptr);
    BOOST_TEST(context.queries == 1u);
    BOOST_TEST((context.times.spent(Phase::store) == 0ms));
}

BOOST_AUTO_TEST_CASE(a_context_goes_with_its_request_from_thread_to_thread) {
    RequestContext context{.txid = "a", .address = {}};
    std::thread([&] {
        const ContextScope scope(context);
        BOOST_TEST(current_context() == &context);
        context.times.enter(Phase::wait);
    }).join();
    BOOST_TEST(current_context() == nullptr);
    const ContextScope scope(context);
    BOOST_TEST(to_text(current_context()->times.current()) == "wait");
}
