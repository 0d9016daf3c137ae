// log_bench.cpp - what a line of the log costs: CPU of the whole process for each line, and of a line below the level.
//
// All with a rotation each 10 MB. Source: the bars are 3 microseconds (batch: 1.5) and 20 ns (DESIGN section 12, issue 5).
#include <cstdio>
#include <ctime>
#include <thread>
#include <vector>

#include "log/log.hpp"
#include "log/log_counters.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/context.hpp"

using namespace recto;

namespace {

double cpu_nanoseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class Work>
double each(int count, const Work& work) {
    const auto begin = cpu_nanoseconds();
    work();
    return (cpu_nanoseconds() - begin) / count;
}

void log_blogs(int count, Level level) {
    RequestContext context{"4fb1ad30a8c94c0f9b1c2f4f7a6d5e3b", "203.0.113.9", 12};
    const ContextScope scope(context);
    const json::value data{{"author_id", 12}, {"count", 20}, {"view", "blogs.by_author"}, {"took_us", 184}};
    for (int i = 0; i < count; ++i) log_event("get_blogs_by_author", data, kDefaultLogger, level);
}

constexpr int kLines = 300'000;

void log_from_two_threads() {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back(log_blogs, kLines, Level::info);
}

// Many lines, so that the batch's thread and its writes are among what is measured.
void measure(const char* mode, Flush flush) {
    const TemporaryFolder folder;
    auto options = log_to({.file = folder / "recto.log", .flush = flush});
    options.runtime_dir = folder / "run";
    double first = 0, second = 0, third = 0, both = 0;
    {
        const LogSession session(options);
        log_blogs(1000, Level::info);
        first = each(kLines, [] { log_blogs(kLines, Level::info); });
        second = each(kLines, [] { log_blogs(kLines, Level::info); });
        third = each(kLines, [] { log_blogs(kLines, Level::info); });
        both = each(2 * kLines, log_from_two_threads);
    }
    const auto counts = LogCounters::open(options.runtime_dir, options.handlers).read(0);
    std::printf("enabled, %-10s  %8.1f %8.1f %8.1f ns; from two threads %8.1f ns; %llu lines lost\n", mode, first, second, third, both,
                static_cast<unsigned long long>(counts.lost));
}

}  // namespace

int main() {
    {
        const TemporaryFolder folder;
        const LogSession session(log_to({.file = folder / "recto.log"}));
        log_blogs(1000, Level::info);
        std::printf("disabled event      %8.1f ns\n", each(kLines, [] { log_blogs(kLines, Level::debug); }));
    }
    measure("record", Flush::record);
    measure("batch", Flush::batch);
}
