// journal.hpp - what one process wrote to the database and was answered, in a file that a kill -9 takes nothing from: each line is in it
// before the next step.
//
// Errors:   std::runtime_error; also where the database has something else than what was committed.
// Threads:  one process a file; the next one of its name goes on behind what is there.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "blog/blog.hpp"
#include "tests/support/history.hpp"
#include "util/file.hpp"

namespace recto {

// What a write makes of a post.
struct PostState {
    int post = 0;
    int version = 0;
    std::optional<PostStatus> status = {};  // none: there is no such post
    std::vector<int> authors = {};          // ids, in order

    [[nodiscard]] std::vector<int> shown_by() const { return status == PostStatus::published ? authors : std::vector<int>{}; }
};

class Journal {
public:
    explicit Journal(const std::filesystem::path& file);

    void begins(const PostState& next, Moment begun = Moment::clock::now());
    void done(std::chrono::milliseconds grace, Moment committed_by = Moment::clock::now());  // the write that began last

    // In the database, after a killed process: whether its last write was committed is seen by this.
    void found(int post, std::optional<int> version, std::chrono::milliseconds grace);

    void read(int author, Moment begun, const std::string& body);  // ended now
    void failed(const std::string& why);                           // a read without an answer

private:
    void write(const std::string& line);

    UniqueFd file_;
    std::unordered_map<std::string, std::size_t> bodies_;
};

struct Recorded {
    struct Answer {
        int author;
        Moment begun, ended;
        std::size_t body;
    };
    std::vector<Write> writes;
    std::map<int, PostState> posts;  // as the last committed write left them
    int newest_version = 0;          // that a write began with
    std::vector<std::string> bodies;
    std::vector<Answer> answers;
    std::vector<std::string> failures;
};

[[nodiscard]] Recorded read_journal(const std::filesystem::path& file);

}  // namespace recto
