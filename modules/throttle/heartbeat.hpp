// heartbeat.hpp - whether the process that holds a lock in shared memory runs, without asking the kernel about it.
//
// Each process that uses a folder has a slot of the file `beats-1` there, and a thread that writes the time into it every 20 ms. A lock
// names its holder's slot; a process whose beat is 200 ms older than our own is stopped (a signal, a debugger, a frozen cgroup). Nothing
// compares process ids or reads /proc, so it holds between user, PID and mount namespaces (PrivateUsers=, ProtectProc=). Beats are
// compared with our own beat, not with the clock: after the whole machine stood still, no process looks stopped.
//
// A slot is claimed by a lock on one byte of the file, which the kernel gives up when its process ends, however it ends.
//
// Errors:   of() throws std::system_error if the file can't be had. Without a free slot the process has no name; then it is waited for
//           like one that runs.
// Threads:  safe to call from any thread; its own thread blocks all signals. A forked child has the name of its parent and no beat until
//           it calls of() itself.
// Limits:   512 processes. A file that was removed is made again within a second; until all processes are there they don't know each
//           other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace recto {

class Heartbeat {
public:
    // A process with its slot, and the file in which it has it; 0 is no process.
    using Name = std::uint64_t;

    // The one of this process for that folder, which must be there.
    [[nodiscard]] static std::shared_ptr<const Heartbeat> of(const std::filesystem::path& folder);

    ~Heartbeat();
    Heartbeat(const Heartbeat&) = delete;
    Heartbeat& operator=(const Heartbeat&) = delete;

    [[nodiscard]] Name name() const;
    [[nodiscard]] bool is_stopped(Name holder) const;  // false if it isn't known

private:
    class Thread;
    explicit Heartbeat(const std::filesystem::path& folder);
    std::unique_ptr<Thread> thread_;
};

}  // namespace recto
