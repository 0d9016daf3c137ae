// recto.fcgi - answers requests: FastCGI on a socket, or one plain CGI request from the command line.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <sys/stat.h>

#include <CLI/CLI.hpp>

#include "clock/clock.hpp"
#include "fcgi/listen.hpp"
#include "fcgi/server.hpp"
#include "fcgi/throttle_keeper.hpp"
#include "fcgi/view_exchange.hpp"
#include "site/owner.hpp"
#include "site/site.hpp"
#include "util/standard_descriptors.hpp"

namespace {

using namespace recto;

constexpr int kFailure = 1;
constexpr int kUsage = 64;
constexpr int kBadConfiguration = 78;  // EX_CONFIG of sysexits.h: the unit doesn't restart on it

ServerOptions server_options(const Config& config) {
    ServerOptions options;
    options.threads = config.server_threads;
    options.pool = config.server_pool;
    options.max_connections = config.server_max_connections;
    options.max_body = config.server_max_body;
    options.io_timeout = config.server_io_timeout;
    options.idle_timeout = config.server_idle_timeout;
    options.stop_timeout = config.server_stop_timeout;
    options.hang = config.log_hang;
    return options;
}

// Ends the server on SIGTERM and SIGINT while it lives; afterwards a late signal has nothing to reach.
class StopSignals {
public:
    explicit StopSignals(Server& server) {
        target = &server;
        handle_both([](int) { target->stop(); });
    }
    ~StopSignals() { handle_both(SIG_IGN); }
    StopSignals(const StopSignals&) = delete;
    StopSignals& operator=(const StopSignals&) = delete;

private:
    static void handle_both(void (*handler)(int)) {
        struct sigaction action {};
        action.sa_handler = handler;
        ::sigaction(SIGTERM, &action, nullptr);
        ::sigaction(SIGINT, &action, nullptr);
    }

    static inline Server* target = nullptr;  // a signal handler gets no argument
};

int serve(Site& site, Throttle& throttle, const Application& application) {
    const Follower follower(site.store.clock(), site.store.change_source());
    const ThrottleKeeper keeper(throttle, throttle_options(site.config).snapshot, site.config.throttle_snapshot);
    Server server(listening_socket(site.config.server_socket).release(), server_options(site.config),
                  [&](Request&& request) { return application.begin(std::move(request)); });
    const StopSignals signals(server);

    log_event("worker.start");
    notify_service_manager("READY=1");
    const bool finished = server.run();
    notify_service_manager("STOPPING=1");
    // An error is written at once, also with flush = batch: nobody else writes before the _Exit.
    log_event("worker.stop", {{"finished", finished}}, kDefaultLogger, finished ? Level::info : Level::error);
    // A request that hangs would keep the server's end waiting; stop_timeout is over.
    if (!finished) std::_Exit(kFailure);
    return 0;
}

int run(const std::string& config_file) {
    auto loaded = load_config(config_file, process_environment(), known_views(), model_names());
    for (const auto& mistake : loaded.mistakes) std::fprintf(stderr, "%s\n", mistake.c_str());
    if (!loaded.mistakes.empty()) return kBadConfiguration;

    become_owner_of(loaded.config.data);
    ::umask(0027);
    ::signal(SIGXFSZ, SIG_IGN);  // a full disk is an error to count, not our end
    const LogSession log(log_options(loaded.config));
    Site site(std::move(loaded.config));
    auto throttle = Throttle::open(throttle_options(site.config));
    if (!throttle.note().empty()) log_message(Level::info, throttle.note(), "recto.throttle");
    auto gate = Gate::open(site.config.runtime_dir);
    const Application application(site, throttle, gate, all_views(), make_handlers(site));
    if (!is_plain_cgi()) return serve(site, throttle, application);

    answer_one_cgi_request(server_options(site.config), [&](Request&& request) { return application.begin(std::move(request)); });
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    CLI::App options{"Answers Recto's requests over FastCGI; with a CGI environment, answers that one request.", "recto.fcgi"};
    std::string config_file = "/etc/recto/recto.ini";
    options.add_option("--config", config_file, "The configuration")->capture_default_str();
    try {
        options.parse(argc, argv);
        return run(config_file);
    } catch (const CLI::ParseError& problem) {
        return options.exit(problem) == 0 ? 0 : kUsage;
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "recto.fcgi: %s\n", problem.what());
        return kFailure;
    }
}
