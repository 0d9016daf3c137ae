#include "log/file_tail.hpp"

#include <algorithm>
#include <cerrno>
#include <tuple>

#include <sys/stat.h>
#include <unistd.h>

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = 64 << 10;
constexpr off_t kFarthestBack = 16 << 20;
constexpr std::chrono::seconds kGrace{1};

std::size_t read_at(int fd, char* buffer, std::size_t size, off_t offset) {
    for (;;) {
        const auto count = ::pread(fd, buffer, size, offset);
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "cannot read a log");
    }
}

struct stat status_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw std::system_error(errno, std::generic_category(), "cannot read a log");
    return status;
}

bool is_earlier(const timespec& a, const timespec& b) { return std::tie(a.tv_sec, a.tv_nsec) < std::tie(b.tv_sec, b.tv_nsec); }

// Where the last lines begin, or those that are within reach. The newline at the very end ends one of them.
off_t begin_of_last(int fd, std::size_t lines) {
    const auto size = status_of(fd).st_size;
    std::string buffer(kChunk, '\0');
    std::size_t newlines = 0;
    auto first = size;
    for (auto end = size; end > 0 && size - end < kFarthestBack;) {
        const auto begin = std::max<off_t>(0, end - static_cast<off_t>(kChunk));
        const auto count = read_at(fd, buffer.data(), static_cast<std::size_t>(end - begin), begin);
        for (auto i = count; i > 0; --i) {
            if (buffer[i - 1] != '\n') continue;
            first = begin + static_cast<off_t>(i);
            if (newlines++ == lines) return first;
        }
        end = begin;
    }
    return size < kFarthestBack ? 0 : first;
}

}  // namespace

FileTail::FileTail(fs::path file, std::size_t last_lines) : file_(std::move(file)) {
    ::clock_gettime(CLOCK_REALTIME_COARSE, &began_);  // the clock of the files' times
    auto fd = open_log(file_);
    if (!fd) return;
    sources_.push_back(source_of(std::move(fd), 0));
    sources_.back().offset = begin_of_last(sources_.back().fd.get(), last_lines);
    has_name_ = true;
}

FileTail::Source FileTail::source_of(UniqueFd fd, int number) {
    const auto status = status_of(fd.get());
    return {.fd = std::move(fd), .id = {status.st_dev, status.st_ino}, .modified = status.st_mtim, .number = number};
}

// To its end before we look who has the name now, and once more afterwards: then nothing is left behind but what late processes write.
void FileTail::poll(const LineTaker& take) {
    for (auto& source : sources_) read(source, take);
    if (has_name_ && sources_.back().id == id_of(file_)) return forget_those_long_left();

    if (std::exchange(has_name_, false)) sources_.back().left = Clock::now();
    auto next = successors();
    if (!sources_.empty()) read(sources_.back(), take);
    for (auto& source : next) {
        read(source, take);
        source.left = Clock::now();
        sources_.push_back(std::move(source));
    }
    if (next.empty() || sources_.back().id != id_of(file_)) return;
    has_name_ = true;
    sources_.back().left = {};
}

void FileTail::forget_those_long_left() {
    const auto is_long_left = [now = Clock::now()](const Source& source) {
        return source.left != Clock::time_point() && now - source.left > kGrace;
    };
    std::erase_if(sources_, is_long_left);
}

// A file that was made smaller begins anew.
void FileTail::read(Source& source, const LineTaker& take) {
    const auto status = status_of(source.fd.get());
    if (status.st_size < source.offset) {
        source.offset = 0;
        source.lines = {};
    }
    source.modified = status.st_mtim;
    std::string buffer(kChunk, '\0');
    while (const auto count = read_at(source.fd.get(), buffer.data(), buffer.size(), source.offset)) {
        source.lines.feed(std::string_view(buffer).substr(0, count), take);
        source.offset += static_cast<off_t>(count);
    }
}

// The file with the name now, and before it those that had it and were rotated since our last look.
std::vector<FileTail::Source> FileTail::successors() const {
    constexpr int kTries = 100;
    std::vector<Source> found;
    for (int i = 0; i < kTries; ++i) {
        const auto named = id_of(file_);
        found = newer_files();
        if (id_of(file_) == named) break;  // else it was rotated meanwhile, and what we found may be in disorder
    }
    std::ranges::reverse(found);
    return found;
}

// The newest first: the backups from the lowest number on, up to the file we know. That may have gone; then those that were written after
// it, by the times of the files, which have ticks of some milliseconds.
std::vector<FileTail::Source> FileTail::newer_files() const {
    std::vector<Source> found;
    const auto& known_until = sources_.empty() ? began_ : sources_.back().modified;
    bool is_last_met = false;
    int missing = 0;  // a rotation moves names one by one, so one may be free for a moment
    for (int number = 0; missing < 2 && !is_last_met; ++number) {
        auto fd = open_log(number == 0 ? file_ : fs::path(file_.string() + '.' + std::to_string(number)));
        missing = fd ? 0 : missing + 1;
        if (!fd) continue;
        auto source = source_of(std::move(fd), number);
        is_last_met = is_in(sources_, source);
        if (number > 0 && is_earlier(source.modified, known_until)) break;
        if (!is_last_met && !is_in(found, source)) found.push_back(std::move(source));
    }
    const auto may_be_older = [&](const Source& source) { return source.number > 0 && !is_earlier(known_until, source.modified); };
    if (!is_last_met) std::erase_if(found, may_be_older);
    return found;
}

bool FileTail::is_in(const std::vector<Source>& sources, const Source& source) {
    return std::ranges::any_of(sources, [&](const Source& known) { return known.id == source.id; });
}

}  // namespace recto
