// opening.hpp - opens what a worker needs, in order, and may be tried again: the configuration, the log, the throttle's table, the
// database (which it migrates first), and the views over them.
//
// What could be opened is kept for the next try; after a change of the configuration all of it is opened anew.
//
// Errors:   BadConfiguration, with every mistake; std::runtime_error for whatever else can't be opened, naming it.
// Threads:  for the main thread.
// Limits:   a migration waits up to a minute for another process's, and never touches a newer or a foreign database. The first try makes
//           the process go on as the owner of the data folder; a later one can't change its user.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "clock/clock.hpp"
#include "fcgi/throttle_keeper.hpp"
#include "fcgi/view_exchange.hpp"
#include "log/log.hpp"
#include "site/site.hpp"
#include "throttle/gate.hpp"
#include "throttle/throttle.hpp"

namespace recto {

class BadConfiguration : public std::runtime_error {
public:
    explicit BadConfiguration(std::vector<std::string> found);
    const std::vector<std::string> mistakes;
};

// A site that requests can be answered from.
struct OpenedSite {
    OpenedSite(const Config& config, Throttle& throttle);

    Site site;
    Gate gate;
    const Application application;
};

class Opening {
public:
    explicit Opening(std::filesystem::path config_file) : config_file_(std::move(config_file)) {}

    // The configuration as it is now, with the log open.
    const Config& read();

    // All of it. The Opening must outlive what it returns.
    [[nodiscard]] std::unique_ptr<OpenedSite> open();

private:
    struct Counting {
        explicit Counting(const Config& config);
        Throttle throttle;
        const ThrottleKeeper keeper;
    };
    void begin_anew(Config config);

    const std::filesystem::path config_file_;
    std::optional<Config> config_;  // of log_ and counting_
    std::unique_ptr<LogSession> log_;
    std::unique_ptr<Counting> counting_;
};

}  // namespace recto
