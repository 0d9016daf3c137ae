#include "site/site.hpp"

#include <algorithm>

#include "site/build_id.hpp"
#include "util/file.hpp"
#include "util/shared_file.hpp"
#include "util/text.hpp"
#include "util/unicode.hpp"

namespace recto {
namespace {

Config prepared(Config config) {
    make_private_directory(config.runtime_dir);
    return config;
}

LogHandler file_handler(const Config& config) {
    return {.file = config.log_file,
            .format = config.log_format,
            .max_bytes = config.log_max_bytes,
            .backup_count = config.log_backup_count,
            .max_record = config.log_max_record,
            .flush = config.log_flush == "batch" ? Flush::batch : Flush::record,
            .sync_errors = config.log_sync == "error",
            .min_free_space = config.log_min_free_space,
            .compress = config.log_compress == "on"};
}

LogHandler stderr_handler(const Config& config) {
    return {
        .level = *parse_level(config.log_stderr_level), .format = config.log_format, .max_record = config.log_max_record, .name = "stderr"};
}

// What it doesn't say is as in [log].
LogHandler own_handler(const Config& config, const std::string& name, const HandlerSection& section) {
    auto handler = file_handler(config);
    handler.name = name;
    handler.file = *section.file;
    if (section.level) handler.level = *parse_level(*section.level);
    if (section.format) handler.format = *section.format;
    if (section.max_bytes) handler.max_bytes = *section.max_bytes;
    if (section.backup_count) handler.backup_count = *section.backup_count;
    if (section.max_record) handler.max_record = *section.max_record;
    if (section.flush) handler.flush = *section.flush == "batch" ? Flush::batch : Flush::record;
    if (section.sync) handler.sync_errors = *section.sync == "error";
    if (section.min_free_space) handler.min_free_space = *section.min_free_space;
    if (section.compress) handler.compress = *section.compress == "on";
    return handler;
}

Representation representation_of(std::string_view word) {
    if (word == "ring16") return Representation::ring16;
    return word == "windows" ? Representation::windows : Representation::ring32;
}

// Exact while that is cheap; above, what takes least for addresses, which anybody has many of, and what is late least for users.
void choose_representation(ThrottlePolicy& policy) {
    constexpr std::uint32_t kMostExact = 255, kMostNarrow = 65'534;
    const bool is_exact = policy.rate.limit <= kMostExact || policy.rate.limit > kMostNarrow;
    policy.representation = is_exact ? Representation::ring32 : Representation::windows;
    policy.of_users = is_exact ? Representation::ring32 : Representation::ring16;
}

ThrottlePolicy throttle_policy(const Config& config, const std::string& scope, Rate rate) {
    // These two are of who isn't logged in, or not known yet.
    ThrottlePolicy policy{.scope = scope, .rate = rate, .addresses_only = scope == "anon" || scope == "wrong_tokens"};
    choose_representation(policy);
    if (const auto found = config.scopes.find(scope); found != config.scopes.end()) {
        if (const auto& repr = found->second.repr) {
            const auto words = split_list(*repr);
            policy.representation = representation_of(words.front());
            policy.of_users = representation_of(words.back());
        }
        policy.dry_run = found->second.dry_run == "on";
    }
    return policy;
}

}  // namespace

LogOptions log_options(const Config& config) {
    LogOptions options{.level = *parse_level(config.log_level),
                       .root_handlers = config.log_handlers,
                       .handlers = {file_handler(config), stderr_handler(config)},
                       .loggers = {},
                       .runtime_dir = config.runtime_dir};
    for (const auto& [name, section] : config.handlers) options.handlers.push_back(own_handler(config, name, section));
    for (const auto& [name, section] : config.loggers)
        options.loggers.push_back({.logger = name,
                                   .level = section.level ? parse_level(*section.level) : std::nullopt,
                                   .handlers = section.handlers.value_or(std::vector<std::string>()),
                                   .propagate = section.propagate != "off"});
    return options;
}

StoreOptions store_options(const Config& config) {
    return {.file = config.store_file, .runtime_dir = config.runtime_dir, .busy_timeout = config.store_busy_timeout};
}

CacheOptions cache_options(const Config& config) {
    CacheOptions options{.servers = config.cache_servers,
                         .runtime_dir = config.runtime_dir,
                         .timeout = config.cache_timeout,
                         .retry = config.cache_retry,
                         .memory = config.cache_memory,
                         .max_item = config.cache_max_item,
                         .prefix = config.cache_prefix,
                         .build = kBuildId,
                         .secret_file = config.cache_secret_file,
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
                            .users = static_cast<std::uint32_t>(config.throttle_users),
                            .charge = config.throttle_charge == "drf" ? Charge::drf : Charge::atomic,
                            .strict = config.throttle_strict == "on"};
    if (config.throttle_snapshot.count() > 0) options.snapshot = config.data / "throttle.snapshot";
    for (const auto& [scope, rate] : config.throttle_scopes)
        if (rate) options.policies.push_back(throttle_policy(config, scope, *rate));
    return options;
}

std::vector<Migration> bring_up_database(const Config& config) {
    make_directories(config.store_file.parent_path());
    make_private_directory(config.runtime_dir);
    return migrate(store_options(config));
}

Exempt exempt_of(Site& site) {
    std::vector<Network> networks;
    for (const auto& network : site.config.throttle_exempt_networks) networks.push_back(Network::parse(network).value());
    if (site.config.throttle_exempt_users.empty()) return {std::move(networks), {}};

    std::vector<std::int64_t> ids;
    const auto users = site.auth.users();
    for (const auto& name : site.config.throttle_exempt_users) {
        const auto user = std::ranges::find(users, nfc(name), &User::name);
        if (user == users.end())
            log_message(Level::warning, "[throttle] exempt_users: there is no user " + name, "recto.throttle");
        else
            ids.push_back(user->id);
    }
    return {std::move(networks), std::move(ids)};
}

Site::Site(Config configuration)
    : config(prepared(std::move(configuration))),
      store(Store::open(store_options(config))),
      cache(cache_options(config), store),
      rules(model_rules(config)),
      auth(store, cache, rules),
      blog(store, cache, rules) {}

}  // namespace recto
