#include "fcgi/opening.hpp"

#include <sys/stat.h>

#include "fcgi/handlers.hpp"
#include "site/owner.hpp"
#include "util/shared_file.hpp"

namespace recto {
namespace {

std::string joined(const std::vector<std::string>& mistakes) {
    std::string text;
    for (const auto& mistake : mistakes) text += (text.empty() ? "" : "; ") + mistake;
    return text;
}

Throttle opened_throttle(const Config& config) {
    make_private_directory(config.runtime_dir);
    auto throttle = Throttle::open(throttle_options(config));
    if (!throttle.note().empty()) log_message(Level::info, throttle.note(), "recto.throttle");
    return throttle;
}

void migrate_database(const Config& config) {
    for (const auto& step : bring_up_database(config))
        log_event("store.migrated", {{"number", step.number}, {"name", step.name}}, "recto.store");
}

}  // namespace

BadConfiguration::BadConfiguration(std::vector<std::string> found) : std::runtime_error(joined(found)), mistakes(std::move(found)) {}

OpenedSite::OpenedSite(const Config& config, Throttle& throttle)
    : site(config), gate(Gate::open(config.runtime_dir)), application(site, throttle, gate, all_views(), make_handlers(site)) {}

Opening::Counting::Counting(const Config& config)
    : throttle(opened_throttle(config)), keeper(throttle, throttle_options(config).snapshot, config.throttle_snapshot) {}

const Config& Opening::read() {
    auto loaded = load_config(config_file_, process_environment(), known_views(), model_names());
    if (!loaded.mistakes.empty()) throw BadConfiguration(std::move(loaded.mistakes));
    if (!log_ || config_ != loaded.config) begin_anew(std::move(loaded.config));
    return *config_;
}

void Opening::begin_anew(Config config) {
    counting_.reset();
    log_.reset();
    config_ = std::move(config);
    become_owner_of(config_->data);
    ::umask(0027);
    log_ = std::make_unique<LogSession>(log_options(*config_));
}

// The throttle first: it needs no database.
std::unique_ptr<OpenedSite> Opening::open() {
    const auto& config = read();
    if (!counting_) counting_ = std::make_unique<Counting>(config);
    migrate_database(config);
    return std::make_unique<OpenedSite>(config, counting_->throttle);
}

}  // namespace recto
