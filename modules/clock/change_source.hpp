// change_source.hpp - what the change clock asks of a database. store/ implements it.
//
// Errors:   std::runtime_error when the database can't be read.
// Threads:  one per thread; each has a connection of its own that never writes data.
#pragma once

#include <cstdint>
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
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;    // of the last change
    std::uint64_t nonce = 0;  // random, renewed with each change: two histories never agree on seq and nonce
    bool trusted = true;      // false: the triggers are not the expected ones, so changes may go unseen
    std::vector<Change> changes;
};

class ChangeSource {
public:
    virtual ~ChangeSource() = default;

    // Whether someone else may have committed since the last call. Cheap (microseconds).
    [[nodiscard]] virtual bool moved() = 0;

    // The changes with a number greater than `seq`.
    [[nodiscard]] virtual ChangeSet changes_since(std::uint64_t seq) = 0;

    // Writes a new epoch unless it is no longer `expected`; says which it is now.
    virtual std::uint64_t renew_epoch(std::uint64_t expected) = 0;
};

}  // namespace recto
