#include "site/site.hpp"

#include "site/build_id.hpp"
#include "util/shared_file.hpp"

namespace recto {
namespace {

Config prepared(Config config) {
    make_private_directory(config.runtime_dir);
    return config;
}

}  // namespace

LogOptions log_options(const Config& config) {
    return {.file = config.log_file,
            .level = *parse_level(config.log_level),
            .max_bytes = config.log_max_bytes,
            .backup_count = config.log_backup_count,
            .max_record = config.log_max_record};
}

StoreOptions store_options(const Config& config) {
    return {.file = config.store_file, .runtime_dir = config.runtime_dir, .busy_timeout = config.store_busy_timeout};
}

CacheOptions cache_options(const Config& config) {
    CacheOptions options{.servers = config.cache_servers,
                         .runtime_dir = config.runtime_dir,
                         .timeout = config.cache_timeout,
                         .memory = config.cache_memory,
                         .max_item = config.cache_max_item,
                         .prefix = config.cache_prefix,
                         .build = kBuildId,
                         .stale_while_revalidate = config.cache_stale_while_revalidate,
                         .stale_if_error = config.cache_stale_if_error,
                         .patience = config.cache_patience,
                         .user = config.cache_user,
                         .password = config.cache_password};
    for (const auto name : view_names()) options.subjects.emplace_back(name);
    return options;
}

ThrottleOptions throttle_options(const Config& config) {
    ThrottleOptions options{.folder = config.runtime_dir,
                            .policies = {},
                            .clients = static_cast<std::uint32_t>(config.throttle_clients),
                            .users = static_cast<std::uint32_t>(config.throttle_users)};
    for (const auto& [scope, rate] : config.throttle_scopes) options.policies.push_back({.scope = scope, .rate = rate, .addresses_only = scope == "anon"});
    return options;
}

Site::Site(Config configuration)
    : config(prepared(std::move(configuration))),
      store(Store::open(store_options(config))),
      cache(cache_options(config), store),
      rules(model_rules(config)),
      auth(store, cache, rules),
      blog(store, cache, rules) {}

}  // namespace recto
