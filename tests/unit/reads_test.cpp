#define BOOST_TEST_MODULE reads
#include "clock/reads.hpp"

#include <stdexcept>
#include <thread>

#include <boost/test/unit_test.hpp>

using namespace recto;

namespace {

using Tags = std::vector<std::string>;

void note(std::uint64_t seq, const Tags& tags, std::uint64_t epoch = 1) { note_read(epoch, seq, tags); }

const TimePoint kNoon{std::chrono::hours(12)};
const TimePoint kOne{std::chrono::hours(13)};

}  // namespace

BOOST_AUTO_TEST_CASE(what_reads_nothing_is_labelled_with_what_was_synced_before_it) {
    const CollectReads collected(7, 100);
    BOOST_TEST(collected.reads().epoch == 7u);
    BOOST_TEST(collected.reads().seq == 100u);
    BOOST_TEST(collected.reads().tags.empty());
    BOOST_TEST(!collected.reads().hard_end);
    BOOST_TEST(collected.reads().storable);
}

BOOST_AUTO_TEST_CASE(the_label_is_the_oldest_of_what_was_read) {
    struct Row {
        std::vector<std::uint64_t> noted;
        std::uint64_t label;
    };
    const Row rows[] = {{{110}, 110}, {{90}, 90}, {{110, 105}, 105}, {{105, 110}, 105}, {{110, 90, 100}, 90}};
    for (const auto& [noted, label] : rows) BOOST_TEST_CONTEXT(label) {
            const CollectReads collected(1, 100);
            for (const auto seq : noted) note(seq, {"post"});
            BOOST_TEST(collected.reads().seq == label);
            BOOST_TEST(collected.reads().storable);
        }
}

BOOST_AUTO_TEST_CASE(tags_are_sorted_and_each_is_there_once) {
    const CollectReads collected(1, 100);
    note(100, {"post:id=7", "author"});
    note(100, {"post", "author", "post:id=7"});
    BOOST_TEST(collected.reads().tags == (Tags{"author", "post", "post:id=7"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_earliest_hard_end_counts) {
    const CollectReads collected(1, 100);
    note_hard_end(kOne);
    note_hard_end(kNoon);
    note_hard_end(kOne);
    BOOST_REQUIRE(collected.reads().hard_end);
    BOOST_TEST((*collected.reads().hard_end == kNoon));
}

BOOST_AUTO_TEST_CASE(parts_of_different_epochs_are_not_storable) {
    const CollectReads collected(1, 100);
    note(100, {"post"}, 1);
    BOOST_TEST(collected.reads().storable);
    note(100, {"post"}, 2);
    BOOST_TEST(!collected.reads().storable);
}

BOOST_AUTO_TEST_CASE(a_new_epoch_between_the_reading_and_the_first_query_is_the_label) {
    const CollectReads collected(1, 100);
    note(3, {"post"}, 2);
    BOOST_TEST(collected.reads().epoch == 2u);
    BOOST_TEST(collected.reads().seq == 3u);
    BOOST_TEST(collected.reads().storable);
}

BOOST_AUTO_TEST_CASE(an_inner_collection_adds_itself_to_the_outer_one) {
    const CollectReads outer(1, 100);
    note(120, {"post"});
    {
        const CollectReads inner(1, 90);
        note(110, {"author"});
        note_hard_end(kNoon);
        BOOST_TEST(inner.reads().seq == 110u);
        BOOST_TEST(outer.reads().seq == 120u);
    }
    BOOST_TEST(outer.reads().seq == 110u);
    BOOST_TEST(outer.reads().tags == (Tags{"author", "post"}), boost::test_tools::per_element());
    BOOST_TEST((outer.reads().hard_end == kNoon));
}

BOOST_AUTO_TEST_CASE(an_inner_collection_that_read_nothing_leaves_the_label) {
    const CollectReads outer(1, 100);
    note(120, {"post"});
    {
        const CollectReads inner(1, 90);
        note_hard_end(kNoon);
    }
    BOOST_TEST(outer.reads().seq == 120u);
    BOOST_TEST((outer.reads().hard_end == kNoon));
}

BOOST_AUTO_TEST_CASE(what_was_read_before_an_exception_counts_for_the_outer_one) {
    const CollectReads outer(1, 100);
    try {
        const CollectReads inner(1, 100);
        note(50, {"post:slug=gone"});
        throw std::runtime_error("not there");
    } catch (const std::runtime_error&) {
    }
    BOOST_TEST(outer.reads().seq == 50u);
    BOOST_TEST(outer.reads().tags == Tags{"post:slug=gone"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_unstorable_part_makes_the_whole_unstorable) {
    const CollectReads outer(1, 100);
    {
        const CollectReads inner(1, 100);
        note_unstorable();
    }
    BOOST_TEST(!outer.reads().storable);
}

BOOST_AUTO_TEST_CASE(nothing_is_storable_that_saw_a_write_in_progress) {
    const CollectReads outer(1, 100);
    {
        const WriteInProgress writing;
        BOOST_TEST(is_writing());
        const CollectReads inner(1, 100);
        BOOST_TEST(!inner.reads().storable);
    }
    BOOST_TEST(!is_writing());
    BOOST_TEST(!outer.reads().storable);
    const CollectReads later(1, 100);
    BOOST_TEST(later.reads().storable);
}

BOOST_AUTO_TEST_CASE(a_collection_that_outlives_the_start_of_a_write_is_not_storable) {
    const CollectReads collected(1, 100);
    { const WriteInProgress writing; }
    BOOST_TEST(!collected.reads().storable);
}

BOOST_AUTO_TEST_CASE(notes_without_a_collection_go_nowhere) {
    note(1, {"post"});
    note_hard_end(kNoon);
    note_unstorable();
    const CollectReads collected(1, 100);
    BOOST_TEST(collected.reads().seq == 100u);
    BOOST_TEST(collected.reads().storable);
}

BOOST_AUTO_TEST_CASE(another_threads_reads_and_writes_are_its_own) {
    const CollectReads collected(1, 100);
    std::thread([] {
        const WriteInProgress writing;
        note(1, {"post"});
    }).join();
    BOOST_TEST(collected.reads().seq == 100u);
    BOOST_TEST(collected.reads().storable);
    BOOST_TEST(!is_writing());
}
