// gate.hpp - how many may do the same thing at once, over all workers of a host.
//
// Each process counts who is inside in a line of shared memory that only it writes, claimed by a lock that ends with the process: what a
// killed worker held is free for the next one who finds the gate full.
//
// Errors:   open() throws std::runtime_error when the shared memory can't be had or 256 processes are there already; enter() never does.
// Threads:  safe to call from any thread. A forked child must open its own.
// Limits:   64 doors, names of up to 47 bytes; enter() waits at most 200 ms, and 5 ms for a stopped process (heartbeat.hpp).
// Versions: a program with another layout makes a new file; while both run each counts for itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace recto {

class Gate {
public:
    using Door = std::size_t;

    // Somebody is inside as long as it lives.
    class Pass {
    public:
        explicit Pass(std::uint32_t& inside) : inside_(&inside) {}
        Pass(Pass&& other) noexcept : inside_(std::exchange(other.inside_, nullptr)) {}
        Pass& operator=(Pass&&) = delete;
        ~Pass();

    private:
        std::uint32_t* inside_;
    };

    [[nodiscard]] static Gate open(const std::filesystem::path& folder);

    Gate(Gate&&) noexcept;
    ~Gate();

    [[nodiscard]] Door door(std::string_view name);  // the same for all processes

    // nullopt if `limit` are inside, or the lock can't be had (RobustMutex::Locked).
    [[nodiscard]] std::optional<Pass> enter(Door door, std::uint32_t limit);

private:
    class Memory;
    explicit Gate(std::unique_ptr<Memory> memory);
    std::unique_ptr<Memory> memory_;
};

}  // namespace recto
