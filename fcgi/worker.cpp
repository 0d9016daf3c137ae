#include "fcgi/worker.hpp"

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "fcgi/degraded_server.hpp"
#include "fcgi/listen.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryAgain = 5s;
constexpr auto kOpensWithin = 2s;

// False: it was asked to stop before.
bool sleep_unless(const std::stop_token& stop, std::chrono::milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    return !stopped.wait_for(lock, stop, time, [&] { return stop.stop_requested(); });
}

}  // namespace

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

Worker::Worker(UniqueFd socket, Opening& opening, std::stop_token stop)
    : socket_(std::move(socket)), opening_(opening), stop_(std::move(stop)), degraded_(std::make_unique<DegradedServer>(socket_.get())) {}
Worker::~Worker() = default;

int Worker::run() {
    const auto opened = open_at_last();
    degraded_->end();
    if (opened) return serve(*opened);
    notify_service_manager("STOPPING=1");
    log_event("worker.stop", {{"finished", true}});
    return 0;
}

// Null: it was asked to stop before.
std::unique_ptr<OpenedSite> Worker::open_at_last() {
    do {
        if (auto opened = try_to_open()) return opened;
    } while (sleep_unless(stop_, kTryAgain));
    return nullptr;
}

std::unique_ptr<OpenedSite> Worker::try_to_open() {
    // What is half opened may be left at any moment, as by a kill -9; to wait for it could take a minute.
    const std::stop_callback leave(stop_, [] { std::_Exit(0); });
    const std::jthread patience([this](const std::stop_token& opened) {
        if (sleep_unless(opened, kOpensWithin) && !degraded_->has_begun()) degraded_->begin("the blog is still being opened");
    });
    try {
        return opening_.open();
    } catch (const std::exception& problem) {
        degraded_->begin(problem.what());
        return nullptr;
    }
}

int Worker::serve(OpenedSite& opened) {
    auto& site = opened.site;
    const Follower follower(site.store.clock(), site.store.change_source());
    Server server(socket_.release(), server_options(site.config),
                  [&](Request&& request) { return opened.application.begin(std::move(request)); });
    const std::stop_callback stop(stop_, [&] { server.stop(); });

    log_event("worker.start");
    notify_service_manager("READY=1\nSTATUS=");
    const bool finished = server.run();
    notify_service_manager("STOPPING=1");
    // An error is written at once, also with flush = batch: no other thread writes before the _Exit.
    log_event("worker.stop", {{"finished", finished}}, kDefaultLogger, finished ? Level::info : Level::error);
    // A request that hangs would keep the server's end waiting; stop_timeout is over.
    if (!finished) std::_Exit(1);
    return 0;
}

}  // namespace recto
