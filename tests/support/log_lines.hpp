// log_lines.hpp - processes that log numbered lines, and what is found of them in the files afterwards.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "log/log.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/sanitizers.hpp"
#include "util/file.hpp"
#include "util/json.hpp"

namespace recto {

using Lines = std::vector<std::string>;

inline Lines lines_of(const std::string& text) {
    Lines lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

inline std::vector<int> backup_numbers(const std::filesystem::path& file) {
    std::vector<int> numbers;
    const auto prefix = file.filename().string() + '.';
    for (const auto& entry : std::filesystem::directory_iterator(file.parent_path()))
        if (const auto name = entry.path().filename().string(); name.starts_with(prefix))
            numbers.push_back(std::stoi(name.substr(prefix.size())));
    std::ranges::sort(numbers);
    return numbers;
}

inline std::filesystem::path backup(const std::filesystem::path& file, int number) { return file.string() + '.' + std::to_string(number); }

// Of all the files, the oldest line first. Each by itself: half a line at the end of one, which a killed process left, is no part of the
// first line of the next.
inline Lines all_lines(const std::filesystem::path& file) {
    Lines lines;
    const auto add = [&](const std::filesystem::path& one) { std::ranges::copy(lines_of(read_file(one)), std::back_inserter(lines)); };
    auto numbers = backup_numbers(file);
    for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) add(backup(file, *number));
    if (std::filesystem::exists(file)) add(file);
    return lines;
}

// `2026-11-22 20:30:16.123456Z pid tid body`; the whole is empty when the line isn't like that.
struct Parts {
    std::string time, pid, tid, body;
};

inline bool is_time(std::string_view text) {
    constexpr std::string_view kForm = "dddd-dd-dd dd:dd:dd.ddddddZ";
    return std::ranges::equal(text, kForm, [](char c, char form) { return form == 'd' ? c >= '0' && c <= '9' : c == form; });
}

inline bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == text.npos; }

inline Parts parts_of(const std::string& line) {
    const auto pid = std::min<std::size_t>(line.size(), 28);
    const auto tid = line.find(' ', pid) + 1;
    const auto body = line.find(' ', tid) + 1;
    if (pid < 28 || tid == 0 || body == 0) return {};
    Parts parts{line.substr(0, 27), line.substr(pid, tid - pid - 1), line.substr(tid, body - tid - 1), line.substr(body)};
    return is_time(parts.time) && line[27] == ' ' && is_number(parts.pid) && is_number(parts.tid) ? parts : Parts{};
}

inline std::string body_of(const std::string& line) { return parts_of(line).body; }

// Null when the line isn't a whole event.
inline json::value event_of(const std::string& line) {
    json::error_code problem;
    auto event = json::parse(body_of(line), problem);
    return problem ? json::value{} : event;
}

inline std::vector<json::value> events_of(const std::filesystem::path& file) {
    std::vector<json::value> events;
    for (const auto& line : all_lines(file))
        if (auto event = event_of(line); !event.is_null()) events.push_back(std::move(event));
    return events;
}

template <class Work>
pid_t in_child(const Work& work) {
    const auto pid = ::fork();
    if (pid != 0) return pid;
    try {
        work();
        ::_exit(0);
    } catch (const std::exception& problem) {
        (void)!::write(STDERR_FILENO, problem.what(), std::strlen(problem.what()));
        ::_exit(1);
    }
}

inline int exit_status(pid_t pid) {
    int status = 0;
    BOOST_REQUIRE(::waitpid(pid, &status, 0) == pid);
    return status;
}

// One writer is a thread of a process; it logs 0, 1, 2… and says in `logged`, memory shared by the processes, how far it came.
constexpr int kThreads = 2;
constexpr std::size_t kMaxWriters = 256;
using Counter = std::atomic<std::int64_t>;

class Progress {
public:
    Progress() {
        void* memory = ::mmap(nullptr, sizeof(Counter) * kMaxWriters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        BOOST_REQUIRE(memory != MAP_FAILED);
        counters_ = new (memory) Counter[kMaxWriters]{};
    }
    ~Progress() { ::munmap(counters_, sizeof(Counter) * kMaxWriters); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    Counter& operator[](int writer) const { return counters_[writer]; }

private:
    Counter* counters_;
};

inline void log_numbers(int writer, std::int64_t count, Counter& logged) {
    for (std::int64_t number = 0; number < count; ++number) {
        log_event("number", {{"writer", writer}, {"number", number}});
        logged = number + 1;
    }
}

inline pid_t start_writers(const LogOptions& options, int process, std::int64_t count, const Progress& logged) {
    return in_child([&] {
        const LogSession session(options);
        std::vector<std::jthread> threads;
        for (int i = 0; i < kThreads; ++i) {
            const auto writer = process * kThreads + i;
            threads.emplace_back([writer, count, &logged] { log_numbers(writer, count, logged[writer]); });
        }
    });
}

// Four processes log; 50 times one of them is killed and another takes its place, then all are. How many there were in all.
inline int kill_writers_at_random(const LogOptions& options, const Progress& logged) {
    constexpr int kKills = 50;
    std::mt19937 random(2);  // NOLINT
    std::vector<pid_t> running;
    int started = 0;
    const auto start = [&] { running.push_back(start_writers(options, started++, 1'000'000'000, logged)); };
    const auto kill_one = [&] {
        const auto victim = running.begin() + static_cast<std::ptrdiff_t>(random() % running.size());
        ::kill(*victim, SIGKILL);
        BOOST_TEST(WIFSIGNALED(exit_status(*victim)));
        running.erase(victim);
    };
    const auto newest_has_begun = [&] { return logged[(started - 1) * kThreads] > 0; };
    while (started < 4) start();
    for (int i = 0; i < kKills; ++i) {
        // The newest has begun; then some more, so that any point of its work may be hit.
        BOOST_REQUIRE(eventually(newest_has_begun));
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 10'000));
        kill_one();
        start();
    }
    BOOST_REQUIRE(eventually(newest_has_begun));
    while (!running.empty()) kill_one();
    return started;
}

struct Numbers {
    std::map<std::int64_t, std::vector<std::int64_t>> of_writer;  // in the order of the files
    std::size_t malformed = 0;
    std::int64_t told_lost = 0;  // by gaps
};

inline Numbers numbers_in(const Lines& lines) {
    Numbers numbers;
    for (const auto& line : lines) {
        const auto event = event_of(line);
        if (event.is_null())
            ++numbers.malformed;
        else if (event.at("ev").as_string() == "log.gap")
            numbers.told_lost += event.at("data").at("lost").as_int64();
        else
            numbers.of_writer[event.at("data").at("writer").as_int64()].push_back(event.at("data").at("number").as_int64());
    }
    return numbers;
}

inline Numbers numbers_in(const std::filesystem::path& file) { return numbers_in(all_lines(file)); }

inline bool counts_up(const std::vector<std::int64_t>& numbers) {
    return std::ranges::adjacent_find(numbers, [](auto a, auto b) { return b != a + 1; }) == numbers.end();
}

inline std::uint64_t largest_file(const std::filesystem::path& file) {
    std::uint64_t largest = std::filesystem::file_size(file);
    for (const auto number : backup_numbers(file))
        largest = std::max<std::uint64_t>(largest, std::filesystem::file_size(backup(file, number)));
    return largest;
}

inline void write_text(const std::filesystem::path& file, std::string_view text) { std::ofstream(file, std::ios::app) << text; }

struct ErrorOutput {
    explicit ErrorOutput(const std::filesystem::path& file) {
        ::dup2(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    }
};

}  // namespace recto
