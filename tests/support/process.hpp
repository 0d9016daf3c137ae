// process.hpp - a program that runs beside a test, and ends with the object.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace recto {

struct ProcessSetup {
    int input = -1;  // standard input, output and errors; -1: /dev/null, and the test's own
    int output = -1;
    int errors = -1;
    std::vector<std::string> environment = {};  // `NAME=value`, before the test's own
};

class Process {
public:
    // `command[0]` is looked for in PATH. Throws if it can't be started.
    explicit Process(const std::vector<std::string>& command, const ProcessSetup& setup = {});

    // A copy of the test, which must have one thread only. Ends with 0 when the work is done, with 1 and its reason on standard error when
    // it throws, and with the test.
    [[nodiscard]] static Process forked(const std::function<void()>& work);

    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();  // kill -9, and waits

    [[nodiscard]] pid_t pid() const { return pid_; }  // 0 once it was waited for
    void signal(int number) const;
    void freeze() const;  // SIGSTOP, and waits until all its threads stand still

    // Its wait status (waitpid(2)), or empty if it still runs after `timeout`.
    std::optional<int> wait(std::chrono::milliseconds timeout);
    void kill();  // -9, and waits

private:
    Process() = default;

    pid_t pid_ = 0;
};

}  // namespace recto
