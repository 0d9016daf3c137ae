#include "command/operator.hpp"

#include <algorithm>
#include <vector>

#include <sys/stat.h>

#include "command/output.hpp"
#include "log/loggers.hpp"
#include "site/owner.hpp"
#include "util/text.hpp"

namespace recto {

void fail(const std::string& why) {
    complain("recto: " + why);
    throw Stop{ExitCode::failed};
}

std::string bad_path(const std::string& path) { return path.empty() ? "expected a path, and it is empty" : ""; }

void warn_of_orphans(const std::string& file, std::int64_t orphans) {
    if (orphans == 0) return;
    complain("recto: warning: " + file + ": references to rows that aren't there: " + std::to_string(orphans) +
             "; `PRAGMA foreign_key_check` lists them");
}

void warn_if_unknown_logger(const std::string& logger) {
    std::vector<std::string_view> known;
    for (const auto& [name, about] : kKnownLoggers) known.push_back(name);
    if (std::ranges::find(known, logger) != known.end()) return;
    const auto near = nearest(logger, known);
    complain("recto: warning: nothing of Recto logs to " + logger + (near.empty() ? "" : "; did you mean " + std::string(near) + '?'));
}

const LoadedConfig& Operator::loaded() {
    if (loaded_) return *loaded_;
    auto loaded = load_config(config_file, process_environment(), known_views(), model_names());
    for (const auto& mistake : loaded.mistakes) complain(mistake);
    if (!loaded.mistakes.empty()) throw Stop{ExitCode::bad_configuration};
    return loaded_.emplace(std::move(loaded));
}

void Operator::enter() {
    if (log_) return;
    become_owner_of(config().data);
    ::umask(0027);
    auto options = log_options(config());
    std::erase(options.root_handlers, "stderr");  // what the operator should read is printed anyway
    log_ = std::make_unique<LogSession>(options);
}

Site& Operator::site() {
    if (site_) return *site_;
    enter();
    site_ = std::make_unique<Site>(config());
    return *site_;
}

}  // namespace recto
