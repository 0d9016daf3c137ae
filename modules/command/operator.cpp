#include "command/operator.hpp"

#include <cstdio>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.hpp"

namespace recto {

void fail(const std::string& why) {
    std::fprintf(stderr, "recto: %s\n", why.c_str());
    throw Stop{ExitCode::failed};
}

const LoadedConfig& Operator::loaded() {
    if (loaded_) return *loaded_;
    auto loaded = load_config(config_file, process_environment(), view_names());
    for (const auto& mistake : loaded.mistakes) std::fprintf(stderr, "%s\n", mistake.c_str());
    if (!loaded.mistakes.empty()) throw Stop{ExitCode::bad_configuration};
    return loaded_.emplace(std::move(loaded));
}

void Operator::become_owner_of_data() {
    struct stat data {};
    if (::geteuid() != 0 || ::stat(config().data.c_str(), &data) != 0 || data.st_uid == 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(data.st_gid) != 0 || ::setuid(data.st_uid) != 0)
        throw io_error("cannot go on as the owner of", config().data);
}

Site& Operator::site() {
    if (site_) return *site_;
    become_owner_of_data();
    ::umask(0027);
    log_ = std::make_unique<LogSession>(log_options(config()));
    site_ = std::make_unique<Site>(config());
    return *site_;
}

TimePoint time_now() { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }

}  // namespace recto
