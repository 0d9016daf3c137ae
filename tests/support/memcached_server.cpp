#include "tests/support/memcached_server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "tests/support/http_client.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace recto {

using namespace std::chrono_literals;

namespace {

UniqueFd connect_to(const std::filesystem::path& socket) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.native().size() >= sizeof address.sun_path) throw std::runtime_error("path too long for a socket: " + socket.string());
    std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval timeout{10, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    return fd;
}

void send_all(const UniqueFd& fd, std::string_view text) {
    while (!text.empty()) {
        const auto sent = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) throw std::runtime_error("memcached took no more");
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

bool is_listening(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

MemcachedServer::MemcachedServer(std::filesystem::path socket, std::vector<std::string> options)
    : socket_(std::move(socket)), options_(std::move(options)) {
    start();
}

void MemcachedServer::start() {
    std::error_code ignored;
    std::filesystem::remove(socket_, ignored);
    std::vector<std::string> command = {"memcached", "-s", socket_.string(), "-t", "2"};
    if (::geteuid() == 0) command.insert(command.end(), {"-u", "root"});
    command.insert(command.end(), options_.begin(), options_.end());
    process_.emplace(command);
    for (const auto deadline = std::chrono::steady_clock::now() + 10s; !connect_to(socket_); std::this_thread::sleep_for(2ms)) {
        if (process_->wait(0ms)) throw std::runtime_error("memcached ended at its start");
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("memcached doesn't answer");
    }
    ask("version\r\n");
}

void MemcachedServer::kill() { process_->kill(); }

void MemcachedServer::restart() {
    kill();
    start();
}

void MemcachedServer::freeze() { process_->freeze(); }
void MemcachedServer::thaw() { process_->signal(SIGCONT); }

std::string MemcachedServer::ask(std::string_view text, std::string_view until) const {
    const auto fd = connect_to(socket_);
    if (!fd) throw std::runtime_error("memcached isn't there");
    send_all(fd, text);
    std::string answer;
    char buffer[65536];
    while (!answer.ends_with(until)) {
        const auto got = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (got <= 0) throw std::runtime_error("memcached said no more than: " + answer);
        answer.append(buffer, static_cast<std::size_t>(got));
    }
    return answer;
}

void MemcachedServer::flush() const { ask("flush_all\r\n"); }

// What memcached is moving from one of its lists to another just then is not in a dump: two have to agree.
std::vector<std::string> MemcachedServer::keys() const {
    auto before = dump();
    for (int i = 0; i < 1000; ++i, std::this_thread::sleep_for(2ms)) {
        auto now = dump();
        if (now && now == before) return *now;
        before = std::move(now);
    }
    throw std::runtime_error("memcached never says twice that it has the same items");
}

// Nothing: its crawler is at other work (BUSY).
std::optional<std::vector<std::string>> MemcachedServer::dump() const {
    const auto answer = ask("lru_crawler metadump all\r\n");  // a key's line ends without \r
    if (!answer.ends_with("END\r\n")) return {};
    std::vector<std::string> found;
    for (const auto& line : split_list(answer, '\n'))
        if (line.starts_with("key=")) found.push_back(line.substr(4, line.find(' ') - 4));
    std::ranges::sort(found);
    return found;
}

std::string MemcachedServer::value(std::string_view key) const {
    const auto answer = ask("get " + std::string(key) + "\r\n", "END\r\n");
    const auto begin = answer.find("\r\n") + 2;
    if (begin >= answer.size()) return {};  // END alone
    return answer.substr(begin, answer.size() - begin - std::strlen("\r\nEND\r\n"));
}

void MemcachedServer::put(std::string_view key, std::string_view value) const {
    const auto size = std::to_string(value.size());
    const auto answer = ask("set " + std::string(key) + " 0 0 " + size + "\r\n" + std::string(value) + "\r\n");
    if (answer != "STORED\r\n") throw std::runtime_error("memcached refused: " + answer);
}

SaslMemcachedServer::SaslMemcachedServer(std::filesystem::path folder, const std::string& user, const std::string& password)
    : folder_(std::move(folder)), port_(free_port()) {
    std::filesystem::create_directories(folder_);
    replace_file(folder_ / "memcached.conf", "mech_list: plain\nsasldb_path: " + (folder_ / "sasldb2").string() + '\n');
    replace_file(folder_ / "password", password);
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);  // the realm of those who name none
    const UniqueFd input(::open((folder_ / "password").c_str(), O_RDONLY | O_CLOEXEC));
    Process set({"saslpasswd2", "-p", "-c", "-f", folder_ / "sasldb2", "-a", "memcached", "-u", host.data(), user}, {.input = input.get()});
    if (set.wait(10s) != 0) throw std::runtime_error("saslpasswd2 failed");
    start();
}

void SaslMemcachedServer::start() {
    std::vector<std::string> command = {"memcached", "-S", "-l", "127.0.0.1", "-p", std::to_string(port_), "-t", "2"};
    if (::geteuid() == 0) command.insert(command.end(), {"-u", "root"});
    process_.emplace(command, ProcessSetup{.environment = {"SASL_CONF_PATH=" + folder_.string()}});
    for (const auto deadline = std::chrono::steady_clock::now() + 10s; !is_listening(port_); std::this_thread::sleep_for(2ms)) {
        if (process_->wait(0ms)) throw std::runtime_error("memcached ended at its start");
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("memcached doesn't answer");
    }
}

void SaslMemcachedServer::kill() { process_->kill(); }

void SaslMemcachedServer::restart() {
    kill();
    start();
}

void SaslMemcachedServer::freeze() { process_->freeze(); }
void SaslMemcachedServer::thaw() { process_->signal(SIGCONT); }

}  // namespace recto
