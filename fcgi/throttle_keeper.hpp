// throttle_keeper.hpp - a thread that tells the log of refusals and of a full table, counts the records of networks, saves the counts for
// the time after a reboot, and sees to it that the table's file stays where new workers look for it.
//
// A client that is refused a thousand times is one line: `throttle.refused` with scope, client and count. Every worker has such a thread;
// what one of them has told no other tells again, and what a killed one had not told yet another one tells.
//
// Errors:   a snapshot that can't be written, or a table that can't be had, is logged when that begins and when it ends.
// Threads:  its own; the throttle must outlive it.
#pragma once

#include <chrono>
#include <memory>

#include "throttle/throttle.hpp"

namespace recto {

class ThrottleKeeper {
public:
    // `snapshot_interval` 0: none. Of several workers whoever finds the last one older than this makes the next.
    ThrottleKeeper(Throttle& throttle, std::filesystem::path snapshot, std::chrono::milliseconds snapshot_interval);
    ~ThrottleKeeper();  // makes a last one

private:
    class Loop;
    std::unique_ptr<Loop> loop_;
};

}  // namespace recto
