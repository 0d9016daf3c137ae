// process.hpp - a program that runs beside a test, and ends with the object.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace recto {

class Process {
public:
    // `command[0]` is looked for in PATH; standard input is /dev/null, the outputs are the test's own. Throws if it can't be started.
    explicit Process(const std::vector<std::string>& command);
    Process(Process&& other) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();  // kill -9, and waits

    [[nodiscard]] pid_t pid() const { return pid_; }  // 0 once it was waited for
    void signal(int number) const;

    // Its wait status (waitpid(2)), or empty if it still runs after `timeout`.
    std::optional<int> wait(std::chrono::milliseconds timeout);
    void kill();  // -9, and waits

private:
    pid_t pid_ = 0;
};

}  // namespace recto
