// Whether what a killed process wrote is told from what it didn't get to write.
#define BOOST_TEST_MODULE journal
#include <boost/test/unit_test.hpp>

#include "tests/support/journal.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

const PostState kFirst{.post = 7, .version = 1, .status = PostStatus::published, .authors = {2, 1}};
const PostState kDraft{.post = 7, .version = 2, .status = PostStatus::draft, .authors = {1}};
const PostState kDeleted{.post = 7, .version = 3};

struct Fixture {
    TemporaryFolder folder;
    std::filesystem::path file = folder / "one.journal";

    // A writer that dies in the last of these writes.
    void write(const std::vector<PostState>& states) const {
        Journal journal(file);
        for (const auto& state : states) {
            journal.begins(state);
            if (&state != &states.back()) journal.done(0ms);
        }
    }

    [[nodiscard]] Recorded read_after_a_look(std::optional<int> version) const {
        Journal(file).found(7, version, 100ms);
        return read_journal(file);
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(journal, Fixture)

BOOST_AUTO_TEST_CASE(what_was_acknowledged_is_there_with_its_times) {
    Journal journal(file);
    const auto before = Moment::clock::now();
    journal.begins(kFirst);
    journal.done(100ms);
    journal.begins(kDraft);
    journal.done(0ms);
    const auto record = read_journal(file);
    BOOST_TEST_REQUIRE(record.writes.size() == 2u);
    const auto& first = record.writes[0];
    BOOST_TEST((first.begun >= before && first.begun <= first.committed_by && first.committed_by + 100ms == first.visible_by));
    BOOST_TEST(first.authors == (std::vector{2, 1}), boost::test_tools::per_element());
    BOOST_TEST(record.writes[1].authors.empty(), "nobody is shown a draft");
    BOOST_TEST(record.posts.at(7).authors == std::vector{1}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_last_write_that_is_found_was_committed) {
    write({kFirst, kDraft});
    const auto record = read_after_a_look(2);
    BOOST_TEST_REQUIRE(record.writes.size() == 2u);
    BOOST_TEST((record.writes[1].committed_by + 100ms == record.writes[1].visible_by));
    BOOST_TEST(record.posts.at(7).version == 2);
}

BOOST_AUTO_TEST_CASE(a_last_write_that_is_not_found_never_was) {
    write({kFirst, kDraft});
    const auto record = read_after_a_look(1);
    BOOST_TEST(record.writes.size() == 1u);
    BOOST_TEST(record.posts.at(7).version == 1);
    BOOST_TEST(record.newest_version == 2, "its number is not given again");
}

BOOST_AUTO_TEST_CASE(a_deletion_is_found_by_what_is_missing) {
    write({kFirst, kDeleted});
    BOOST_TEST(read_after_a_look({}).writes.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_last_write_that_nobody_looked_for_may_have_been_committed_at_any_time) {
    write({kFirst, kDraft});
    const auto record = read_journal(file);
    BOOST_TEST_REQUIRE(record.writes.size() == 2u);
    BOOST_TEST((record.writes[1].visible_by == Moment::max()));
}

BOOST_AUTO_TEST_CASE(a_committed_write_that_is_lost_is_an_error) {
    write({kFirst, kDraft, kDeleted});
    BOOST_CHECK_THROW((void)read_after_a_look(1), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(what_readers_were_answered_is_kept_once_for_each_text) {
    for (const std::string suffix : {"", "!"}) {  // two processes, one after the other
        Journal journal(file);
        journal.found(7, {}, 0ms);
        for (const std::string body : {"{}", "{\"a b\":1}", "{}"}) journal.read(3, Moment::clock::now(), body + suffix);
        journal.failed("no answer");
    }
    const auto record = read_journal(file);
    std::vector<std::string> bodies;
    for (const auto& answer : record.answers) {
        BOOST_TEST(answer.author == 3);
        BOOST_TEST((answer.begun <= answer.ended));
        bodies.push_back(record.bodies.at(answer.body));
    }
    BOOST_TEST(bodies == (std::vector<std::string>{"{}", "{\"a b\":1}", "{}", "{}!", "{\"a b\":1}!", "{}!"}),
               boost::test_tools::per_element());
    BOOST_TEST(record.bodies.size() == 4u);
    BOOST_TEST(record.failures == (std::vector<std::string>{"no answer", "no answer"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(kill_9_takes_nothing_from_it_but_the_step_it_was_at) {
    auto writer = Process::forked([&] {
        Journal journal(file);
        for (auto state = kFirst;; ++state.version) {
            journal.begins(state);
            journal.done(0ms);
        }
    });
    while (!std::filesystem::exists(file) || std::filesystem::file_size(file) < 100'000) BOOST_TEST_REQUIRE(!writer.wait(1ms).has_value());
    writer.kill();
    const auto record = read_journal(file);
    BOOST_TEST(record.writes.size() > 500u);
    BOOST_TEST(std::abs(record.newest_version - record.posts.at(7).version) <= 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
