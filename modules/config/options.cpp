#include "config/options.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "log/line.hpp"
#include "util/network.hpp"
#include "util/result.hpp"
#include "util/text.hpp"
#include "util/time_zone.hpp"

namespace recto {
namespace {

using namespace std::string_view_literals;
using std::chrono::milliseconds;

// clang-format off
constexpr std::array kOptions{
    Option{"site.data", &Config::data, "/var/lib/recto", kAbsolutePath,
     "The folder of all that must last: database and logs. A relative path in any other option starts from here."},
    Option{"site.time_zone", &Config::site_time_zone, "UTC", kTimeZone,
     "Where the site is at home, such as Europe/Berlin: a date without a zone, in an imported file or given to `recto post`, is of its "
     "clocks. What is there already stays as it is."},

    Option{"server.socket", &Config::server_socket, "/run/recto.sock", kSocketPath,
     "Where the workers listen and nginx connects. A socket given by systemd or spawn-fcgi comes first."},
    Option{"server.runtime_dir", &Config::runtime_dir, "/run/recto", kAnyPath,
     "Shared memory of the workers: private to Recto's user, and on a file system in memory such as /run or /dev/shm."},
    Option{"server.threads", &Config::server_threads, "1", "1..64",
     "Event threads of a worker: they hold the connections and answer what needs no waiting, cached pages above all. One is best where "
     "there are as many workers as processors."},
    Option{"server.pool", &Config::server_pool, "8", "1..256",
     "Threads of a worker for what may wait: the database, rendering, memcached."},
    Option{"server.max_connections", &Config::server_max_connections, "4096", "64..65536",
     "Connections a worker holds at once, idle ones too. Its limit of open files must be higher."},
    Option{"server.max_body", &Config::server_max_body, "1MB", "1KB..64MB",
     "The largest body of a request; a larger one is answered with 413. nginx's client_max_body_size must not be smaller."},
    Option{"server.io_timeout", &Config::server_io_timeout, "10s", "100ms..5min",
     "How long the web server may take to send a request that it has begun, and to read a response. A large one may take a second "
     "more for each megabyte."},
    Option{"server.idle_timeout", &Config::server_idle_timeout, "90s", "61s..1h",
     "How long a kept connection may be idle. It must be longer than keepalive_timeout of nginx's upstream (60s unless changed): "
     "nginx has to be the side that closes, or a request can meet a closed connection."},
    Option{"server.stop_timeout", &Config::server_stop_timeout, "25s", "1s..10min",
     "How long a stopping worker waits for the requests it is answering. systemd's TimeoutStopSec must be longer."},

    Option{"store.file", &Config::store_file, "recto.db", kAnyPath, "The SQLite database."},
    Option{"store.busy_timeout", &Config::store_busy_timeout, "5s", "100ms..1min",
     "How long a write waits for another process's write."},

    Option{"cache.servers", &Config::cache_servers, "unix:/run/recto-memcached/memcached.sock", kServerList,
     "The memcached servers. All hosts of a site list the same ones in the same order. A server that is down costs misses, not errors."},
    Option{"cache.user", &Config::cache_user, "", kUserName,
     "Whom the memcached servers know (memcached -S, SASL PLAIN). Needs a password, and servers on TCP: host:port. Empty: they ask nobody."},
    Option{"cache.password", &Config::cache_password, "", kPassword,
     "The user's password. A file that others may read shouldn't hold it: the variable RECTO_CACHE__PASSWORD takes any printable "
     "characters, the line here none that begin a comment or a quote.",
     true},
    Option{"cache.timeout", &Config::cache_timeout, "50ms", "1ms..5s",
     "How long a page may wait for memcached before it goes on without."},
    Option{"cache.retry", &Config::cache_retry, "1s", "10ms..1min",
     "How long a memcached server that failed is left alone. Then one request tries it for all."},
    Option{"cache.memory", &Config::cache_memory, "32MB", "1MB..16GB",
     "Memory of each worker for the entries used most, in front of memcached."},
    Option{"cache.max_item", &Config::cache_max_item, "1MB", "1KB..1GB",
     "The largest item memcached takes, its option -I. A larger answer stays in the workers' own memory."},
    Option{"cache.prefix", &Config::cache_prefix, "recto:", kKeyPrefix,
     "Begins every key: two sites on one memcached need two."},
    Option{"cache.secret_file", &Config::cache_secret_file, "cache.secret", kAnyPath,
     "Holds the secret that makes what lies in memcached unforgeable; made if it isn't there. Several hosts need the same one, of at least "
     "32 bytes (openssl rand -hex 32), readable for Recto alone: owner recto, or 0640 root:recto. Without it memcached isn't used."},
    Option{"cache.short_ttl", &Config::cache_short_ttl, "1min", "1s..1d|off",
     "How long an answer with the status 301, 308, 404 or 410 is kept; a change of the data ends it at once."},
    Option{"cache.stale_while_revalidate", &Config::cache_stale_while_revalidate, "30s", "1s..1d|off",
     "How long an answer whose time ran out is still given while one request makes the new one. After a change the old one never is."},
    Option{"cache.stale_if_error", &Config::cache_stale_if_error, "1h", "1s..30d|off",
     "How long an answer is still given while the database can't be read. After that it is 503."},
    Option{"cache.patience", &Config::cache_patience, "5s", "10ms..1min",
     "How long a request waits for another one that makes the same answer before it makes it itself."},

    Option{"throttle.clients", &Config::throttle_clients, "4096", "4096..16777216",
     "Addresses counted at once in each scope. When full, the one with the fewest live requests is forgotten."},
    Option{"throttle.users", &Config::throttle_users, "1024", "64..16777216", "Logged-in users counted at once in each scope."},
    Option{"throttle.charge", &Config::throttle_charge, "atomic", "atomic|drf",
     "What a refused request costs in the other scopes of its view: nothing (atomic, so Retry-After is always true), or one in each that "
     "has room (drf, as Django REST framework does)."},
    Option{"throttle.strict", &Config::throttle_strict, "off", "on|off",
     "On: who was forgotten because the table was full gets nothing back, and newcomers to a full table may get less than their limit."},
    Option{"throttle.headers", &Config::throttle_headers, "users", "users|all|off",
     "Who is told what is left in RateLimit and RateLimit-Policy; refusals tell it always. Never on an answer that a cache may keep."},
    Option{"throttle.exempt_networks", &Config::throttle_exempt_networks, "none", kNetworkList,
     "Whose requests are not counted: your own monitoring, for instance."},
    Option{"throttle.exempt_users", &Config::throttle_exempt_users, "none", kNameList,
     "Users whose requests are not counted, whichever of their tokens they show. A name is looked up when a worker starts."},
    Option{"throttle.snapshot", &Config::throttle_snapshot, "1min", "10s..1h|off",
     "How often the counts are written to throttle.snapshot in the data folder, so that they outlive a reboot. Without one the machine's "
     "start gives everybody a whole limit."},
    Option{"throttle.anon", ScopeField{}, "100/day", kRequestRate, "The scope of visitors who are not logged in, by address."},
    Option{"throttle.user", ScopeField{}, "1000/day", kRequestRate, "The scope of users, by account; visitors count by address."},
    Option{"throttle.wrong_tokens", ScopeField{}, "60/hour", kRequestRate,
     "Wrong tokens of an address; above it tokens from there are refused unread. It needs no [view NAME]."},
    Option{"throttle.blog_limit", ScopeField{}, "1000/day", kRequestRate, "Shared by the views blog and blog.detail."},
    Option{"throttle.blog_2_limit", ScopeField{}, "1000/day", kRequestRate, "The scope of the view blog2."},

    Option{"log.file", &Config::log_file, "logs/recto.log", kLogFile,
     "The log of all workers. Its folder is made; recto.log.1 is the newest backup. Named recto.%i.log each worker has one of its own, by "
     "its number: the unit's, else the lowest that is free. One rotator only: leave logrotate out."},
    Option{"log.level", &Config::log_level, "info", "debug|info|warning|error", "The least level that is written."},
    Option{"log.handlers", &Config::log_handlers, "file, stderr", kHandlerList, "Where lines go."},
    Option{"log.format", &Config::log_format, "verbose", kLineFormat,
     "How a line looks: verbose is the time, process, thread and then the event's JSON; json and ecs are whole JSON objects; a pattern has "
     "{asctime} {levelname} {name} {process} {thread} {message} {txid} {uid}."},
    Option{"log.stderr_level", &Config::log_stderr_level, "warning", "debug|info|warning|error",
     "The least level on standard error, which systemd gives to its journal."},
    Option{"log.max_bytes", &Config::log_max_bytes, "10MB", "64KB..10GB",
     "A file of this size is renamed and a new one begun. At least 4 times max_record."},
    Option{"log.backup_count", &Config::log_backup_count, "10", "1..1000", "Backups kept."},
    Option{"log.max_record", &Config::log_max_record, "64KB", "1KB..1MB", "A longer line is cut."},
    Option{"log.flush", &Config::log_flush, "record", "record|batch",
     "When lines are written: each at once, so that a worker that is killed loses none; or together, 64 KB or 100 ms of them, for less "
     "processor time, and a killed worker loses those. Lines of level error are always written at once."},
    Option{"log.sync", &Config::log_sync, "off", "off|error",
     "Error: lines of level error are on the disk before their request goes on, so that a power cut spares them; each takes "
     "milliseconds."},
    Option{"log.min_free_space", &Config::log_min_free_space, "off", "1MB..1000GB|off",
     "What is left free on the log's file system: with less our oldest backups are removed, then lines are lost and counted. The log is "
     "bounded without it, by max_bytes and backup_count; it is for a disk that others fill."},
    Option{"log.compress", &Config::log_compress, "off", "on|off", "Backups from the second on are compressed: recto.log.2.gz."},
    Option{"log.slow", &Config::log_slow, "1s", "1ms..1h|off",
     "A request that takes longer is logged as request.slow, with what it was busy with."},
    Option{"log.hang", &Config::log_hang, "30s", "100ms..1h|off",
     "A thread that is at one request for longer is logged as request.hung, with the place in the program where it is."},
    Option{"log.nginx_access", &Config::log_nginx_access, "/var/log/nginx/recto.log", kAnyPath,
     "The access log that nginx writes for this site, its access_log: `recto log grep` reads it and its backups too."},
};

constexpr std::array kViewOptions{
    ViewOption{"cache", &ViewSection::cache, "10min", "1s..30d|off",
     "How long an answer is kept; a change of the data ends it at once."},
    ViewOption{"throttle", &ViewSection::throttle, "anon, user", kScopeList,
     "A request is counted in each of these scopes."},
    ViewOption{"cost", &ViewSection::cost, "1", "1..1000", "How often one request of this view counts."},
    ViewOption{"at_once", &ViewSection::at_once, "16", "1..10000|off",
     "How many answers all workers of this host make at once, cached ones aside; one more is answered with 503."},
    ViewOption{"log", &ViewSection::log, "info", "debug|info|warning|error|off", "The level of the view's event."},
};

constexpr std::array kScopeOptions{
    ScopeOption{"repr", &ScopeSection::repr, "windows, ring16", kRepresentations,
     "How the times of a client's requests are kept: exactly in 4 bytes each, rounded in 2, or in 121 counters however high the limit. "
     "`recto check` tells the memory, and how late a client is let in at worst. Two words are for addresses and for "
     "users. Without it limits up to 255 are kept in ring32, higher ones in windows for addresses and in ring16 for users."},
    ScopeOption{"dry_run", &ScopeSection::dry_run, "on", "on|off", "On: refusals are counted and logged, but nobody is refused."},
};

constexpr std::array kModelOptions{
    ModelOption{"ops", &ModelSection::ops, "get, fetch", kOpList,
     "Which queries are cached: get (one row), fetch (a list), count, aggregate, exists, all of them, or none."},
    ModelOption{"timeout", &ModelSection::timeout, "15min", "1s..30d", "How long at most; a change of the data ends it at once."},
    ModelOption{"lock", &ModelSection::lock, "on", "on|off", "Of many who ask the same at once one asks the database, the others wait for it."},
};

constexpr std::array kHandlerOptions{
    HandlerOption{"file", &HandlerSection::file, "logs/slow.log", kLogFile, "As in [log], and so are the others."},
    HandlerOption{"level", &HandlerSection::level, "warning", "debug|info|warning|error", "The least level that it takes."},
    HandlerOption{"format", &HandlerSection::format, "json", kLineFormat, "How a line looks."},
    HandlerOption{"max_bytes", &HandlerSection::max_bytes, "10MB", "64KB..10GB", "The size of a file."},
    HandlerOption{"backup_count", &HandlerSection::backup_count, "10", "1..1000", "Backups kept."},
    HandlerOption{"max_record", &HandlerSection::max_record, "64KB", "1KB..1MB", "A longer line is cut."},
    HandlerOption{"flush", &HandlerSection::flush, "batch", "record|batch", "When lines are written."},
    HandlerOption{"sync", &HandlerSection::sync, "error", "off|error", "Whether lines of level error are on the disk at once."},
    HandlerOption{"min_free_space", &HandlerSection::min_free_space, "64MB", "1MB..1000GB|off", "What is left free."},
    HandlerOption{"compress", &HandlerSection::compress, "on", "on|off", "Backups from the second on."},
};

constexpr std::array kLoggerOptions{
    LoggerOption{"level", &LoggerSection::level, "debug", "debug|info|warning|error",
     "The least level of this logger and those below it. `recto log level NAME LEVEL` changes it while the workers run."},
    LoggerOption{"handlers", &LoggerSection::handlers, "slow", kHandlerList, "Where its lines go too."},
    LoggerOption{"propagate", &LoggerSection::propagate, "off", "on|off", "Off: not to the handlers of the names above it."},
};

constexpr std::array kSectionHelps{
    SectionHelp{"site", ""},
    SectionHelp{"server", "The processes that answer nginx."},
    SectionHelp{"store", ""},
    SectionHelp{"cache", ""},
    SectionHelp{"throttle",
     "No more than N requests of one client in any trailing period. Beside clients and users every name is a scope: add your own "
     "(a-z, 0-9 and _ . -), use it in [view NAME]. Views that name the same scope share its counter."},
    SectionHelp{"log", ""},
};
// clang-format on

// The numbers of a range, read as the type says.
Result<int> parse_as(std::string_view text, int) {
    const auto number = parse_integer(text);
    if (!number) return Error{number.error()};
    if (*number > std::numeric_limits<int>::max() || *number < 0) return Error{"out of range"};
    return static_cast<int>(*number);
}
Result<Size> parse_as(std::string_view text, Size) { return parse_size(text); }
Result<milliseconds> parse_as(std::string_view text, milliseconds) { return parse_duration(text); }

// `range` is of the table: a wrong one would be our bug, and value() asserts.
template <class T>
std::optional<T> parse_in_range(std::string_view text, std::string_view range) {
    const auto dots = range.find("..");
    const auto parsed = parse_as(text, T{});
    if (!parsed) return {};
    if (*parsed < parse_as(range.substr(0, dots), T{}).value()) return {};
    if (*parsed > parse_as(range.substr(dots + 2), T{}).value()) return {};
    return *parsed;
}

bool is_word_of(std::string_view text, std::string_view words) {
    const auto list = split_list(words, '|');
    return std::ranges::find(list, text) != list.end();
}

bool is_graph(char c) { return c > ' ' && c < 0x7F; }

bool is_key_prefix(std::string_view text) { return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, is_graph); }

// What a line can hold is valid UTF-8 already; a tab passes there.
bool is_printable(std::string_view text, std::size_t most) { return text.size() <= most && text.find('\t') == std::string_view::npos; }

bool are_representations(std::string_view text) {
    const auto parts = split_list(text);
    return std::ranges::count(text, ',') + 1 == std::ssize(parts) && parts.size() <= 2 &&
           std::ranges::all_of(parts, [](const auto& part) { return is_word_of(part, kRepresentations); });
}

bool is_good_text(std::string_view text, std::string_view allowed) {
    if (allowed == kTimeZone) return TimeZone::find(text).has_value();
    if (allowed == kKeyPrefix) return is_key_prefix(text);
    if (allowed == kUserName) return is_printable(text, 255);
    if (allowed == kPassword) return is_printable(text, 1024);
    if (allowed == kLineFormat) return static_cast<bool>(LineFormat::parse(text));
    if (allowed == kRepresentations) return are_representations(text);
    return is_word_of(text, allowed);
}

bool is_host(std::string_view text) {
    constexpr std::string_view kHost = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    return !text.empty() && text.find_first_not_of(kHost) == std::string_view::npos;
}

bool is_server(std::string_view text) {
    if (text.starts_with("unix:/")) return text.size() - 5 <= kMaxSocketPath;
    const auto colon = text.find(':');
    return colon != std::string_view::npos && is_host(text.substr(0, colon)) && parse_in_range<int>(text.substr(colon + 1), "1..65535");
}

bool is_scope_name(std::string_view name) {
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'; };
    return !name.empty() && name.size() <= kMaxScopeBytes && name != "none" && std::ranges::all_of(name, allowed);
}

// Another % is a slip of the hand: that of other programs' patterns, such as %p for the process.
bool is_log_file(std::string_view text) {
    const auto mark = text.find('%');
    if (mark == std::string_view::npos) return true;
    return text.substr(mark).starts_with("%i") && text.find_first_of("%/", mark + 1) == std::string_view::npos;
}

// `1..9|off`, in which `off` is zero.
template <class T>
std::optional<T> parse_or_off(std::string_view text, std::string_view allowed) {
    const auto bar = allowed.find('|');
    if (bar != std::string_view::npos && text == "off") return T{0};
    return parse_in_range<T>(text, allowed.substr(0, bar));
}

// One overload a type: nothing when the text isn't allowed.
std::optional<int> read(std::string_view text, std::string_view allowed, int) { return parse_or_off<int>(text, allowed); }
std::optional<Size> read(std::string_view text, std::string_view allowed, Size) { return parse_or_off<Size>(text, allowed); }

std::optional<milliseconds> read(std::string_view text, std::string_view allowed, milliseconds) {
    return parse_or_off<milliseconds>(text, allowed);
}

std::optional<std::filesystem::path> read(std::string_view text, std::string_view allowed, const std::filesystem::path&) {
    if (text.empty() || (allowed == kAbsolutePath && text.front() != '/')) return {};
    if (allowed == kLogFile && !is_log_file(text)) return {};
    return std::filesystem::path(text);
}

std::optional<std::string> read(std::string_view text, std::string_view allowed, const std::string&) {
    if (!is_good_text(text, allowed)) return {};
    return std::string(text);
}

// `a,,b` is a slip of the hand; split_list would forgive it.
bool has_gaps(std::string_view text) { return std::ranges::count(text, ',') + 1 != std::ssize(split_list(text)); }

// Whether a part of a list is what such a list may have.
bool is_part_of(std::string_view allowed, std::string_view part) {
    constexpr std::array kOps{"get"sv, "fetch"sv, "count"sv, "aggregate"sv, "exists"sv, "all"sv};
    if (allowed == kServerList) return is_server(part);
    if (allowed == kOpList) return std::ranges::find(kOps, part) != kOps.end();
    if (allowed == kNetworkList) return static_cast<bool>(Network::parse(part));
    if (allowed == kNameList) return true;  // no user of that name: the worker says so
    return is_scope_name(part);
}

std::optional<std::vector<std::string>> read(std::string_view text, std::string_view allowed, const std::vector<std::string>&) {
    if (text == "none" && allowed != kServerList) return std::vector<std::string>{};
    auto parts = split_list(text);
    if (has_gaps(text) || !std::ranges::all_of(parts, [&](const auto& part) { return is_part_of(allowed, part); })) return {};
    return parts;
}

std::string expected(std::string_view allowed, std::string_view example) {
    // Of words alone any is an example; that there are none is no example.
    const bool words_only = allowed.find('|') != std::string_view::npos && allowed.find("..") == std::string_view::npos;
    return "expected " + in_words(allowed) +
           (words_only || example.empty() || example == "none" || example == "off" ? "" : ", such as " + std::string(example));
}

// For a number whose unit is absent or unknown.
std::string units_of(std::string_view allowed) {
    if (allowed == kRequestRate) return " (periods: second, minute, hour, day)";
    const auto least = allowed.substr(0, allowed.find(".."));
    if (least == allowed) return {};
    if (parse_duration(least)) return " (units: " + std::string(kDurationWords) + ')';
    return parse_size(least) ? " (units: " + std::string(kSizeWords) + ')' : "";
}

bool has_unit(std::string_view value) { return parse_duration(value) || parse_size(value) || parse_rate(value); }

std::string expected_instead(std::string_view value, std::string_view allowed, std::string_view example) {
    const bool is_number = !value.empty() && value.front() >= '0' && value.front() <= '9';
    return expected(allowed, example) + (is_number && !has_unit(value) ? units_of(allowed) : "");
}

template <class Section>
std::optional<std::string> apply_to(Section& section, const SectionOption<Section>& option, std::string_view value) {
    const auto set = [&]<class T>(std::optional<T> Section::*field) {
        auto parsed = read(value, option.allowed, T{});
        if (parsed) section.*field = std::move(*parsed);
        return parsed.has_value();
    };
    if (std::visit(set, option.field)) return {};
    return expected_instead(value, option.allowed, option.example);
}

}  // namespace

std::string Option::variable() const {
    std::string result = "RECTO_" + std::string(section()) + "__" + std::string(key());
    for (auto& c : result)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return result;
}

std::span<const Option> options() { return kOptions; }
std::span<const ViewOption> view_options() { return kViewOptions; }
std::span<const HandlerOption> handler_options() { return kHandlerOptions; }
std::span<const LoggerOption> logger_options() { return kLoggerOptions; }
std::span<const ScopeOption> scope_options() { return kScopeOptions; }
std::span<const ModelOption> model_options() { return kModelOptions; }
std::span<const SectionHelp> section_helps() { return kSectionHelps; }

std::string in_words(std::string_view allowed) {
    auto words = split_list(allowed, '|');
    for (auto& word : words)
        if (const auto dots = word.find(".."); dots != std::string::npos) word.replace(dots, 2, " to ");
    if (words.size() == 1) return words.front();
    const auto last = words.back();
    words.pop_back();
    return join(words, ", ") + " or " + last;
}

std::optional<std::string> apply(const Option& option, std::string_view value, Config& config) {
    if (std::holds_alternative<ScopeField>(option.field)) return apply_scope(option.key(), value, config);
    const auto set = [&]<class T>(ConfigField<T> field) {
        const auto parsed = read(value, option.allowed, T{});
        if (parsed) config.*field = *parsed;
        return parsed.has_value();
    };
    const auto store = [&](auto field) {
        if constexpr (std::is_same_v<decltype(field), ScopeField>)
            return true;
        else
            return set(field);
    };
    if (std::visit(store, option.field)) return {};
    return expected_instead(value, option.allowed, option.initial);
}

std::optional<std::string> apply(const ViewOption& option, std::string_view value, ViewSection& view) {
    return apply_to(view, option, value);
}

std::optional<std::string> apply(const ScopeOption& option, std::string_view value, ScopeSection& scope) {
    return apply_to(scope, option, value);
}

std::optional<std::string> apply(const ModelOption& option, std::string_view value, ModelSection& model) {
    return apply_to(model, option, value);
}

std::optional<std::string> apply(const HandlerOption& option, std::string_view value, HandlerSection& handler) {
    return apply_to(handler, option, value);
}

std::optional<std::string> apply(const LoggerOption& option, std::string_view value, LoggerSection& logger) {
    return apply_to(logger, option, value);
}

std::optional<std::string> apply_scope(std::string_view name, std::string_view value, Config& config) {
    constexpr std::uint32_t kMaxLimit = 100'000;
    if (!is_scope_name(name)) return "a scope's name is 1 to 43 of a-z, 0-9 and _ . - and isn't `none`";
    auto& scope = config.throttle_scopes[std::string(name)];  // made even if the rate is wrong: the views that name it aren't
    scope.reset();
    if (value == "off") return {};
    const auto rate = parse_rate(value);
    if (!rate || rate->limit > kMaxLimit) return expected_instead(value, kRequestRate, "100/day, 5/second or 30/15minutes");
    scope = *rate;
    return {};
}

}  // namespace recto
