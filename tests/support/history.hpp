// history.hpp - judges answers by what was written: is each one the database as it was at a moment its reader may be shown?
//
// A post has one writer at a time, so its versions are in order; when each was committed is known to lie between two moments. An answer
// is right if there is one moment at which every post was as the answer shows it, or leaves it out. It must not lie before anything that
// had to be visible when the reader asked, nor before the moment of an answer that anybody had got by then, nor after the answer came.
//
// Errors:   none; what makes no sense (a post twice in an answer) is a violation.
// Threads:  one thread.
// Limits:   exact for each post; of several posts, an answer passes that only another order of writes at the same time could explain.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace recto {

using Moment = std::chrono::steady_clock::time_point;  // CLOCK_MONOTONIC: the same in all processes of the host

// What became of a post. Before its first write it isn't there.
struct Write {
    int post = 0;              // from 0, without gaps
    int version = 0;           // as an answer shows it; an older one may come back (a restored backup)
    std::vector<int> authors;  // whose lists show it, the first one first; none: nobody's
    Moment begun;
    Moment committed_by;  // at the latest
    Moment visible_by;    // whoever asks later must be shown this, or something newer
};

struct Shown {
    int post = 0;
    int version = 0;
    int author = 0;  // its first
};

struct Read {
    int author = 0;  // whose list it is
    Moment begun, ended;
    std::size_t answer = 0;  // of add_answer()
    std::string reader;      // for the report
};

enum class Wrong {
    never_so,            // no write made it so
    older_than_written,  // a write had to be visible when the reader asked
    older_than_shown,    // somebody had been shown something newer when the reader asked
    newer_than_begun,    // the write began after the answer had come
    of_no_moment,        // what it shows was not there together
};

class History {
public:
    struct Violation {
        Wrong what;
        std::size_t read;   // so many reads had ended before it
        std::string story;  // with what happened around it
    };
    struct Verdict {
        std::size_t reads = 0;
        std::size_t wrong = 0;
        std::vector<Violation> first;  // not all: one fault makes thousands
    };

    void add(Write write) { writes_.push_back(std::move(write)); }  // those of one post in their order
    std::size_t add_answer(std::vector<Shown> answer);              // many reads share one
    void add(Read read) { reads_.push_back(std::move(read)); }

    [[nodiscard]] Verdict judge() const;

private:
    class Timeline;
    class Judge;

    std::vector<Write> writes_;
    std::vector<std::vector<Shown>> answers_;
    std::vector<Read> reads_;
};

}  // namespace recto
