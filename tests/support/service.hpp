// service.hpp - the real thing in a temporary folder: memcached, workers and nginx with the configuration we ship.
//
// All of it listens on unix sockets in the folder and one free port of 127.0.0.1, and ends with the object.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/http_client.hpp"
#include "tests/support/memcached_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"

namespace recto {

struct ServiceOptions {
    int workers = 2;
    std::string ini;                          // lines added to recto.ini
    std::string nginx = {};                   // lines added to its server { }
    std::vector<std::string> memcached = {};  // its own options, such as {"-m", "1"}
};

struct CommandResult {
    int status = 0;  // exit status; 128 + signal
    std::string output;
    std::string errors;
};

// The output of a command that has to succeed; throws with what it said if it didn't.
[[nodiscard]] std::string done(const CommandResult& result);

class Service {
public:
    explicit Service(ServiceOptions options = {});  // answers when it returns
    ~Service();

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] HttpClient client(const std::string& from = "127.0.0.1") const { return HttpClient(port_, from); }
    [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }
    [[nodiscard]] const TemporaryFolder& runtime() const { return runtime_; }  // in memory, as /run is
    [[nodiscard]] MemcachedServer& memcached() { return *memcached_; }
    [[nodiscard]] std::vector<Process>& workers() { return workers_; }
    void start_worker();  // one more on the same socket
    void end_workers();   // SIGTERM, and waits

    // `recto --config … arguments`
    CommandResult recto(const std::vector<std::string>& arguments, const std::string& input = {}) const;
    CommandResult cgi(const std::vector<std::string>& environment) const;  // one request to recto.fcgi without a socket
    CommandResult sqlite(const std::string& statements) const;             // the database's own shell

    [[nodiscard]] std::string log() const;                              // the whole of recto.log, backups first
    [[nodiscard]] std::size_t lines_with(std::string_view text) const;  // of the log

private:
    void write_configuration(const std::string& ini);
    void start_nginx(const std::string& lines);

    TemporaryFolder folder_;
    TemporaryFolder runtime_{in_memory()};
    std::uint16_t port_;
    UniqueFd socket_;
    std::optional<MemcachedServer> memcached_;
    std::vector<Process> workers_;
    std::optional<Process> nginx_;
};

// Runs a program to its end (60 s at most).
CommandResult run_command(const std::vector<std::string>& command, const std::string& input = {},
                          const std::vector<std::string>& environment = {});

}  // namespace recto
