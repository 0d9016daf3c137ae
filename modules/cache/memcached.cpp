#include "cache/memcached.hpp"

#include <libmemcached/memcached.h>

#include <netdb.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "cache/memcached_io.hpp"
#include "log/log.hpp"

namespace recto {

namespace {

using SteadyClock = std::chrono::steady_clock;

struct FreeHandle {
    void operator()(memcached_st* handle) const {
        const MemcachedIo io{MemcachedIo::ForClosing{}};
        memcached_free(handle);
    }
};
using Handle = std::unique_ptr<memcached_st, FreeHandle>;

struct Address {
    std::string name;  // as the operator wrote it
    std::string host;  // or the socket's path
    in_port_t port = 0;
    [[nodiscard]] bool is_socket() const { return port == 0; }
};

std::runtime_error bad_address(const std::string& text) {
    return std::runtime_error("memcached server " + text +
                              ": expected unix:/path or host:port, such as unix:/run/recto-memcached/memcached.sock");
}

Address parse_address(const std::string& text) {
    constexpr std::string_view unix_prefix = "unix:";
    if (text.starts_with("unix:/")) return {text, text.substr(unix_prefix.size()), 0};
    const auto colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0) throw bad_address(text);
    const auto port = parse_integer(text.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535) throw bad_address(text);
    auto host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);  // RFC 3986 writes IPv6 like this
    return {text, std::move(host), static_cast<in_port_t>(*port)};
}

void add_server(memcached_st& handle, const Address& address) {
    const auto rc = address.is_socket() ? memcached_server_add_unix_socket(&handle, address.host.c_str())
                                        : memcached_server_add(&handle, address.host.c_str(), address.port);
    if (memcached_failed(rc)) throw bad_address(address.name);
}

Handle new_handle() {
    Handle handle(memcached_create(nullptr));
    if (!handle) throw std::bad_alloc();
    return handle;
}

// Also switches to the binary protocol. On a unix socket libmemcached would leave it out without a word.
void log_in_later(memcached_st& handle, const Address& address, const Memcached::Login& login) {
    if (address.is_socket()) throw std::runtime_error("memcached server " + address.name + ": a user and a password need host:port");
    if (memcached_failed(memcached_set_sasl_auth_data(&handle, login.user.c_str(), login.password.c_str()))) throw std::bad_alloc();
}

// A name's addresses, as numbers: the resolver uses sockets, which an operation of libmemcached must not (memcached_io.hpp). Empty:
// unknown.
std::vector<Address> addresses_of(const Address& address) {
    if (address.is_socket()) return {address};
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(address.host.c_str(), nullptr, &hints, &found) != 0) return {};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
    std::vector<Address> numeric;
    for (const auto* one = found; one != nullptr; one = one->ai_next) {
        char host[NI_MAXHOST];
        if (::getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0)
            numeric.push_back({address.name, host, address.port});
    }
    return numeric;
}

// Everything is set before the first use: setting most of these closes the connection. The timeouts bound single waits; the deadline of the
// operation is in MemcachedIo.
Handle connect_later(const Address& address, std::chrono::milliseconds timeout, const Memcached::Login& login) {
    auto handle = new_handle();
    const auto set = [&](memcached_behavior_t behavior, auto value) {
        memcached_behavior_set(handle.get(), behavior, static_cast<std::uint64_t>(value));
    };
    set(MEMCACHED_BEHAVIOR_POLL_TIMEOUT, timeout.count());
    set(MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, timeout.count());
    set(MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, 1);
    if (!address.is_socket()) set(MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
    if (login.user.empty())
        set(MEMCACHED_BEHAVIOR_VERIFY_KEY, 1);  // the binary protocol refuses it, and needs none
    else
        log_in_later(*handle, address, login);
    add_server(*handle, address);
    return handle;
}

enum class Outcome { answered, refused, failed };

Outcome outcome_of(memcached_return_t rc) {
    switch (rc) {
        case MEMCACHED_SUCCESS:
        case MEMCACHED_NOTFOUND:
        case MEMCACHED_NOTSTORED:
            return Outcome::answered;
        case MEMCACHED_E2BIG:
        case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
        case MEMCACHED_SERVER_ERROR:
        case MEMCACHED_CLIENT_ERROR:
            return Outcome::refused;
        default:
            return Outcome::failed;
    }
}

time_t expiry(std::chrono::milliseconds ttl) {
    using namespace std::chrono_literals;
    // 1 s may end at once (memcached counts its own seconds); more than 30 days would be taken for a date in 1970.
    return std::clamp<std::chrono::seconds>(std::chrono::ceil<std::chrono::seconds>(ttl), 2s, std::chrono::days(30)).count();
}

class Result {
public:
    explicit Result(memcached_st* handle) { memcached_result_create(handle, &result_); }
    ~Result() { memcached_result_free(&result_); }
    Result(const Result&) = delete;
    Result& operator=(const Result&) = delete;

    [[nodiscard]] memcached_result_st* get() { return &result_; }

private:
    memcached_result_st result_{};
};

// The ascii protocol ends every answer to a get, the binary one says that there is nothing in its own way.
bool is_end(memcached_return_t rc) { return rc == MEMCACHED_END || rc == MEMCACHED_NOTFOUND; }

// What memcached_get() does; but that takes another key's value, or the first of several, for ours.
memcached_return_t fetch(memcached_st* handle, std::string_view key, Memcached::Value& value) {
    const char* const keys[] = {key.data()};
    const std::size_t sizes[] = {key.size()};
    auto rc = memcached_mget(handle, keys, sizes, 1);
    if (rc != MEMCACHED_SUCCESS) return rc;
    Result result(handle);
    if (memcached_fetch_result(handle, result.get(), &rc) == nullptr) return is_end(rc) ? MEMCACHED_NOTFOUND : rc;
    if (rc != MEMCACHED_SUCCESS) return rc;
    value.size = memcached_result_length(result.get());
    const std::string_view found(memcached_result_key_value(result.get()), memcached_result_key_length(result.get()));
    if (found != key) return MEMCACHED_PROTOCOL_ERROR;
    value.bytes.reset(memcached_result_take_value(result.get()));
    const bool ended = memcached_fetch_result(handle, result.get(), &rc) == nullptr && is_end(rc);
    return ended ? MEMCACHED_SUCCESS : MEMCACHED_PROTOCOL_ERROR;
}

void assert_safe(std::string_view key) {
    assert(!key.empty() && key.size() <= 250 && std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7f; }));
}

}  // namespace

class Memcached::Server {
public:
    Server(Address address, std::chrono::milliseconds timeout, Login login, std::chrono::milliseconds retry)
        : address_(std::move(address)), timeout_(timeout), login_(std::move(login)), retry_(retry) {
        (void)connect_later(address_, timeout_, login_);  // throws here rather than later
    }

    // What `operation` says of an idle connection, or of a new one: if none is idle, and if it died while it was idle.
    template <class Operation>
    memcached_return_t run(const Operation& operation) {
        if (!may_ask()) return MEMCACHED_SERVER_TEMPORARILY_DISABLED;
        const auto deadline = SteadyClock::now() + timeout_;
        auto attempt = on_idle_connection(operation, deadline);
        if (!attempt) attempt = on_new_connection(operation, deadline);
        settle(*attempt);
        return attempt->fault == nullptr ? attempt->rc : MEMCACHED_FAILURE;
    }

    // On a connection of its own: libmemcached asks for the version too. Not counted for whether the server is up.
    [[nodiscard]] Cache::ServerStats stats() {
        Cache::ServerStats stats{.server = address_.name, .reachable = false, .values = {}};
        const auto collect = [](const memcached_instance_st*, const char* key, std::size_t key_size, const char* value,
                                std::size_t value_size, void* values) {
            static_cast<decltype(stats.values)*>(values)->emplace_back(std::string(key, key_size), std::string(value, value_size));
            return MEMCACHED_SUCCESS;
        };
        const auto attempt =
            on_new_connection([&](memcached_st* handle) { return memcached_stat_execute(handle, nullptr, collect, &stats.values); },
                              SteadyClock::now() + timeout_);
        stats.reachable = attempt.fault == nullptr && attempt.rc == MEMCACHED_SUCCESS && !stats.values.empty();
        if (!stats.reachable) stats.values.clear();
        return stats;
    }

private:
    struct Attempt {
        Handle handle;
        memcached_return_t rc;
        const char* fault;  // null: the connection may go on
    };

    // nullopt: there is none, or it has died meanwhile; the others then have too.
    template <class Operation>
    std::optional<Attempt> on_idle_connection(const Operation& operation, MemcachedIo::Deadline deadline) {
        auto handle = idle_handle();
        if (!handle) return std::nullopt;
        const MemcachedIo io(deadline);
        const auto rc = operation(handle.get());
        if (!io.was_closed_before()) return Attempt{std::move(handle), rc, io.fault()};
        forget_handles();
        return std::nullopt;
    }

    template <class Operation>
    Attempt on_new_connection(const Operation& operation, MemcachedIo::Deadline deadline) {
        Attempt attempt{nullptr, MEMCACHED_HOST_LOOKUP_FAILURE, nullptr};
        for (const auto& address : addresses_of(address_)) {
            attempt.handle = connect_later(address, timeout_, login_);
            const MemcachedIo io(deadline);
            attempt.rc = operation(attempt.handle.get());
            attempt.fault = io.fault();
            if (io.has_connected()) break;
        }
        return attempt;
    }

    void settle(Attempt& attempt) {
        const auto outcome = attempt.fault != nullptr ? Outcome::failed : outcome_of(attempt.rc);
        if (outcome == Outcome::answered) keep(std::move(attempt.handle));
        if (outcome != Outcome::failed) return note_up();
        forget_handles();
        note_down(attempt.fault != nullptr ? attempt.fault : memcached_strerror(nullptr, attempt.rc));
    }

    Handle idle_handle() {
        const std::scoped_lock lock(mutex_);
        if (idle_.empty()) return nullptr;
        auto handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
    }

    void keep(Handle handle) {
        const std::scoped_lock lock(mutex_);
        idle_.push_back(std::move(handle));
    }

    void forget_handles() {
        std::vector<Handle> closing;
        const std::scoped_lock lock(mutex_);
        closing.swap(idle_);
    }

    bool may_ask() {
        auto at = ask_again_.load(std::memory_order_relaxed);
        if (at == kUp) return true;
        const auto now = SteadyClock::now().time_since_epoch().count();
        return now >= at && ask_again_.compare_exchange_strong(at, later(now));  // one caller finds out for all
    }

    void note_down(const char* why) {
        const auto before = ask_again_.exchange(later(SteadyClock::now().time_since_epoch().count()));
        if (before == kUp) log_event("cache.down", {{"server", address_.name}, {"error", why}}, "recto.cache", Level::warning);
    }

    void note_up() {
        if (ask_again_.load(std::memory_order_relaxed) == kUp) return;
        if (ask_again_.exchange(kUp) != kUp) log_event("cache.up", {{"server", address_.name}}, "recto.cache");
    }

    [[nodiscard]] SteadyClock::rep later(SteadyClock::rep now) const { return now + retry_.count(); }

    static constexpr SteadyClock::rep kUp = 0;

    const Address address_;
    const std::chrono::milliseconds timeout_;
    const Login login_;
    const SteadyClock::duration retry_;
    std::atomic<SteadyClock::rep> ask_again_{kUp};  // when, if it is down
    std::mutex mutex_;
    // Guarded by mutex_:
    std::vector<Handle> idle_;  // the last one is the warmest
};

// Never connects: it only knows which server a key belongs to, and is not changed after construction.
struct Memcached::Ring {
    explicit Ring(const std::vector<Address>& addresses) : handle(new_handle()) {
        memcached_behavior_set(handle.get(), MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
        for (const auto& address : addresses) add_server(*handle, address);
    }
    Handle handle;
};

Memcached::Memcached(const std::vector<std::string>& servers, std::chrono::milliseconds timeout, const Login& login,
                     std::chrono::milliseconds retry) {
    std::vector<Address> addresses;
    for (const auto& server : servers) addresses.push_back(parse_address(server));
    for (const auto& address : addresses) servers_.push_back(std::make_unique<Server>(address, timeout, login, retry));
    if (addresses.size() > 1) ring_ = std::make_unique<Ring>(addresses);
}

Memcached::~Memcached() = default;

Memcached::Server* Memcached::server_of(std::string_view key) {
    assert_safe(key);
    if (servers_.empty()) return nullptr;
    if (!ring_) return servers_.front().get();
    return servers_.at(memcached_generate_hash(ring_->handle.get(), key.data(), key.size())).get();
}

std::optional<Memcached::Value> Memcached::get(std::string_view key) {
    auto* server = server_of(key);
    if (server == nullptr) return std::nullopt;
    Value value{{nullptr, std::free}, 0};
    const auto rc = server->run([&](memcached_st* handle) { return fetch(handle, key, value); });
    if (rc != MEMCACHED_SUCCESS) return std::nullopt;
    return value;
}

bool Memcached::set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl) {
    auto* server = server_of(key);
    if (server == nullptr || ttl.count() <= 0) return false;
    return server->run([&](memcached_st* handle) {
        return memcached_set(handle, key.data(), key.size(), value.data(), value.size(), expiry(ttl), 0);
    }) == MEMCACHED_SUCCESS;
}

bool Memcached::remove(std::string_view key) {
    auto* server = server_of(key);
    if (server == nullptr) return false;
    return server->run([&](memcached_st* handle) { return memcached_delete(handle, key.data(), key.size(), 0); }) == MEMCACHED_SUCCESS;
}

std::vector<Cache::ServerStats> Memcached::stats() {
    std::vector<Cache::ServerStats> all;
    for (const auto& server : servers_) all.push_back(server->stats());
    return all;
}

}  // namespace recto
