// Whether the judge of tests/support/history finds what is planted, and leaves alone what is right.
#define BOOST_TEST_MODULE history
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "tests/support/history.hpp"
#include "tests/support/standstills.hpp"

namespace recto {
namespace {

constexpr int kAda = 1;
constexpr int kBob = 2;

Moment at(int microseconds) { return Moment(std::chrono::microseconds(microseconds)); }

// Acknowledged at once; a shell's write has until `visible_by`.
Write write(int post, int version, std::vector<int> authors, int begun, int committed_by, std::optional<int> visible_by = {}) {
    return {post, version, std::move(authors), at(begun), at(committed_by), at(visible_by.value_or(committed_by))};
}

// Post 0 of Ada is written at 10-20 (version 1) and 50-60 (version 2), post 1 of Ada and Bob at 30-40 (version 1).
struct TwoPosts {
    History history;

    TwoPosts() {
        history.add(write(0, 1, {kAda}, 10, 20));
        history.add(write(1, 1, {kAda, kBob}, 30, 40));
        history.add(write(0, 2, {kAda}, 50, 60));
    }

    void read(int author, int begun, int ended, std::vector<Shown> answer) {
        history.add(Read{author, at(begun), at(ended), history.add_answer(std::move(answer)), "a test"});
    }

    void must_be_right() const {
        const auto verdict = history.judge();
        BOOST_TEST(verdict.wrong == 0u, (verdict.first.empty() ? std::string() : verdict.first.front().story));
    }

    void must_be(Wrong what) const {
        const auto verdict = history.judge();
        BOOST_TEST_REQUIRE(verdict.wrong == 1u);
        BOOST_TEST((verdict.first.front().what == what), verdict.first.front().story);
    }
};

const std::vector<Shown> kNothing;
const std::vector<Shown> kFirst{{0, 1, kAda}};
const std::vector<Shown> kBoth{{0, 1, kAda}, {1, 1, kAda}};
const std::vector<Shown> kNewest{{0, 2, kAda}, {1, 1, kAda}};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(history, TwoPosts)

BOOST_AUTO_TEST_CASE(nothing_read_is_nothing_wrong) {
    must_be_right();
    BOOST_TEST(history.judge().reads == 0u);
}

BOOST_AUTO_TEST_CASE(an_answer_may_be_any_state_from_the_question_to_the_answer) {
    struct {
        int begun, ended;
        std::vector<Shown> answer;
    } const rows[]{
        {0, 5, kNothing}, {0, 10, kFirst},  {15, 16, kNothing}, {15, 16, kFirst},  {20, 25, kNothing}, {21, 22, kFirst},
        {25, 35, kBoth},  {25, 35, kFirst}, {41, 42, kBoth},    {41, 55, kNewest}, {61, 90, kNewest},  {5, 90, kBoth},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.begun << " to " << row.ended) {
            TwoPosts one;
            one.read(kAda, row.begun, row.ended, row.answer);
            one.must_be_right();
        }
    }
}

BOOST_AUTO_TEST_CASE(older_than_a_write_acknowledged_before_the_question_is_wrong) {
    const std::pair<int, std::vector<Shown>> rows[]{{21, kNothing}, {41, kFirst}, {61, kBoth}, {61, kNothing}};
    for (const auto& [begun, answer] : rows) {
        BOOST_TEST_CONTEXT(begun) {
            TwoPosts one;
            one.read(kAda, begun, begun + 1, answer);
            one.must_be(Wrong::older_than_written);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_list_that_misses_a_post_is_wrong_though_what_it_shows_is_new) {
    read(kAda, 61, 62, {{0, 2, kAda}});
    must_be(Wrong::older_than_written);
}

BOOST_AUTO_TEST_CASE(newer_than_begun_is_wrong) {
    read(kAda, 45, 49, kNewest);
    must_be(Wrong::newer_than_begun);
}

BOOST_AUTO_TEST_CASE(what_nobody_wrote_is_wrong) {
    const std::vector<Shown> rows[]{
        {{0, 7, kAda}, {1, 1, kAda}},                // a version
        {{0, 2, kBob}, {1, 1, kAda}},                // its first author
        {{0, 2, kAda}, {1, 1, kAda}, {2, 1, kAda}},  // a post
        {{0, 2, kAda}, {0, 2, kAda}, {1, 1, kAda}},  // twice the same
        {{0, 2, kAda}, {-1, 1, kAda}},
    };
    for (const auto& answer : rows) {
        BOOST_TEST_CONTEXT(answer.size()) {
            TwoPosts one;
            one.read(kAda, 61, 62, answer);
            one.must_be(Wrong::never_so);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_post_in_the_list_of_another_author_is_wrong) {
    read(kBob, 61, 62, {{0, 2, kAda}, {1, 1, kAda}});
    must_be(Wrong::never_so);
}

BOOST_AUTO_TEST_CASE(a_write_in_a_shell_has_its_time_of_grace) {
    history.add(write(0, 3, {kAda}, 70, 80, 180));
    for (const int begun : {85, 180}) read(kAda, begun, begun + 1, kNewest);
    must_be_right();
    read(kAda, 181, 182, kNewest);
    must_be(Wrong::older_than_written);
}

BOOST_AUTO_TEST_CASE(a_later_write_of_the_post_ends_the_time_of_grace) {
    history.add(write(0, 3, {kAda}, 70, 80, 180));
    history.add(write(0, 4, {kAda}, 90, 100));
    read(kAda, 101, 102, {{0, 3, kAda}, {1, 1, kAda}});
    must_be(Wrong::older_than_written);
}

BOOST_AUTO_TEST_CASE(what_one_reader_was_shown_no_later_one_may_miss) {
    read(kAda, 51, 52, kNewest);
    read(kAda, 53, 54, kBoth);
    must_be(Wrong::older_than_shown);
}

BOOST_AUTO_TEST_CASE(readers_at_the_same_time_may_be_shown_different_states) {
    read(kAda, 51, 54, kNewest);
    read(kAda, 53, 55, kBoth);
    read(kAda, 54, 57, kBoth);
    must_be_right();
}

BOOST_AUTO_TEST_CASE(a_post_shown_in_one_list_is_not_missed_in_another) {
    read(kAda, 31, 32, kBoth);
    read(kBob, 33, 34, kNothing);
    must_be(Wrong::older_than_shown);
}

BOOST_AUTO_TEST_CASE(a_post_that_moved_is_in_one_list_only) {
    history.add(write(1, 2, {kBob}, 70, 80));
    read(kBob, 71, 72, {{1, 2, kBob}});
    read(kAda, 73, 74, kNewest);
    must_be(Wrong::older_than_shown);
}

BOOST_AUTO_TEST_CASE(a_deleted_post_is_in_no_list) {
    history.add(write(0, 3, {}, 70, 80));
    read(kAda, 81, 82, {{1, 1, kAda}});
    must_be_right();
    read(kAda, 83, 84, kNewest);
    must_be(Wrong::older_than_written);
}

// Each post alone may be as shown: both writes are in their time of grace.
BOOST_AUTO_TEST_CASE(what_was_never_there_together_is_wrong) {
    history.add(write(1, 2, {kAda}, 70, 80, 180));
    history.add(write(0, 3, {kAda}, 90, 100, 200));
    read(kAda, 110, 111, {{0, 3, kAda}, {1, 1, kAda}});
    must_be(Wrong::of_no_moment);
}

BOOST_AUTO_TEST_CASE(an_answer_s_moment_is_not_before_that_of_an_earlier_answer) {
    history.add(write(1, 2, {kAda, kBob}, 70, 80, 180));
    history.add(write(0, 3, {kAda}, 90, 100, 200));
    history.add(write(1, 3, {kAda}, 110, 120, 220));
    read(kAda, 121, 122, {{0, 3, kAda}, {1, 2, kAda}});
    read(kBob, 123, 124, {{1, 1, kAda}});
    must_be(Wrong::older_than_shown);
}

BOOST_AUTO_TEST_CASE(other_posts_tell_the_moment_too) {
    history.add(write(1, 2, {kBob}, 70, 80, 180));
    history.add(write(0, 3, {kAda}, 90, 100, 200));
    read(kAda, 105, 106, {{0, 3, kAda}});  // so Bob's, committed before, is no secret any more
    read(kBob, 107, 108, {{1, 1, kAda}});
    must_be(Wrong::older_than_shown);
}

BOOST_AUTO_TEST_CASE(after_a_restored_backup_the_old_state_is_the_new_one) {
    history.add(write(0, 1, {kAda}, 70, 80));
    read(kAda, 75, 76, kNewest);
    read(kAda, 75, 78, kBoth);
    read(kAda, 81, 82, kBoth);
    must_be_right();
    read(kAda, 83, 84, kNewest);
    must_be(Wrong::older_than_written);
}

BOOST_AUTO_TEST_CASE(the_report_names_the_reader_and_the_writes_around) {
    read(kAda, 61, 63, kBoth);
    const auto story = history.judge().first.at(0).story;
    for (const auto* words : {"a test", "author 1", "post 0: version 1 by 1", "version 2 in the lists of [1], begun -11 us"})
        BOOST_TEST(story.find(words) != std::string::npos, words << " in\n" << story);
}

// A database that is right by definition: what is read is what is there at a moment within the read.
BOOST_AUTO_TEST_CASE(random_true_histories_pass_and_one_forged_answer_is_found) {
    constexpr int kPosts = 5;
    for (unsigned seed = 1; seed <= 50; ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            TwoPosts one;
            one.history = {};
            std::mt19937 random(seed);
            std::map<int, Write> now;
            int time = 0;
            for (int step = 1; step <= 400; ++step, time += 20) {
                const int post = static_cast<int>(random() % kPosts);
                if (random() % 3 == 0) {
                    now[post] = write(post, step, random() % 4 == 0 ? std::vector<int>{} : std::vector<int>{kAda}, time, time + 9);
                    one.history.add(now[post]);
                    continue;
                }
                std::vector<Shown> answer;
                for (const auto& [number, version] : now)
                    if (!version.authors.empty()) answer.push_back({number, version.version, kAda});
                const int before = static_cast<int>(random() % 15);  // it may have begun in an earlier write, and end in a later one
                one.read(kAda, time - before, time + static_cast<int>(random() % 45), answer);
            }
            one.must_be_right();
            now[0] = write(0, 1000, {kAda}, time, time + 9);
            one.history.add(now[0]);
            one.read(kAda, time + 10, time + 11, kNothing);
            one.must_be(Wrong::older_than_written);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_time_of_grace_is_longer_by_what_the_machine_stood_still) {
    Standstills stands;
    stands.note(at(100), at(400));
    stands.note(at(500), at(600));
    const auto after = [&](int since, int running) { return stands.after(at(since), std::chrono::microseconds(running)); };
    BOOST_TEST((after(0, 50) == at(50)));
    BOOST_TEST((after(0, 150) == at(450)));
    BOOST_TEST((after(0, 250) == at(650)));
    BOOST_TEST((after(300, 50) == at(450)));
    BOOST_TEST((after(450, 60) == at(610)));
    BOOST_TEST((after(600, 60) == at(660)));
    BOOST_TEST((after(300, 0) == at(300)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
