// recto.fcgi - answers requests: FastCGI on a socket, or one plain CGI request from the command line.

#include <cstdio>
#include <exception>

#include <CLI/CLI.hpp>

#include "fcgi/degraded_server.hpp"
#include "fcgi/listen.hpp"
#include "fcgi/opening.hpp"
#include "fcgi/server.hpp"
#include "fcgi/signals.hpp"
#include "fcgi/worker.hpp"
#include "util/standard_descriptors.hpp"

namespace {

using namespace recto;

constexpr int kFailure = 1;
constexpr int kUsage = 64;
constexpr int kBadConfiguration = 78;  // EX_CONFIG of sysexits.h

// The site is opened for one request. A client is told of a failure as a worker tells it; the reason goes to the exit code and its message.
int answer_cgi(Opening& opening) {
    try {
        const auto opened = opening.open();
        answer_one_cgi_request(server_options(opened->site.config),
                               [&](Request&& request) { return opened->application.begin(std::move(request)); });
        return 0;
    } catch (const std::exception&) {
        answer_one_cgi_request({}, begin_refusal);
        throw;
    }
}

// A socket of the service manager is served whatever else is wrong. By hand there is none before the configuration names it.
int work(Opening& opening) {
    auto socket = passed_socket();
    const Signals signals;
    if (!socket) socket = own_socket(opening.read().server_socket);
    return Worker(std::move(*socket), opening, signals.stop_token()).run();
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    CLI::App options{"Answers Recto's requests over FastCGI; with a CGI environment, answers that one request.", "recto.fcgi"};
    std::string config_file = "/etc/recto/recto.ini";
    options.add_option("--config", config_file, "The configuration")->capture_default_str();
    try {
        options.parse(argc, argv);
        Opening opening(config_file);
        return is_plain_cgi() ? answer_cgi(opening) : work(opening);
    } catch (const CLI::ParseError& problem) {
        return options.exit(problem) == 0 ? 0 : kUsage;
    } catch (const BadConfiguration& problem) {
        for (const auto& mistake : problem.mistakes) std::fprintf(stderr, "%s\n", mistake.c_str());
        return kBadConfiguration;
    } catch (const WrongSockets& problem) {
        std::fprintf(stderr, "recto.fcgi: %s\n", problem.what());
        return kBadConfiguration;
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "recto.fcgi: %s\n", problem.what());
        return kFailure;
    }
}
