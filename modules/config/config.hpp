// config.hpp - what the operator decided: recto.ini, then the environment, checked as a whole.
//
// One table (options.cpp) has a row for each option: name, field, default, allowed range, secret, help. Parsing, range checks,
// `recto show-config` and etc/recto.ini all come from it. Modules are given values of this struct, never the file.
//
// Errors:   every mistake at once, each one sentence with file, line and what was expected:
//           `recto.ini:12: [cache] timeout = 50sm: expected 1ms to 5s, such as 50ms`
// Threads:  immutable after load_config.
// Limits:   lines of 8,191 bytes; a name and a section of 49.
// Order:    the default, the file, then the environment: RECTO_CACHE__TIMEOUT=80ms is [cache] timeout; named sections have no variable. Any
// other
//           RECTO_… is a mistake, but for RECTO_INSTANCE and what Kubernetes sets for a service of that name.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "util/units.hpp"

namespace recto {

// [view NAME]: what is absent comes from the table of views.
struct ViewSection {
    std::optional<std::chrono::milliseconds> cache = {};    // 0: not cached (`off`)
    std::optional<std::vector<std::string>> throttle = {};  // scopes; empty: `none`
    std::optional<int> cost = {};                           // how often a request counts
    std::optional<int> at_once = {};                        // answers made at the same time; 0: any number (`off`)
    std::optional<std::string> log = {};                    // a level, or `off`

    bool operator==(const ViewSection&) const = default;
};

// [scope NAME], a name of [throttle].
struct ScopeSection {
    std::optional<std::string> repr = {};     // `ring32`, `ring16` or `windows`; or two, of addresses and of users
    std::optional<std::string> dry_run = {};  // `on` or `off`

    bool operator==(const ScopeSection&) const = default;
};

// [handler NAME]: what is absent is that of [log].
struct HandlerSection {
    std::optional<std::filesystem::path> file = {};
    std::optional<std::string> level = {};
    std::optional<std::string> format = {};
    std::optional<Size> max_bytes = {};
    std::optional<int> backup_count = {};
    std::optional<Size> max_record = {};
    std::optional<std::string> flush = {};  // `record` or `batch`
    std::optional<std::string> sync = {};   // `off` or `error`
    std::optional<Size> min_free_space = {};
    std::optional<std::string> compress = {};  // `on` or `off`

    bool operator==(const HandlerSection&) const = default;
};

// [logger NAME]: what is absent is that of the name above it.
struct LoggerSection {
    std::optional<std::string> level = {};
    std::optional<std::vector<std::string>> handlers = {};  // beside those of the name above; empty: `none`
    std::optional<std::string> propagate = {};              // `on` or `off`

    bool operator==(const LoggerSection&) const = default;
};

// [model APP.MODEL], [model APP.*] or [model *.*]: what is absent is that of a rule that says nothing.
struct ModelSection {
    std::optional<std::vector<std::string>> ops = {};  // get, fetch, count, aggregate, exists, all; empty: `none`
    std::optional<std::chrono::milliseconds> timeout = {};
    std::optional<std::string> lock = {};  // `on` or `off`

    bool operator==(const ModelSection&) const = default;
};

struct Config {
    // Absolute; relative paths of the file are joined to it, so all paths below are absolute too.
    std::filesystem::path data;
    std::string site_time_zone;  // an IANA name

    std::filesystem::path server_socket;
    std::filesystem::path runtime_dir;  // shared memory and sockets; private, in memory
    int server_threads = 0;             // event threads
    int server_pool = 0;                // threads for what may block
    int server_max_connections = 0;
    Size server_max_body;
    std::chrono::milliseconds server_io_timeout{};    // of one request and of its response; more for large ones
    std::chrono::milliseconds server_idle_timeout{};  // a kept connection without a request
    std::chrono::milliseconds server_stop_timeout{};  // requests in flight after SIGTERM

    std::filesystem::path store_file;
    std::chrono::milliseconds store_busy_timeout{};

    std::vector<std::string> cache_servers;  // `unix:/path` or `host:port`
    std::string cache_user;                  // empty: none
    std::string cache_password;
    std::chrono::milliseconds cache_timeout{};
    std::chrono::milliseconds cache_retry{};
    Size cache_memory;  // of each worker
    Size cache_max_item;
    std::string cache_prefix;
    std::filesystem::path cache_secret_file;
    std::chrono::milliseconds cache_short_ttl{};  // of 301, 308, 404 and 410
    std::chrono::milliseconds cache_stale_while_revalidate{};
    std::chrono::milliseconds cache_stale_if_error{};
    std::chrono::milliseconds cache_patience{};  // with whoever computes the same

    int throttle_clients = 0;
    int throttle_users = 0;
    std::string throttle_charge;                                 // `atomic` or `drf`
    std::string throttle_strict;                                 // `on` or `off`
    std::string throttle_headers;                                // `users`, `all` or `off`
    std::vector<std::string> throttle_exempt_networks;           // as Network::parse takes them
    std::vector<std::string> throttle_exempt_users;              // names
    std::chrono::milliseconds throttle_snapshot{};               // 0: none
    std::map<std::string, std::optional<Rate>> throttle_scopes;  // `anon`, `user` and any other name of [throttle]; empty: `off`

    std::filesystem::path log_file;
    std::string log_level;
    std::vector<std::string> log_handlers;
    std::string log_format;
    std::string log_stderr_level;
    Size log_max_bytes;
    int log_backup_count = 0;
    Size log_max_record;
    std::string log_flush;                  // `record` or `batch`
    std::string log_sync;                   // `off` or `error`
    Size log_min_free_space;                // 0: off
    std::string log_compress;               // `on` or `off`
    std::chrono::milliseconds log_slow{0};  // 0: off
    std::chrono::milliseconds log_hang{0};
    std::filesystem::path log_nginx_access;  // read by `recto log`, never written

    std::map<std::string, ScopeSection> scopes;
    std::map<std::string, ViewSection> views;
    std::map<std::string, ModelSection> models;
    std::map<std::string, HandlerSection> handlers;
    std::map<std::string, LoggerSection> loggers;

    bool operator==(const Config&) const = default;
};

// A value as it stands, for `recto show-config`.
struct EffectiveOption {
    std::string section;
    std::string name;
    std::string value;   // `********` for a secret
    std::string origin;  // `default`, `recto.ini:12` or `RECTO_CACHE__TIMEOUT`
};

struct LoadedConfig {
    Config config;                         // empty when there are mistakes: nothing is applied by halves
    std::vector<EffectiveOption> options;  // in the order of the table; scopes and views of the operator's own behind their section
    std::vector<std::string> mistakes;     // those of the file by line, then those of the environment by name
};

using Environment = std::map<std::string, std::string>;  // variables that begin with RECTO_, in capitals or not
[[nodiscard]] Environment process_environment();

// A name that [view NAME] may have, and the scopes the view has unless the operator gives it others.
struct KnownView {
    std::string_view name;
    std::vector<std::string> throttle = {};
};

// `models`: the names that [model NAME] may have, beside `app.*` of one of them and `*.*`.
[[nodiscard]] LoadedConfig load_config(const std::filesystem::path& file, const Environment& environment, std::span<const KnownView> views,
                                       std::span<const std::string_view> models);
[[nodiscard]] LoadedConfig parse_config(std::string_view text, std::string_view file_name, const Environment& environment,
                                        std::span<const KnownView> views, std::span<const std::string_view> models = {});

// The whole of etc/recto.ini: every option with its help, range and default.
[[nodiscard]] std::string sample_ini();

}  // namespace recto
