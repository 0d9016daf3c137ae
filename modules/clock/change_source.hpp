// change_source.hpp - what the change clock asks of a database. store/ implements it.
//
// Errors:   std::runtime_error when the database can't be read.
// Threads:  one per thread; each has a connection of its own that never writes data.
// Epochs:   of one database they only grow (new_epoch), so that a smaller one says: an older file came back, whose epoch was used before.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace recto {

// What was changed, and the number of the last transaction that did.
struct Change {
    std::string tag;
    std::uint64_t seq = 0;
};

// Read in ONE statement, so that nothing in it is older or newer than the rest.
struct ChangeSet {
    // The argument of changes_since: `changes` holds all of (since, seq]. Whoever forgets to set it is contradicted at once.
    std::uint64_t since = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t epoch = 0;    // never 0 in a database
    std::uint64_t seq = 0;      // of the last change
    std::uint64_t nonce = 0;    // random, renewed with each change: two histories never agree on seq and nonce
    bool trusted = true;        // false: the triggers are not the expected ones, or another file lies there: changes may go unseen
    bool schema_moved = false;  // since the epoch began: the triggers may have been others for a while, changes may have gone unseen
    std::vector<Change> changes;
};

// Greater than `after`, and never made before: the time, then random bits.
[[nodiscard]] std::uint64_t new_epoch(std::uint64_t after);

class ChangeSource {
public:
    virtual ~ChangeSource() = default;

    // Whether someone else may have committed since the last call; true the first time. Cheap (microseconds).
    [[nodiscard]] virtual bool moved() = 0;

    // The changes with a number greater than `seq`.
    [[nodiscard]] virtual ChangeSet changes_since(std::uint64_t seq) = 0;

    // Writes new_epoch(expected) unless the epoch is no longer `expected`; says which it is now. The numbers go on. The schema counts as
    // it is now.
    virtual std::uint64_t renew_epoch(std::uint64_t expected) = 0;

    // What the database wants done about once a day. Never waits for others, and fails silently: the next day will do.
    virtual void tend() noexcept {}
};

}  // namespace recto
