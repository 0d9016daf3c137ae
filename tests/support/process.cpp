#include "tests/support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <system_error>
#include <utility>

#include "util/file.hpp"

namespace recto {

namespace {

class FileActions {
public:
    explicit FileActions(const ProcessSetup& setup) {
        posix_spawn_file_actions_init(&actions_);
        if (setup.input < 0) posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        for (const auto& [from, to] : {std::pair{setup.input, STDIN_FILENO}, {setup.output, STDOUT_FILENO}, {setup.errors, STDERR_FILENO}})
            if (from >= 0) posix_spawn_file_actions_adddup2(&actions_, from, to);
    }
    ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

// As execve(2) wants them; the strings must outlive it.
std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> all;
    for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
}

// getenv(3) finds the first one of a name, so the test's own come last.
std::vector<std::string> environment_of(const ProcessSetup& setup) {
    auto all = setup.environment;
    for (char** variable = environ; *variable != nullptr; ++variable) all.emplace_back(*variable);
    return all;
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const ProcessSetup& setup) {
    const FileActions actions(setup);
    const auto environment = environment_of(setup);
    const int error =
        posix_spawnp(&pid_, command.at(0).c_str(), actions.get(), nullptr, pointers(command).data(), pointers(environment).data());
    if (error != 0) throw std::system_error(error, std::generic_category(), "cannot start " + command[0]);
}

Process Process::forked(const std::function<void()>& work) {
    const auto parent = ::getpid();
    Process child;
    child.pid_ = ::fork();
    if (child.pid_ < 0) throw std::system_error(errno, std::generic_category(), "cannot fork");
    if (child.pid_ > 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    try {
        work();
        ::_exit(0);
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "forked process: %s\n", problem.what());
        ::_exit(1);
    }
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

Process& Process::operator=(Process&& other) noexcept {
    if (this == &other) return *this;
    kill();
    pid_ = std::exchange(other.pid_, 0);
    return *this;
}

Process::~Process() { kill(); }

void Process::signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);
}

void Process::freeze() const {
    signal(SIGSTOP);
    siginfo_t ignored{};
    if (pid_ > 0) ::waitid(P_PID, static_cast<id_t>(pid_), &ignored, WSTOPPED | WEXITED | WNOWAIT);  // returns, too, if it stood still
}

std::optional<int> Process::wait(std::chrono::milliseconds timeout) {
    if (pid_ <= 0) return std::nullopt;
    const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));  // readable when the process has ended
    pollfd ended{handle.get(), POLLIN, 0};
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    int status = 0;
    for (;;) {
        if (::waitpid(pid_, &status, WNOHANG) == pid_) break;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return std::nullopt;
        ::poll(&ended, 1, static_cast<int>(left.count()));
    }
    pid_ = 0;
    return status;
}

void Process::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

}  // namespace recto
