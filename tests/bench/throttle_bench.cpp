// throttle_bench.cpp - what one check costs. By hand:
//     make build/librecto.a && g++ -std=c++20 -O2 -Imodules tests/bench/throttle_bench.cpp build/librecto.a -lsodium -pthread
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "throttle/throttle.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kChecks = 200'000;

double nanoseconds_per_cycle() {
    const auto start = std::chrono::steady_clock::now();
    const auto cycles = __rdtsc();
    while (std::chrono::steady_clock::now() - start < 50ms) {
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    return time.count() / static_cast<double>(__rdtsc() - cycles);
}

// What processes do beside their checks.
struct Between {
    std::chrono::microseconds sleep{0};  // after each thousand
    std::chrono::microseconds work{0};   // after each one: a worker needs about 10 us for the rest of a request
};

void work_for(std::chrono::microseconds time) {
    for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
    }
}

// Every check of every process, in cycles.
std::vector<unsigned> measure(const ThrottleOptions& options, const std::vector<Throttle::Scope>& scopes, unsigned processes, bool one_key,
                              const Between& between) {
    const auto bytes = sizeof(unsigned) * kChecks * processes;
    auto* const times = static_cast<unsigned*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (unsigned p = 0; p < processes; ++p) {
        if (::fork() != 0) continue;
        auto throttle = Throttle::open(options);
        std::vector<std::string> addresses;
        for (unsigned i = 0; i < 1000; ++i) addresses.push_back("10.0." + std::to_string(i >> 8) + '.' + std::to_string(i & 255));
        for (std::size_t i = 0; i < kChecks; ++i) {
            if (between.sleep > 0us && i % 1000 == 0) ::usleep(static_cast<unsigned>(between.sleep.count()));
            if (between.work > 0us) work_for(between.work);
            const auto start = __rdtsc();
            static_cast<void>(throttle.check(scopes, {.user_id = {}, .address = addresses[one_key ? 0 : i * 7 % 1000]}));
            times[p * kChecks + i] = static_cast<unsigned>(std::min<unsigned long long>(__rdtsc() - start, ~0U));
        }
        ::_exit(0);
    }
    while (::wait(nullptr) > 0) {
    }
    std::vector<unsigned> all(times, times + kChecks * processes);
    ::munmap(times, bytes);
    std::ranges::sort(all);
    return all;
}

}  // namespace

int main() {
    const auto folder = std::filesystem::path("/dev/shm") / ("recto-bench-" + std::to_string(::getpid()));
    const auto scale = nanoseconds_per_cycle();
    const auto row = [&](const char* name, std::uint32_t limit, unsigned processes, std::size_t scopes, bool one_key,
                         const Between& between) {
        ThrottleOptions options{.folder = folder, .policies = {}, .clients = one_key ? 64U : 4096U};
        for (std::size_t i = 0; i < scopes; ++i)
            options.policies.push_back({.scope = std::to_string(i), .rate = {limit, 86'400s}, .addresses_only = true});
        std::vector<Throttle::Scope> wanted;
        for (std::size_t i = 0; i < scopes; ++i) wanted.push_back(i);
        const auto all = measure(options, wanted, processes, one_key, between);
        const auto at = [&](double share) { return scale * all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))]; };
        std::printf("%-44s p50 %6.0f ns   p99 %6.0f ns   p99.9 %8.0f ns\n", name, at(0.5), at(0.99), at(0.999));
        std::filesystem::remove_all(folder);
    };
    row("1 process, one key, accepted", 200'000, 1, 1, true, {});
    row("1 process, one key, refused", 100, 1, 1, true, {});
    row("1 process, 1000 keys, limit 1000", 1000, 1, 1, false, {});
    row("1 process, one key, 3 scopes", 1000, 1, 3, true, {});
    row("8 processes, one key, nothing between", 1000, 8, 1, true, {});
    row("8 processes, one key, bursts", 1000, 8, 1, true, {.sleep = 1ms});
    row("8 processes, one key, 5 us of other work", 1000, 8, 1, true, {.work = 5us});
    row("8 processes, one key, accepted", 1'600'000, 8, 1, true, {});
    row("8 processes, one key, accepted, 5 us", 1'600'000, 8, 1, true, {.work = 5us});
    row("8 processes, 1000 keys, nothing between", 1000, 8, 1, false, {});
}
