#include "tests/support/service.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "tests/support/fastcgi_client.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

fs::path build_folder() {
    const char* const build = std::getenv("BUILD");
    return fs::absolute(build == nullptr ? "build" : build);
}

UniqueFd open_file(const fs::path& path, int flags) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    if (!fd) throw io_error("cannot open", path);
    return fd;
}

int exit_status(int wait_status) { return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status); }

// Fills a template of etc/nginx as `make run` does.
std::string filled(const fs::path& name, const std::vector<std::string>& values) {
    std::vector<std::string> command{"etc/dev/fill"};
    command.insert(command.end(), values.begin(), values.end());
    auto result = run_command(command, read_file("etc/nginx" / name));
    if (result.status != 0) throw std::runtime_error("etc/dev/fill: " + result.errors);
    return result.output;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& command, const std::string& input, const std::vector<std::string>& environment) {
    const TemporaryFolder folder;
    replace_file(folder / "in", input);
    const auto in = open_file(folder / "in", O_RDONLY);
    const auto out = open_file(folder / "out", O_WRONLY | O_CREAT);
    const auto errors = open_file(folder / "errors", O_WRONLY | O_CREAT);
    Process process(command, {.input = in.get(), .output = out.get(), .errors = errors.get(), .environment = environment});
    const auto status = process.wait(60s);
    if (!status) throw std::runtime_error(command[0] + " did not end within 60 s");
    return {exit_status(*status), read_file(folder / "out"), read_file(folder / "errors")};
}

std::string done(const CommandResult& result) {
    if (result.status != 0) throw std::runtime_error("exit status " + std::to_string(result.status) + ": " + result.output + result.errors);
    return result.output;
}

Service::Service(ServiceOptions options) : port_(free_port()), socket_(listen_unix(folder_ / "recto.sock")) {
    write_configuration(options.ini);
    memcached_.emplace(folder_ / "memcached.sock", options.memcached);
    (void)done(recto({"migrate"}));
    for (int i = 0; i < options.workers; ++i) start_worker();
    start_nginx(options.nginx);
}

Service::~Service() {
    if (!nginx_) return;
    nginx_->signal(SIGTERM);  // -9 would leave nginx's own worker behind
    nginx_->wait(10s);
}

void Service::write_configuration(const std::string& ini) {
    const auto path = folder_.path().string();
    fs::create_directories(folder_ / "logs");
    fs::create_directories(folder_ / "nginx");
    fs::create_directory_symlink(runtime_.path(), folder_ / "run");
    replace_file(folder_ / "recto.ini", "[site]\ndata = " + path + "\n[server]\nsocket = " + path + "/recto.sock\nruntime_dir = " +
                                            runtime_.path().string() + "\n[cache]\nservers = unix:" + path + "/memcached.sock\n" + ini);
}

void Service::start_worker() {
    workers_.emplace_back(std::vector<std::string>{build_folder() / "recto.fcgi", "--config", folder_ / "recto.ini"},
                          ProcessSetup{.input = socket_.get()});
}

void Service::end_workers() {
    for (const auto& worker : workers_) worker.signal(SIGTERM);
    for (auto& worker : workers_)
        if (!worker.wait(30s)) throw std::runtime_error("a worker did not end within 30 s of SIGTERM");
    workers_.clear();
}

void Service::start_nginx(const std::string& lines) {
    const auto path = folder_.path().string();
    const std::vector<std::string> values{"DATA=" + path,
                                          "PORT=" + std::to_string(port_),
                                          "SOCKET=" + path + "/recto.sock",
                                          "NGINX=" + path + "/nginx",
                                          "WWW=" + fs::absolute("www").string(),
                                          ::geteuid() == 0 ? "USER=user root;" : "USER="};
    for (const auto* name : {"upstreams.conf", "fastcgi.conf"}) replace_file(folder_ / "nginx" / fs::path(name), filled(name, values));
    replace_file(folder_ / "nginx/locations.conf", lines + filled("locations.conf", values));
    replace_file(folder_ / "nginx.conf", filled("dev.conf", values));
    nginx_.emplace(std::vector<std::string>{"nginx", "-p", path, "-e", path + "/logs/nginx-error.log", "-c", path + "/nginx.conf"});

    const auto deadline = std::chrono::steady_clock::now() + 30s;
    for (;;) {
        try {
            if (client().get("/healthz").status == 200) return;
        } catch (const std::exception&) {
            // nginx doesn't listen yet
        }
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("nginx and the workers gave no answer within 30 s");
        std::this_thread::sleep_for(20ms);
    }
}

CommandResult Service::recto(const std::vector<std::string>& arguments, const std::string& input) const {
    std::vector<std::string> command{build_folder() / "recto", "--config", folder_ / "recto.ini"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_command(command, input);
}

CommandResult Service::cgi(const std::vector<std::string>& environment) const {
    return run_command({build_folder() / "recto.fcgi", "--config", folder_ / "recto.ini"}, {}, environment);
}

CommandResult Service::sqlite(const std::string& statements) const { return run_command({"sqlite3", folder_ / "recto.db"}, statements); }

std::string Service::log() const {
    std::string text;
    const auto file = folder_ / "logs" / fs::path("recto.log");
    for (int number = 10; number >= 0; --number) {
        const fs::path path = number == 0 ? file : fs::path(file.string() + '.' + std::to_string(number));
        if (fs::exists(path)) text += read_file(path);
    }
    return text;
}

std::size_t Service::lines_with(std::string_view text) const {
    std::size_t count = 0;
    for (const auto& line : split_list(log(), '\n')) count += line.find(text) != std::string::npos;
    return count;
}

}  // namespace recto
