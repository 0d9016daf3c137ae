// reads.hpp - what the code on this thread has read: collected without anybody passing it around.
//
// A CollectReads is open while something that may be cached is computed. Each query notes its snapshot and tags, each cached thing
// that is used notes its own; an inner collection adds itself to the outer one when it ends.
//
// Errors:   none; what can't be noted for lack of memory makes the collection unstorable.
// Threads:  all state is the calling thread's; collections end in the opposite order of their beginning.
// Source:   the label of a nested entry is min(own S, max(inner S, Y)), Y loaded before the inner entry was checked: a valid inner
//           entry is as good as Y, and the outer one is as old as its oldest part. Whoever uses a cached entry notes max(inner S, Y).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "util/time.hpp"

namespace recto {

struct Reads {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;              // S: as of when all of it is known to be true
    std::vector<std::string> tags;      // sorted, each once
    std::optional<TimePoint> hard_end;  // never to be used from then on
    bool storable = true;               // false: parts of different epochs, or read inside a write transaction
};

class CollectReads {
public:
    // `epoch` and `synced` of a Reading taken before: the label of what reads no database at all.
    CollectReads(std::uint64_t epoch, std::uint64_t synced);
    ~CollectReads();  // adds what was read to the enclosing collection, also after an exception
    CollectReads(const CollectReads&) = delete;
    CollectReads& operator=(const CollectReads&) = delete;

    [[nodiscard]] const Reads& reads() const { return reads_; }

    void note(std::uint64_t epoch, std::uint64_t seq, std::span<const std::string> tags) noexcept;
    void note_hard_end(TimePoint end) noexcept;
    void note_unstorable() noexcept { reads_.storable = false; }

private:
    void note_inner(const CollectReads& inner) noexcept;

    Reads reads_;
    bool has_noted_ = false;
    CollectReads* outer_;
};

// Into the innermost collection of this thread; nothing happens without one. What the store can't see (a file, a setting) is noted with
// epoch and synced of a Reading taken before it was looked at.
void note_read(std::uint64_t epoch, std::uint64_t seq, std::span<const std::string> tags);
void note_hard_end(TimePoint end);
void note_unstorable();

// Open while this thread has a write transaction: it then neither reads nor stores cached things (a rolled-back seq is used again).
class WriteInProgress {
public:
    WriteInProgress();
    ~WriteInProgress();
    WriteInProgress(const WriteInProgress&) = delete;
    WriteInProgress& operator=(const WriteInProgress&) = delete;
};
[[nodiscard]] bool is_writing();

}  // namespace recto
