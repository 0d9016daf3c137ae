#define BOOST_TEST_MODULE clock
#include "clock/clock.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "clock/epoch_memory.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/crypto.hpp"
#include "util/file.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kTags = 32;

std::string tag_name(std::size_t tag) { return "t" + std::to_string(tag); }
Slot tag_slot(std::size_t tag) { return slot_of(tag_name(tag)); }

// What a database would hold. `version` is the content: it grows with each write, also across a restored backup.
struct Content {
    std::uint64_t epoch = 1;
    std::uint64_t seq = 0;
    std::uint64_t nonce = 0;
    bool trusted = true;
    bool schema_moved = false;
    std::array<std::uint64_t, kTags> last{};
    std::array<std::uint64_t, kTags> version{};
};

// A database in memory that forked processes share; one that is killed under the lock leaves it to the next.
class FakeDatabase {
public:
    FakeDatabase() {
        void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::runtime_error("no memory");
        shared_ = new (memory) Shared;
    }
    ~FakeDatabase() { ::munmap(shared_, sizeof(Shared)); }
    FakeDatabase(const FakeDatabase&) = delete;
    FakeDatabase& operator=(const FakeDatabase&) = delete;

    Content content() {
        const Lock lock(*this);
        return shared_->content;
    }
    void restore(const Content& backup) {
        const Lock lock(*this);
        shared_->content = backup;
    }
    void set_trusted(bool trusted) {
        const Lock lock(*this);
        shared_->content.trusted = trusted;
    }

    // Triggers may have been others for a while, and are the expected ones again.
    void move_schema() {
        const Lock lock(*this);
        shared_->content.schema_moved = true;
    }

    // The rows above `since` as the last statement before COMMIT would read them.
    ChangeSet commit(const std::vector<std::size_t>& tags, std::uint64_t since = 0) {
        const Lock lock(*this);
        auto& content = shared_->content;
        for (const auto tag : tags) {
            content.last[tag] = ++content.seq;
            content.version[tag] = ++shared_->versions;
        }
        content.nonce = random_number();
        return rows_of(content, since);
    }

    ChangeSet changes_since(std::uint64_t since) {
        const Lock lock(*this);
        return rows_of(shared_->content, since);
    }

    std::uint64_t renew_epoch(std::uint64_t expected) {
        const Lock lock(*this);
        if (shared_->content.epoch == expected) {
            shared_->content.epoch = new_epoch(expected);
            shared_->content.schema_moved = false;
        }
        return shared_->content.epoch;
    }

private:
    struct Shared {
        Content content;
        std::uint64_t versions = 0;
    };

    // Between processes a file's lock, which ends with its holder however that ends; between threads a mutex, which TSan understands.
    struct Lock {
        explicit Lock(FakeDatabase& database)
            : threads(database.threads_), processes(FileLock::wait(database.folder_ / "lock", FileLock::Mode::exclusive)) {}
        const std::lock_guard<std::mutex> threads;
        const FileLock processes;
    };

    static ChangeSet rows_of(const Content& content, std::uint64_t since) {
        ChangeSet set{since, content.epoch, content.seq, content.nonce, content.trusted, content.schema_moved, {}};
        for (std::size_t tag = 0; tag < kTags; ++tag)
            if (content.last[tag] > since) set.changes.push_back({tag_name(tag), content.last[tag]});
        return set;
    }

    TemporaryFolder folder_;
    std::mutex threads_;
    Shared* shared_;
};

class FakeSource : public ChangeSource {
public:
    explicit FakeSource(FakeDatabase& database) : database_(database) {}

    bool moved() override {
        refuse_if_told();
        if (sees_no_move) return false;
        const auto seq = database_.content().seq;
        return std::exchange(seen_, seq) != seq;
    }
    ChangeSet changes_since(std::uint64_t seq) override {
        refuse_if_told();
        const auto set = database_.changes_since(seq);
        if (after_reading) after_reading(set);
        return set;
    }
    std::uint64_t renew_epoch(std::uint64_t expected) override {
        refuse_if_told();
        return database_.renew_epoch(expected);
    }
    void tend() noexcept override { ++*tended; }

    std::function<void(const ChangeSet&)> after_reading;  // what happens while the caller still works with what it read
    std::atomic<bool> is_unreachable{false};
    bool sees_no_move = false;
    std::shared_ptr<std::atomic<int>> tended = std::make_shared<std::atomic<int>>(0);

private:
    void refuse_if_told() const {
        if (is_unreachable) throw std::runtime_error("unable to open database file");
    }

    FakeDatabase& database_;
    std::optional<std::uint64_t> seen_;
};

bool is_valid(const ChangeClock::Reading& reading, std::uint64_t seq, std::size_t tag) {
    const Slot slots[] = {tag_slot(tag)};
    return reading.is_valid(seq, slots);
}

bool is_valid(const ChangeClock& clock, std::uint64_t seq, std::size_t tag) { return is_valid(clock.read(), seq, tag); }

// One host: a folder for the shared memory, a database, and the first process that opened the clock.
struct Host {
    TemporaryFolder folder;
    FakeDatabase database;
    FakeSource source{database};
    std::optional<ChangeClock> clock;

    Host() { clock.emplace(open()); }
    ChangeClock open() { return ChangeClock::open(folder / "run", source); }

    // As a Recto writer does it.
    std::uint64_t write(const std::vector<std::size_t>& tags) {
        const auto own = database.commit(tags, clock->read().synced());
        clock->publish(own);
        return own.seq;
    }
};

std::vector<fs::path> shared_files(const fs::path& folder) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().filename().string().starts_with("clock-v")) found.push_back(entry.path());
    std::ranges::sort(found);
    return found;
}

// In this process, of files whose path begins so.
std::size_t mappings_of(const fs::path& folder, std::string_view end) {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);) count += line.find(folder.string()) != std::string::npos && line.ends_with(end);
    return count;
}

// The root has the shortest name.
fs::path root_file(const fs::path& folder) { return shared_files(folder).front(); }

}  // namespace

BOOST_AUTO_TEST_CASE(a_tag_has_the_same_slot_in_every_version) {
    const std::pair<const char*, Slot> pinned[] = {{"", 0xf011},
                                                   {"post", 0x40f0},
                                                   {"post:id=7", 0x4385},
                                                   {"post:author=12", 0xfa18},
                                                   {"post:slug=x", 0x4cb2},
                                                   {"user", 0xb65a},
                                                   {"post:tag=cpp", 0x7745},
                                                   {"post:slug=\xc3\xbc"
                                                    "ber",
                                                    0x2aa0}};
    for (const auto& [tag, slot] : pinned) BOOST_TEST_CONTEXT(tag) BOOST_TEST(slot_of(tag) == slot);
}

BOOST_AUTO_TEST_CASE(a_change_invalidates_what_carries_its_tag_and_nothing_else) {
    Host host;
    const auto before = host.write({1, 2, 3});
    BOOST_TEST(is_valid(*host.clock, before, 1));
    const auto after = host.write({1});
    BOOST_TEST(!is_valid(*host.clock, before, 1));
    BOOST_TEST(is_valid(*host.clock, before, 2));
    BOOST_TEST(is_valid(*host.clock, after, 1));
    const std::vector<Slot> all{tag_slot(3), tag_slot(2), tag_slot(1)};
    BOOST_TEST(!host.clock->read().is_valid(before, all));
    BOOST_TEST(host.clock->read().is_valid(after, all));
    BOOST_TEST(host.clock->read().is_valid(before, {}));
}

BOOST_AUTO_TEST_CASE(a_change_around_us_is_there_after_sync_for_all_processes) {
    Host host;
    const auto other = host.open();
    const auto old = host.write({1});
    const auto seq = host.database.commit({1}).seq;
    BOOST_TEST(is_valid(other, old, 1));
    host.clock->sync(host.source);
    BOOST_TEST(!is_valid(other, old, 1));
    BOOST_TEST(other.read().synced() == seq);
    BOOST_TEST(other.read().epoch() == host.clock->read().epoch());
}

BOOST_AUTO_TEST_CASE(a_label_later_than_what_was_synced_is_not_valid_yet) {
    Host host;
    const auto seq = host.database.commit({1}).seq;
    BOOST_TEST(!is_valid(*host.clock, seq, 1));
    host.clock->sync(host.source);
    BOOST_TEST(is_valid(*host.clock, seq, 1));
    BOOST_TEST(!is_valid(*host.clock, seq + 1, 2));
}

BOOST_AUTO_TEST_CASE(a_sync_that_was_overtaken_takes_nothing_back) {
    Host host;
    const auto other = host.open();
    const auto old = host.write({1});
    std::uint64_t latest = 0;
    host.source.after_reading = [&](const ChangeSet&) {
        host.source.after_reading = nullptr;
        latest = host.write({1});
        FakeSource another(host.database);
        host.clock->sync(another);
    };
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().synced() == latest);
    BOOST_TEST(other.read().synced() == latest);
    BOOST_TEST(!is_valid(other, old, 1));
    host.clock->sync(host.source);
    BOOST_TEST(other.read().synced() == latest);
}

BOOST_AUTO_TEST_CASE(rows_with_a_gap_before_them_raise_the_slots_and_not_what_is_synced) {
    Host host;
    const auto old = host.write({1, 2});
    const auto unpublished = host.database.commit({1}).seq;  // its writer has been killed
    auto own = host.database.commit({2}, unpublished);       // a writer that read from beyond what this memory knows
    host.clock->publish(own);
    BOOST_TEST(host.clock->read().synced() == old);
    BOOST_TEST(!is_valid(*host.clock, old, 2));
    BOOST_TEST(is_valid(*host.clock, old, 1));
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().synced() == own.seq);
    BOOST_TEST(!is_valid(*host.clock, old, 1));
}

BOOST_AUTO_TEST_CASE(a_writer_publishes_those_who_died_before_it) {
    Host host;
    const auto old = host.write({1, 2});
    host.database.commit({1});
    const auto seq = host.write({2});
    BOOST_TEST(host.clock->read().synced() == seq);
    BOOST_TEST(!is_valid(*host.clock, old, 1));
}

BOOST_AUTO_TEST_CASE(another_epoch_moves_all_processes_at_once) {
    Host host;
    const auto other = host.open();
    const auto seq = host.write({1});
    const auto before = other.read();
    const auto epoch = host.database.renew_epoch(before.epoch());
    host.clock->sync(host.source);
    BOOST_TEST(other.read().epoch() == epoch);
    BOOST_TEST(host.clock->read().epoch() == epoch);
    BOOST_TEST(other.read().synced() == seq);
    BOOST_TEST(before.epoch() != epoch);
    BOOST_TEST(shared_files(host.folder / "run").size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_reading_of_an_epoch_that_the_process_has_left_says_nothing) {
    Host host;
    const auto seq = host.write({1});
    const auto before = host.clock->read();
    host.database.renew_epoch(before.epoch());
    host.clock->sync(host.source);
    BOOST_TEST(is_valid(*host.clock, seq, 1));
    BOOST_TEST(!is_valid(before, seq, 1));
    BOOST_TEST(!before.is_trusted());
    BOOST_TEST(!before.is_fresh());
}

BOOST_AUTO_TEST_CASE(an_epoch_gives_its_memory_back_when_all_processes_have_left_it) {
    Host host;
    const auto other = host.open();
    for (int i = 0; i < 20; ++i) {
        host.database.renew_epoch(host.database.content().epoch);
        host.clock->sync(host.source);
        BOOST_TEST(other.read().is_trusted());
    }
    BOOST_TEST(mappings_of(host.folder / "run", " (deleted)") == 0u);
    BOOST_TEST(shared_files(host.folder / "run").size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_database_that_went_back_gets_a_new_epoch) {
    struct Row {
        const char* what;
        int commits_before_backup;
        int commits_after_restore;
    };
    const Row rows[] = {{"to fewer changes", 3, 0}, {"to the same number by another way", 3, 2}, {"and on, but less far", 3, 1}};
    for (const auto& [what, before, after] : rows) BOOST_TEST_CONTEXT(what) {
            Host host;
            for (int i = 0; i < before; ++i) host.write({0});
            const auto backup = host.database.content();
            host.write({1});
            host.write({2});
            const auto epoch = host.clock->read().epoch();

            host.database.restore(backup);
            for (int i = 0; i < after; ++i) host.database.commit({3});
            host.clock->sync(host.source);
            BOOST_TEST(host.clock->read().epoch() != epoch);
            BOOST_TEST(host.clock->read().epoch() == host.database.content().epoch);
            BOOST_TEST(host.clock->read().synced() == host.database.content().seq);
        }
}

BOOST_AUTO_TEST_CASE(an_epoch_that_comes_back_is_not_used_again) {
    Host host;
    const auto backup = host.database.content();
    host.write({1});
    host.database.renew_epoch(backup.epoch);
    host.clock->sync(host.source);
    const auto later = host.clock->read().epoch();
    host.database.restore(backup);
    host.database.commit({2, 3});
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().epoch() != backup.epoch);
    BOOST_TEST(host.clock->read().epoch() != later);
    BOOST_TEST(host.database.content().epoch == host.clock->read().epoch());
}

BOOST_AUTO_TEST_CASE(new_epochs_grow_whatever_the_time_is) {
    std::uint64_t epoch = 1;
    for (int i = 0; i < 1000; ++i) {
        const auto next = new_epoch(epoch);
        BOOST_REQUIRE(next > epoch);
        epoch = next;
    }
    const auto tomorrow = epoch + (std::uint64_t{86'400'000} << 20);
    BOOST_TEST(new_epoch(tomorrow) > tomorrow);
}

BOOST_AUTO_TEST_CASE(nothing_is_valid_when_the_new_epoch_cannot_be_written) {
    Host host;
    const auto backup = host.database.content();
    const auto seq = host.write({1});
    host.database.restore(backup);
    host.source.after_reading = [&](const ChangeSet&) { host.source.is_unreachable = true; };
    BOOST_CHECK_THROW(host.clock->sync(host.source), std::runtime_error);
    BOOST_TEST(!is_valid(*host.clock, seq, 1));
    BOOST_TEST(!host.clock->renew_lease(LeaseClock::now()));
    host.source.after_reading = nullptr;
    host.source.is_unreachable = false;
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().epoch() != backup.epoch);
    BOOST_TEST(is_valid(*host.clock, host.database.content().seq, 1));
}

BOOST_AUTO_TEST_CASE(a_writer_that_finds_another_history_leaves_nothing_valid) {
    struct Row {
        const char* what;
        std::function<ChangeSet(Host&)> own;
    };
    const Row rows[] = {{"another epoch",
                         [](Host& host) {
                             host.database.renew_epoch(host.database.content().epoch);
                             return host.database.commit({5}, host.clock->read().synced());
                         }},
                        {"a smaller number",
                         [](Host& host) {
                             host.database.restore(Content{.epoch = host.database.content().epoch});
                             return host.database.commit({5}, host.clock->read().synced());
                         }},
                        {"since was forgotten", [](Host& host) {
                             auto own = host.database.commit({5});
                             own.since = ChangeSet{}.since;
                             return own;
                         }}};
    for (const auto& [what, own] : rows) BOOST_TEST_CONTEXT(what) {
            Host host;
            host.write({1});
            const auto seq = host.write({2});
            const auto epoch = host.clock->read().epoch();
            host.clock->publish(own(host));
            BOOST_TEST(!is_valid(*host.clock, seq, 1));
            host.clock->sync(host.source);
            BOOST_TEST(host.clock->read().epoch() != epoch);
            BOOST_TEST(host.clock->read().epoch() == host.database.content().epoch);
            BOOST_TEST(is_valid(*host.clock, host.database.content().seq, 1));
        }
}

BOOST_AUTO_TEST_CASE(the_first_of_the_host_asks_for_the_database_that_was_left) {
    struct Row {
        const char* what;
        std::function<void(Host&)> unwatched;
        bool is_new_epoch;
    };
    const auto change_files = [](Host& host, auto change) { std::ranges::for_each(shared_files(host.folder / "run"), change); };
    const Row rows[] = {
        {"nothing happened", [](Host&) {}, false},
        {"a commit", [](Host& host) { host.database.commit({1}); }, true},
        {"a backup restored", [](Host& host) { host.database.restore(Content{.epoch = host.database.content().epoch}); }, true},
        {"a backup restored that went on to the same number",
         [](Host& host) {
             host.database.restore(Content{.epoch = host.database.content().epoch});
             host.database.commit({1, 2});
         },
         true},
        {"an epoch of somebody else", [](Host& host) { host.database.renew_epoch(host.database.content().epoch); }, true},
        {"triggers swapped", [](Host& host) { host.database.move_schema(); }, true},
        {"the shared memory removed", [&](Host& host) { change_files(host, [](auto& path) { fs::remove(path); }); }, true},
        {"the machine started again",
         [&](Host& host) {
             change_files(host, [](auto& path) {
                 if (fs::file_size(path) < sizeof(EpochMemory)) return;
                 std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
                 file.seekp(offsetof(EpochMemory, boot));
                 file.write("rebooted", 8);
             });
         },
         true}};
    for (const auto& [what, unwatched, is_new_epoch] : rows) BOOST_TEST_CONTEXT(what) {
            Host host;
            host.write({1, 2});
            const auto epoch = host.clock->read().epoch();
            host.clock.reset();
            unwatched(host);
            host.clock.emplace(host.open());
            BOOST_TEST((host.clock->read().epoch() != epoch) == is_new_epoch);
            BOOST_TEST(host.clock->read().epoch() == host.database.content().epoch);
            BOOST_TEST(host.clock->read().synced() == host.database.content().seq);
        }
}

BOOST_AUTO_TEST_CASE(one_who_is_not_the_first_keeps_the_epoch) {
    Host host;
    const auto epoch = host.clock->read().epoch();
    const auto old = host.write({1});
    host.database.commit({1});
    const auto other = host.open();
    BOOST_TEST(other.read().epoch() == epoch);
    BOOST_TEST(!is_valid(*host.clock, old, 1));
}

BOOST_AUTO_TEST_CASE(the_first_removes_what_killed_processes_left) {
    Host host;
    host.clock.reset();
    const auto root = root_file(host.folder / "run");
    for (const auto* name : {"-0123456789abcdef", "-0123456789abcdef.77", ".77"}) std::ofstream(root.string() + name) << "half";
    BOOST_TEST(shared_files(host.folder / "run").size() == 5u);
    host.clock.emplace(host.open());
    BOOST_TEST(shared_files(host.folder / "run").size() == 2u);
}

BOOST_AUTO_TEST_CASE(without_trusted_triggers_nothing_is_valid_and_the_epoch_ends_with_it) {
    Host host;
    const auto seq = host.write({1});
    const auto epoch = host.clock->read().epoch();
    host.database.set_trusted(false);
    host.clock->sync(host.source);
    BOOST_TEST(!host.clock->read().is_trusted());
    BOOST_TEST(!is_valid(*host.clock, seq, 1));
    BOOST_TEST(host.clock->read().is_fresh());
    BOOST_TEST(host.clock->read().epoch() == epoch);

    host.database.set_trusted(true);
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().is_trusted());
    BOOST_TEST(host.clock->read().epoch() != epoch);
}

BOOST_AUTO_TEST_CASE(a_schema_that_moved_costs_one_epoch_and_no_more) {
    Host host;
    auto other = host.open();
    const auto seq = host.write({1});
    const auto epoch = host.clock->read().epoch();
    host.database.move_schema();
    host.clock->sync(host.source);
    const auto next = host.clock->read().epoch();
    BOOST_TEST(next != epoch);
    BOOST_TEST(host.clock->read().is_trusted());
    for (int i = 0; i < 3; ++i) {
        other.sync(host.source);
        host.clock->sync(host.source);
        BOOST_TEST(host.clock->read().epoch() == next);
        BOOST_TEST(other.read().epoch() == next);
    }
    BOOST_TEST(is_valid(*host.clock, seq, 1));  // by number, but what was cached has the other epoch in its key
    host.database.set_trusted(false);
    host.database.move_schema();
    host.clock->sync(host.source);
    BOOST_TEST(!host.clock->read().is_trusted());
    host.database.set_trusted(true);
    host.database.move_schema();
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().is_trusted());
}

BOOST_AUTO_TEST_CASE(nothing_is_valid_once_a_schema_moved_that_cannot_be_stored) {
    Host host;
    const auto seq = host.write({1});
    host.database.move_schema();
    host.source.after_reading = [&](const ChangeSet&) { host.source.is_unreachable = true; };
    BOOST_CHECK_THROW(host.clock->sync(host.source), std::runtime_error);
    BOOST_TEST(!is_valid(*host.clock, seq, 1));
    BOOST_TEST(!host.clock->read().is_trusted());
}

BOOST_AUTO_TEST_CASE(a_commit_between_filling_a_memory_and_naming_it_is_not_lost) {
    Host host;
    auto writer = host.open();
    const auto old = host.write({1});
    host.database.renew_epoch(host.database.content().epoch);
    bool was_written = false;
    host.source.after_reading = [&](const ChangeSet& set) {
        if (set.since != 0 || std::exchange(was_written, true)) return;
        writer.publish(host.database.commit({1}, writer.read().synced()));
    };
    host.clock->sync(host.source);
    BOOST_TEST(was_written);
    BOOST_TEST(!is_valid(writer, old, 1));
    BOOST_TEST(is_valid(writer, host.database.content().seq, 1));
}

BOOST_AUTO_TEST_CASE(two_who_replace_a_memory_at_once_leave_one) {
    Host host;
    auto other = host.open();
    const auto epoch = host.database.renew_epoch(host.database.content().epoch);
    FakeSource another(host.database);
    host.source.after_reading = [&](const ChangeSet& set) {
        if (set.since == 0) other.sync(another);
    };
    host.write({1});
    host.clock->sync(host.source);
    BOOST_TEST(host.clock->read().epoch() == epoch);
    BOOST_TEST(other.read().epoch() == epoch);
    BOOST_TEST(shared_files(host.folder / "run").size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_memory_whose_maker_died_before_settling_it_is_not_believed) {
    Host host;
    const auto other = host.open();
    const auto old = host.write({1});
    host.database.renew_epoch(host.database.content().epoch);
    host.source.after_reading = [&](const ChangeSet& set) { host.source.is_unreachable = set.since == 0; };
    BOOST_CHECK_THROW(host.clock->sync(host.source), std::runtime_error);
    host.source.is_unreachable = false;
    host.source.after_reading = nullptr;
    BOOST_TEST(other.read().epoch() == host.database.content().epoch);
    BOOST_TEST(!is_valid(other, old, 1));
    BOOST_TEST(!host.clock->renew_lease(LeaseClock::now()));
    host.clock->sync(host.source);
    BOOST_TEST(is_valid(other, old, 1));
    BOOST_TEST(host.clock->renew_lease(LeaseClock::now()));
}

BOOST_AUTO_TEST_CASE(removed_or_replaced_shared_memory_brings_all_processes_together_again) {
    using Deed = std::function<void(const fs::path& folder)>;
    const std::pair<const char*, Deed> deeds[] = {
        {"nothing", [](const fs::path&) {}},
        {"root removed", [](const fs::path& folder) { fs::remove(root_file(folder)); }},
        {"root of another kind", [](const fs::path& folder) { replace_file(root_file(folder), "hello", 0600); }},
        {"all files removed",
         [](const fs::path& folder) { std::ranges::for_each(shared_files(folder), [](auto& path) { fs::remove(path); }); }},
        {"the folder removed", [](const fs::path& folder) { fs::remove_all(folder); }},
        {"only the epoch's file removed", [](const fs::path& folder) { fs::remove(shared_files(folder).back()); }}};
    for (const auto& [what, deed] : deeds) BOOST_TEST_CONTEXT(what) {
            Host host;
            auto second = host.open();
            const auto old = host.write({1, 2});
            deed(host.folder / "run");
            second.remap_if_replaced(host.source);
            auto third = host.open();
            host.clock->remap_if_replaced(host.source);
            BOOST_TEST(is_valid(*host.clock, old, 1));

            third.publish(host.database.commit({1}, third.read().synced()));
            for (const auto* clock : {&*host.clock, &second, &third}) {
                BOOST_TEST(!is_valid(*clock, old, 1));
                BOOST_TEST(is_valid(*clock, old, 2));
                BOOST_TEST(clock->read().synced() == host.database.content().seq);
            }
            BOOST_TEST(shared_files(host.folder / "run").size() == 2u);
        }
}

BOOST_AUTO_TEST_CASE(hostile_files_are_replaced_or_refused_with_a_sentence) {
    struct Row {
        const char* what;
        std::function<void(const fs::path& folder)> deed;
        const char* refusal;  // empty: it is replaced
    };
    const Row rows[] = {
        {"a short root", [](const fs::path& folder) { replace_file(root_file(folder), "x", 0600); }, ""},
        {"a root of zeros", [](const fs::path& folder) { replace_file(root_file(folder), std::string(sizeof(ClockRoot), '\0'), 0600); },
         ""},
        {"a short memory", [](const fs::path& folder) { replace_file(shared_files(folder).back(), "x", 0600); }, ""},
        {"a memory of zeros",
         [](const fs::path& folder) { replace_file(shared_files(folder).back(), std::string(sizeof(EpochMemory), '\0'), 0600); }, ""},
        {"a memory open to others",
         [](const fs::path& folder) { fs::permissions(shared_files(folder).back(), fs::perms::others_read, fs::perm_options::add); }, ""},
        {"a root open to others",
         [](const fs::path& folder) { fs::permissions(root_file(folder), fs::perms::others_read, fs::perm_options::add); },
         "other users may open it"},
        {"a root that is a link",
         [](const fs::path& folder) {
             const auto root = root_file(folder);
             fs::rename(root, folder / "elsewhere");
             fs::create_symlink(folder / "elsewhere", root);
         },
         "cannot open"},
        {"a root with a second name", [](const fs::path& folder) { fs::create_hard_link(root_file(folder), folder / "second"); },
         "second name"},
        {"a folder others may write to", [](const fs::path& folder) { fs::permissions(folder, fs::perms::all); }, "refusing the folder"}};
    for (const auto& [what, deed, refusal] : rows) BOOST_TEST_CONTEXT(what) {
            Host host;
            const auto seq = host.write({1});
            host.clock.reset();
            deed(host.folder / "run");
            if (*refusal == '\0') {
                host.clock.emplace(host.open());
                BOOST_TEST(is_valid(*host.clock, seq, 1));
            } else {
                const auto says = [&](const std::runtime_error& error) { return std::strstr(error.what(), refusal) != nullptr; };
                BOOST_CHECK_EXCEPTION(host.open(), std::runtime_error, says);
            }
        }
}

BOOST_AUTO_TEST_CASE(without_a_look_at_the_database_the_lease_runs_out) {
    Host host;
    const auto reading = host.clock->read();
    BOOST_TEST(reading.is_fresh());
    BOOST_TEST(host.clock->renew_lease(LeaseClock::now() - ChangeClock::kRecent - 20ms));
    BOOST_TEST(!reading.is_recent());
    BOOST_TEST(reading.is_fresh());
    BOOST_TEST(host.clock->renew_lease(LeaseClock::now() + 1s));  // another processor's clock
    BOOST_TEST(reading.is_recent());
    BOOST_TEST(host.clock->renew_lease(LeaseClock::now() - ChangeClock::kLease - 1s));
    BOOST_TEST(!reading.is_fresh());
    host.source.is_unreachable = true;
    BOOST_CHECK_THROW(host.clock->sync(host.source), std::runtime_error);
    BOOST_TEST(!reading.is_fresh());
    host.source.is_unreachable = false;
    host.clock->sync(host.source);
    BOOST_TEST(reading.is_fresh());

    const auto began = LeaseClock::now();
    while (reading.is_fresh()) std::this_thread::sleep_for(5ms);
    BOOST_TEST((LeaseClock::now() - began >= ChangeClock::kLease - 10ms));
}

namespace {

// Three processes of a host, their writers, readers and cached things, in an order that a seed chooses. While one of them holds what
// it read from the database, the others go on.
class Interleaving {
public:
    explicit Interleaving(unsigned seed) : random_(seed) {
        for (int i = 1; i < 3; ++i) others_.push_back(host_.open());
        host_.source.after_reading = [this](const ChangeSet&) { go_on_meanwhile(); };
    }

    void run(int steps) {
        for (int i = 0; i < steps; ++i) step();
        come_to_rest();
    }
    [[nodiscard]] int hits() const { return hits_; }

private:
    struct Entry {
        std::uint64_t epoch;
        std::uint64_t seq;
        std::size_t tag;
        std::uint64_t version;
    };
    struct Pending {
        ChangeSet own;
        std::size_t tag;
        std::uint64_t version;
        int history;  // how many backups had been restored when it was committed
    };

    std::size_t any(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }
    ChangeClock& clock() {
        const auto which = any(others_.size() + 1);
        return which == 0 ? *host_.clock : others_[which - 1];
    }

    void go_on_meanwhile() {
        if (std::exchange(is_nested_, true)) return;
        for (auto count = any(4); count > 0; --count) step();
        is_nested_ = false;
    }

    void step() {
        const auto dice = any(1000);
        if (dice < 200) return begin_write();
        if (dice < 400) return end_write();
        if (dice < 430) return kill_writer();
        if (dice < 550) return clock().sync(host_.source);
        if (dice < 750) return fill();
        if (dice < 984) return hit();
        if (dice < 990) backup_ = host_.database.content();
        if (dice >= 990 && dice < 994) host_.database.renew_epoch(host_.database.content().epoch);
        if (dice >= 994 && !is_nested_) restore();
    }

    void begin_write() {
        const auto tag = any(4);
        const auto since = clock().read().synced();
        auto own = host_.database.commit({tag}, since);
        pending_.push_back({std::move(own), tag, host_.database.content().version[tag], history_});
    }

    // Published, then answered.
    void end_write() {
        if (pending_.empty()) return;
        std::swap(pending_[any(pending_.size())], pending_.back());
        const auto write = std::move(pending_.back());
        pending_.pop_back();
        clock().publish(write.own);
        if (write.history == history_) show(write.tag, write.version);
    }

    void kill_writer() {
        if (!pending_.empty()) pending_.pop_back();
    }

    void fill() {
        auto& ours = clock();
        const auto tag = any(4);
        const auto history = history_;
        const auto content = host_.database.content();
        const auto reading = ours.read();
        if (content.epoch != reading.epoch() || content.seq > reading.synced()) ours.sync(host_.source);
        entries_.push_back({content.epoch, content.seq, tag, content.version[tag]});
        if (history == history_) show(tag, content.version[tag]);
    }

    void hit() {
        if (entries_.empty()) return;
        const auto entry = entries_[entries_.size() - 1 - any(std::min<std::size_t>(entries_.size(), 8))];
        const auto reading = clock().read();
        if (entry.epoch != reading.epoch() || !is_valid(reading, entry.seq, entry.tag)) return;
        BOOST_REQUIRE(entry.version >= shown_[entry.tag]);
        show(entry.tag, entry.version);
        ++hits_;
    }

    void show(std::size_t tag, std::uint64_t version) { shown_[tag] = std::max(shown_[tag], version); }

    // Seen before it has gone beyond what was synced: what happens later is the documented limit.
    void restore() {
        if (!backup_) return;
        host_.database.restore(*backup_);
        ++history_;
        is_nested_ = true;
        clock().sync(host_.source);
        is_nested_ = false;
        shown_ = {};
        must_be_current();
    }

    // After a look at the database, whatever is valid is what the database says.
    void must_be_current() {
        const auto content = host_.database.content();
        for (auto* ours : {&*host_.clock, &others_[0], &others_[1]})
            for (const auto& entry : entries_)
                if (entry.epoch == ours->read().epoch() && is_valid(*ours, entry.seq, entry.tag))
                    BOOST_REQUIRE(entry.version == content.version[entry.tag]);
    }

    void come_to_rest() {
        while (!pending_.empty()) end_write();
        is_nested_ = true;
        clock().sync(host_.source);
        must_be_current();
        const auto content = host_.database.content();
        for (std::size_t tag = 0; tag < kTags; ++tag) BOOST_REQUIRE(is_valid(clock(), content.seq, tag));
    }

    Host host_;
    std::vector<ChangeClock> others_;
    std::mt19937 random_;
    std::vector<Pending> pending_;
    std::vector<Entry> entries_;
    std::array<std::uint64_t, kTags> shown_{};
    std::optional<Content> backup_;
    bool is_nested_ = false;
    int history_ = 0;
    int hits_ = 0;
};

}  // namespace

BOOST_AUTO_TEST_CASE(no_order_of_events_shows_less_than_was_acknowledged_or_shown) {
    int hits = 0;
    for (unsigned seed = 1; seed <= 40; ++seed) BOOST_TEST_CONTEXT("seed " << seed) {
            Interleaving interleaving(seed);
            interleaving.run(400);
            hits += interleaving.hits();
        }
    BOOST_TEST(hits > 1000);
}

namespace {

// In memory that children share with the test.
struct Ledger {
    std::array<std::atomic<std::uint64_t>, kTags> acknowledged{};  // the number of the tag's last acknowledged change
    std::atomic<std::uint64_t> writes{0};
    std::atomic<std::uint64_t> epochs{0};
    std::atomic<std::uint64_t> judged{0};
    std::atomic<std::uint64_t> stale{0};
    std::atomic<std::uint64_t> problems{0};
};

class SharedLedger {
public:
    SharedLedger() {
        void* const memory = ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::runtime_error("no memory");
        ledger_ = new (memory) Ledger;
    }
    ~SharedLedger() { ::munmap(ledger_, sizeof(Ledger)); }
    SharedLedger(const SharedLedger&) = delete;
    SharedLedger& operator=(const SharedLedger&) = delete;
    Ledger* operator->() { return ledger_; }
    Ledger& operator*() { return *ledger_; }

private:
    Ledger* ledger_;
};

void acknowledge(Ledger& ledger, std::size_t tag, std::uint64_t seq) {
    auto& word = ledger.acknowledged[tag];
    auto now = word.load();
    while (now < seq && !word.compare_exchange_weak(now, seq)) {
    }
    ++ledger.writes;
}

// What a worker's threads do all day. The numbers go on across epochs, so that a label below an acknowledged change is wrong in each.
void work(FakeDatabase& database, ChangeClock& clock, Ledger& ledger, unsigned seed, int steps, std::size_t tags = kTags) {
    FakeSource source(database);
    std::mt19937 random(seed);
    for (int i = 0; i != steps; ++i) {
        const auto tag = random() % tags;
        const auto dice = random() % 10'000;
        if (dice < 3000) {
            const auto own = database.commit({tag}, clock.read().synced());
            clock.publish(own);
            acknowledge(ledger, tag, own.seq);
        } else if (dice < 5000) {
            clock.sync(source);
        } else if (dice < 5001) {
            database.renew_epoch(clock.read().epoch());
            ++ledger.epochs;
        } else {
            const auto acknowledged = ledger.acknowledged[tag].load();
            const auto reading = clock.read();
            if (acknowledged != 0 && is_valid(reading, acknowledged - 1, tag)) ++ledger.stale;
            ++ledger.judged;
        }
    }
}

class Worker {
public:
    Worker(Host& host, Ledger& ledger, unsigned seed) : pid_(::fork()) {
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            auto clock = host.open();
            work(host.database, clock, ledger, seed, -1);
        } catch (const std::exception& problem) {
            ++ledger.problems;
            std::fprintf(stderr, "worker: %s\n", problem.what());
        }
        ::_exit(1);
    }
    ~Worker() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

private:
    pid_t pid_;
};

void every_slot_must_be_right(Host& host) {
    host.clock->sync(host.source);
    const auto content = host.database.content();
    const auto reading = host.clock->read();
    BOOST_TEST(reading.synced() == content.seq);
    for (std::size_t tag = 0; tag < kTags; ++tag) BOOST_TEST_CONTEXT("tag " << tag) {
            BOOST_TEST(is_valid(reading, content.last[tag], tag));
            if (content.last[tag] != 0) BOOST_TEST(!is_valid(reading, content.last[tag] - 1, tag));
        }
}

}  // namespace

BOOST_AUTO_TEST_CASE(no_raise_of_a_slot_is_lost_to_another) {
    std::vector<std::byte> bytes(sizeof(EpochMemory) + alignof(EpochMemory));
    void* start = bytes.data();
    auto space = bytes.size();
    std::align(alignof(EpochMemory), sizeof(EpochMemory), start, space);
    auto& memory =
        *EpochMemory::make({static_cast<std::byte*>(start), sizeof(EpochMemory)}, 1, 1, ChangeSet{.since = 0, .epoch = 1, .changes = {}});
    std::atomic<int> lost{0};
    std::atomic<std::uint64_t> next{0};
    const auto raise_often = [&] {
        ChangeSet set{.epoch = 1, .changes = {{"post", 0}}};
        while ((set.changes[0].seq = ++next) < 500'000) {
            memory.raise_to(set);
            if (memory.slots[slot_of("post")] < set.changes[0].seq) ++lost;
        }
    };
    std::thread other(raise_often);
    raise_often();
    other.join();
    BOOST_TEST(lost == 0);
}

BOOST_AUTO_TEST_CASE(threads_of_one_process_share_the_clock) {
    Host host;
    SharedLedger ledger;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 4; ++seed)
        threads.emplace_back([&, seed] { work(host.database, *host.clock, *ledger, seed, 5000, 1); });
    for (auto& thread : threads) thread.join();
    BOOST_TEST(ledger->stale == 0u);
    BOOST_TEST(ledger->judged > 0u);
    every_slot_must_be_right(host);
}

// The numbers go back with each epoch: what changed late in one has an early number in the next. A judgement of so many slots takes long
// enough for the epoch to end in the middle of it.
BOOST_AUTO_TEST_CASE(nothing_is_judged_by_slots_of_two_epochs) {
    Host host;
    const auto backup = host.database.content();
    std::vector<Slot> slots(20'000, tag_slot(2));
    slots.push_back(tag_slot(1));
    std::atomic<bool> is_ending{false};
    std::atomic<int> judged{0};
    std::atomic<int> stale{0};
    const auto judge = [&] {
        while (!is_ending) {
            const auto reading = host.clock->read();
            const auto seq = reading.synced();
            if (seq < 2) continue;  // the next epoch has begun already
            if (reading.is_valid(seq - 1, slots)) ++stale;
            ++judged;
        }
    };
    std::thread first(judge);
    std::thread second(judge);
    for (int i = 0; i < 200; ++i) {
        for (int changes = 0; changes < 10; ++changes) host.write({1});
        const auto enough = judged + 2;
        while (judged < enough) std::this_thread::yield();
        host.database.restore(backup);
        host.clock->sync(host.source);
    }
    is_ending = true;
    first.join();
    second.join();
    BOOST_TEST(stale == 0);
}

BOOST_AUTO_TEST_CASE(processes_killed_in_the_middle_of_anything_leave_every_slot_right) {
    Host host;
    SharedLedger ledger;
    std::mt19937 random(7);
    std::vector<std::unique_ptr<Worker>> workers(4);
    std::uint64_t synced = 0;
    for (unsigned kills = 0; kills < 120; ++kills) {
        workers[random() % workers.size()] = nullptr;
        for (auto& worker : workers)
            if (!worker) worker = std::make_unique<Worker>(host, *ledger, kills);
        const auto writes = ledger->writes + random() % 40;
        while (ledger->writes < writes && ledger->problems == 0) std::this_thread::yield();
        const auto before = std::exchange(synced, host.clock->read().synced());
        BOOST_REQUIRE(synced >= before);
        BOOST_REQUIRE(ledger->stale == 0u);
        BOOST_REQUIRE(ledger->problems == 0u);
    }
    workers.clear();
    BOOST_TEST(ledger->stale == 0u);
    BOOST_TEST(ledger->judged > 1000u);
    every_slot_must_be_right(host);
    BOOST_TEST_MESSAGE(ledger->writes << " writes, " << ledger->epochs << " epochs, " << ledger->judged << " judgements");
}

BOOST_AUTO_TEST_CASE(a_follower_sees_what_went_around_us) {
    Host host;
    const auto seq = host.write({1});
    const Follower follower(*host.clock, std::make_unique<FakeSource>(host.database));
    host.database.commit({1});
    BOOST_TEST(eventually([&] { return !is_valid(*host.clock, seq, 1); }));

    host.database.set_trusted(false);
    host.database.commit({2});
    BOOST_TEST(eventually([&] { return !host.clock->read().is_trusted(); }));
    host.database.set_trusted(true);  // moves nothing, and is seen all the same
    BOOST_TEST(eventually([&] { return host.clock->read().is_trusted(); }));
}

BOOST_AUTO_TEST_CASE(a_follower_renews_the_lease_while_the_database_can_be_reached) {
    Host host;
    auto source = std::make_unique<FakeSource>(host.database);
    auto& is_unreachable = source->is_unreachable;
    const Follower follower(*host.clock, std::move(source));
    const auto expire = [&] { return host.clock->renew_lease(LeaseClock::now() - ChangeClock::kLease - 1s); };

    BOOST_TEST(expire());
    BOOST_TEST(eventually([&] { return host.clock->read().is_fresh(); }));
    is_unreachable = true;
    BOOST_TEST(eventually([&] { return expire() && !host.clock->read().is_fresh(); }));
    BOOST_TEST(eventually([&] { return !host.clock->read().is_fresh(); }));
    host.database.commit({1});
    is_unreachable = false;
    BOOST_TEST(eventually([&] { return host.clock->read().is_fresh(); }));
    BOOST_TEST(eventually([&] { return host.clock->read().synced() == 1; }));
}

BOOST_AUTO_TEST_CASE(a_follower_tends_the_database_now_and_then) {
    Host host;
    auto source = std::make_unique<FakeSource>(host.database);
    const auto tended = source->tended;
    {
        auto other = std::make_unique<FakeSource>(host.database);
        const auto tended_daily = other->tended;
        const Follower daily(*host.clock, std::move(other));
        const Follower often(*host.clock, std::move(source), 1ms);
        BOOST_TEST(eventually([&] { return tended->load() >= 3; }));
        BOOST_TEST(tended_daily->load() == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_follower_stops_at_once) {
    Host host;
    BOOST_TEST((least_time(20, [&] { const Follower follower(*host.clock, std::make_unique<FakeSource>(host.database)); }) <
                Follower::kInterval / 2));
}

BOOST_AUTO_TEST_CASE(followers_whose_shared_memory_is_removed_find_each_other_again) {
    Host host;
    auto second = host.open();
    const auto follower_of_nothing_new = [&](ChangeClock& clock) {
        auto source = std::make_unique<FakeSource>(host.database);
        source->sees_no_move = true;  // what one process publishes, the other learns from shared memory or not at all
        return std::make_unique<Follower>(clock, std::move(source));
    };
    const auto first_follower = follower_of_nothing_new(*host.clock);
    const auto second_follower = follower_of_nothing_new(second);
    const auto is_shared = [&] {
        const auto by_first = host.write({1});
        const bool seen_by_second = second.read().synced() == by_first;
        const auto own = host.database.commit({2}, second.read().synced());
        second.publish(own);
        return seen_by_second && host.clock->read().synced() == own.seq;
    };
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(eventually(is_shared));
        // At once: the followers make new files while a folder is emptied name by name.
        fs::rename(host.folder / "run", host.folder / "gone");
        fs::remove_all(host.folder / "gone");
        BOOST_TEST(eventually([&] { return fs::exists(host.folder / "run") && shared_files(host.folder / "run").size() == 2; }));
    }
    BOOST_TEST(eventually(is_shared));
}
