// The worker as a process: the sockets it takes or refuses, what it tells its service manager, its signals, whose it is, and what it
// does as long as the blog behind it can't be opened.
#define BOOST_TEST_MODULE worker
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>

#include <boost/test/unit_test.hpp>

#include "tests/support/eventually.hpp"
#include "tests/support/fastcgi_client.hpp"
#include "tests/support/memcached_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/service.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr uid_t kNobody = 65534;
constexpr int kBadConfiguration = 78;

fs::path built(std::string_view program) {
    const char* const build = std::getenv("BUILD");
    return fs::absolute(build == nullptr ? "build" : build) / program;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t times = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++times;
    return times;
}

int exit_status(Process& process, std::chrono::milliseconds limit = 20s) {
    const auto status = process.wait(limit);
    if (!status) return -1;
    return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
}

// A site without nginx and memcached. Its workers' standard error is kept.
class Home {
public:
    Home() { configure(); }

    void configure(const std::string& more = {}) const {
        const auto path = folder_.path().string();
        replace_file(ini(), "[site]\ndata = " + path + "\n[server]\nsocket = " + path + "/recto.sock\nruntime_dir = " + path +
                                "/run\n[cache]\nservers = unix:" + path + "/memcached.sock\n" + more);
    }

    // `setting`: shell text that ends in exec "$@", where descriptors and the environment are arranged.
    [[nodiscard]] Process start(const std::string& setting = R"(exec "$@")", int input = -1,
                                std::vector<std::string> environment = {}) const {
        const UniqueFd errors(::open((folder_ / "errors").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        environment.push_back("NOTIFY_SOCKET=" + (folder_ / "notify.sock").string());
        return Process({"sh", "-c", setting, "sh", built("recto.fcgi"), "--config", ini()},
                       {.input = input, .errors = errors.get(), .environment = std::move(environment)});
    }
    [[nodiscard]] Process start_on(const UniqueFd& socket) const { return start(R"(exec "$@")", socket.get()); }

    [[nodiscard]] CommandResult recto(std::vector<std::string> arguments) const {
        std::vector<std::string> command{built("recto"), "--config", ini()};
        std::ranges::move(arguments, std::back_inserter(command));
        return run_command(command);
    }

    [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }
    [[nodiscard]] fs::path ini() const { return folder_ / "recto.ini"; }
    [[nodiscard]] fs::path socket() const { return folder_ / "recto.sock"; }
    [[nodiscard]] std::string errors() const { return fs::exists(folder_ / "errors") ? read_file(folder_ / "errors") : ""; }
    [[nodiscard]] std::string log() const { return fs::exists(folder_ / "logs/recto.log") ? read_file(folder_ / "logs/recto.log") : ""; }

private:
    TemporaryFolder folder_;
};

sockaddr_un address_of(const fs::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

UniqueFd bound_unix(const fs::path& path, int type) {
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const auto address = address_of(path);
    BOOST_REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

// $NOTIFY_SOCKET of a home.
class ServiceManager {
public:
    explicit ServiceManager(const Home& home) : fd_(bound_unix(home.folder() / "notify.sock", SOCK_DGRAM)) {
        const timeval patience{20, 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    [[nodiscard]] std::string next() const {
        std::array<char, 4096> bytes{};
        const auto size = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
        return size < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(size));
    }
    // Reads up to a message that begins so.
    [[nodiscard]] bool hears(std::string_view begin) const {
        for (int i = 0; i < 50; ++i) {
            const auto text = next();
            if (text.starts_with(begin)) return true;
            if (text == "nothing") return false;
        }
        return false;
    }

private:
    UniqueFd fd_;
};

bool is_alive(Process& process) { return !process.wait(0ms) && process.pid() > 0; }

bool answers(const fs::path& socket, std::string_view path = "/healthz") {
    try {
        const auto answer = FastcgiClient(socket).get(path, {}, false);
        return answer && answer->status == 200;
    } catch (const std::exception&) {
        return false;
    }
}

FastcgiParams params_of(std::string_view method, std::string_view path) {
    auto params = get_params(path);
    for (auto& [name, value] : params)
        if (name == "REQUEST_METHOD") value = method;
    return params;
}

std::string status_line(pid_t pid, std::string_view name) {
    for (const auto& line : split_list(read_file("/proc/" + std::to_string(pid) + "/status"), '\n'))
        if (line.starts_with(name)) return std::string(trim(std::string_view(line).substr(name.size() + 1)));
    return {};
}

struct stat status_of(const fs::path& path) {
    struct stat status {};
    BOOST_REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status;
}

// Only root can become another user.
boost::test_tools::assertion_result is_root(boost::unit_test::test_unit_id) {
    boost::test_tools::assertion_result result(::geteuid() == 0);
    result.message() << "not root";
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sockets)

BOOST_AUTO_TEST_CASE(a_worker_by_hand_makes_a_socket_for_its_group_alone) {
    const Home home;
    const ServiceManager manager(home);
    auto worker = home.start();
    BOOST_REQUIRE(manager.hears("READY=1"));
    BOOST_TEST((status_of(home.socket()).st_mode & 07777) == 0660u);
    BOOST_TEST(answers(home.socket()));
}

BOOST_AUTO_TEST_CASE(a_socket_that_another_worker_listens_on_stays_that_worker_s) {
    const Home home;
    const ServiceManager manager(home);
    auto first = home.start();
    BOOST_REQUIRE(manager.hears("READY=1"));
    const auto inode = status_of(home.socket()).st_ino;
    auto second = home.start();
    BOOST_TEST(exit_status(second) == 1);
    BOOST_TEST(has(home.errors(), "another process already listens on " + home.socket().string()));
    BOOST_TEST(status_of(home.socket()).st_ino == inode);
    BOOST_TEST(answers(home.socket()));
}

BOOST_AUTO_TEST_CASE(a_socket_whose_backlog_is_full_is_another_s_too) {
    const Home home;
    const auto busy = bound_unix(home.socket(), SOCK_STREAM);
    BOOST_REQUIRE(::listen(busy.get(), 0) == 0);
    const UniqueFd waiting(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = address_of(home.socket());
    BOOST_REQUIRE(::connect(waiting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const bool is_full = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0;
    BOOST_REQUIRE(is_full);
    auto worker = home.start();
    BOOST_TEST(exit_status(worker) == 1);
    BOOST_TEST(has(home.errors(), "another process already listens on"));
}

BOOST_AUTO_TEST_CASE(a_dead_socket_is_replaced) {
    const Home home;
    { const auto dead = bound_unix(home.socket(), SOCK_STREAM); }
    const ServiceManager manager(home);
    auto worker = home.start();
    BOOST_REQUIRE(manager.hears("READY=1"));
    BOOST_TEST(answers(home.socket()));
}

BOOST_AUTO_TEST_CASE(a_file_at_the_socket_s_path_is_refused_and_stays) {
    const Home home;
    replace_file(home.socket(), "mine");
    auto worker = home.start();
    BOOST_TEST(exit_status(worker) == 1);
    BOOST_TEST(has(home.errors(), home.socket().string() + " is there and is not a socket"));
    BOOST_TEST(read_file(home.socket()) == "mine");
}

BOOST_AUTO_TEST_CASE(a_passed_socket_is_only_for_the_process_that_is_named) {
    const Home home;
    const ServiceManager manager(home);
    const auto passed = listen_unix(home.folder() / "passed.sock");
    {
        auto worker = home.start(R"(LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 </dev/null)", passed.get());
        BOOST_REQUIRE(manager.hears("READY=1"));
        BOOST_TEST(answers(home.folder() / "passed.sock"));
        BOOST_TEST(!fs::exists(home.socket()));
    }
    for (const auto* pid : {"1", "x", "", "$(($$ + 1))"}) {
        BOOST_TEST_CONTEXT("LISTEN_PID=" << pid) {
            auto worker = home.start("LISTEN_PID=" + std::string(pid) + R"( LISTEN_FDS=1 exec "$@" 3<&0 </dev/null)", passed.get());
            BOOST_REQUIRE(manager.hears("READY=1"));
            BOOST_TEST(answers(home.socket()));
            FastcgiClient client(home.folder() / "passed.sock", 200ms);
            BOOST_TEST(!client.get("/healthz"));
        }
    }
}

BOOST_AUTO_TEST_CASE(tcp_is_as_good_as_a_unix_socket) {
    const Home home;
    const ServiceManager manager(home);
    const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    BOOST_REQUIRE(::bind(tcp.get(), any, length) == 0);
    BOOST_REQUIRE(::listen(tcp.get(), 16) == 0);
    BOOST_REQUIRE(::getsockname(tcp.get(), any, &length) == 0);
    for (const auto* setting : {R"(LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 </dev/null)", R"(exec "$@")"}) {
        auto worker = home.start(setting, tcp.get());
        BOOST_REQUIRE(manager.hears("READY=1"));
        const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        BOOST_REQUIRE(::connect(client.get(), any, length) == 0);
        const auto request = fastcgi_request(get_params("/healthz"), {}, false);
        BOOST_REQUIRE(::send(client.get(), request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
        std::array<char, 4096> bytes{};
        const auto size = ::recv(client.get(), bytes.data(), bytes.size(), 0);
        BOOST_REQUIRE(size > 0);
        BOOST_TEST(has(std::string_view(bytes.data(), static_cast<std::size_t>(size)), "Status: 200"));
    }
}

// `how` arranges descriptors 3 and up from descriptor 0.
BOOST_AUTO_TEST_CASE(anything_but_one_listening_stream_socket_is_refused_by_name) {
    const Home home;
    const auto stream = listen_unix(home.folder() / "a.sock");
    const auto datagram = bound_unix(home.folder() / "b.sock", SOCK_DGRAM);
    const auto silent = bound_unix(home.folder() / "c.sock", SOCK_STREAM);
    const auto packets = bound_unix(home.folder() / "d.sock", SOCK_SEQPACKET);
    BOOST_REQUIRE(::listen(packets.get(), 16) == 0);
    const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const auto path = [&](const char* name) { return "unix " + (home.folder() / name).string(); };

    struct Wrong {
        const UniqueFd& fd;
        std::string how, told;
    };
    const std::vector<Wrong> all{
        {stream, "LISTEN_FDS=2 exec \"$@\" 3<&0 4<&0",
         "descriptor 3 (" + path("a.sock") + ", stream, listening), descriptor 4 (" + path("a.sock") + ", stream, listening)"},
        {stream, "LISTEN_FDS=2 exec \"$@\" 3<&0 4<&-", "descriptor 4 (not open)"},
        {stream, "LISTEN_FDS=999999999 exec \"$@\" 3<&0", "…"},
        {stream, "LISTEN_FDS=1x exec \"$@\" 3<&0", "LISTEN_FDS=1x: expected the number of sockets"},
        {stream, "LISTEN_FDS=-1 exec \"$@\" 3<&0", "LISTEN_FDS=-1: expected the number of sockets"},
        {datagram, "LISTEN_FDS=1 exec \"$@\" 3<&0", "descriptor 3 (" + path("b.sock") + ", datagram, not listening)"},
        {silent, "LISTEN_FDS=1 exec \"$@\" 3<&0", "descriptor 3 (" + path("c.sock") + ", stream, not listening)"},
        {packets, "LISTEN_FDS=1 exec \"$@\" 3<&0", "descriptor 3 (" + path("d.sock") + ", neither stream nor datagram, listening)"},
        {packets, "exec \"$@\"", "descriptor 0 (" + path("d.sock") + ", neither stream nor datagram, listening)"},
        {udp, "LISTEN_FDS=1 exec \"$@\" 3<&0", "descriptor 3 (address 0.0.0.0 port 0, datagram, not listening)"},
        {file, "LISTEN_FDS=1 exec \"$@\" 3<&0", "descriptor 3 (not a socket)"},
        {file, "LISTEN_FDS=1 exec \"$@\" 3<&-", "descriptor 3 (not open)"},
    };
    for (const auto& wrong : all) {
        BOOST_TEST_CONTEXT(wrong.how << " " << wrong.told) {
            fs::remove(home.folder() / "errors");
            auto worker = home.start("LISTEN_PID=$$ " + wrong.how, wrong.fd.get());
            BOOST_TEST(exit_status(worker) == kBadConfiguration);
            BOOST_TEST(has(home.errors(), wrong.told), home.errors());
        }
    }
    BOOST_TEST(!fs::exists(home.socket()));
}

BOOST_AUTO_TEST_CASE(the_service_manager_hears_when_it_listens_and_when_it_stops) {
    const Home home;
    const ServiceManager manager(home);
    auto worker = home.start();
    BOOST_TEST(manager.next().starts_with("READY=1"));
    BOOST_TEST(answers(home.socket()), "it listens once it says so");
    worker.signal(SIGTERM);
    BOOST_TEST(manager.next() == "STOPPING=1");
    BOOST_TEST(exit_status(worker) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

// Its connections fill all numbers below the limit, so the one that it closes is the one that a new connection needs.
BOOST_AUTO_TEST_CASE(without_a_free_descriptor_the_longest_idle_connection_makes_room) {
    const Home home;
    const ServiceManager manager(home);
    auto worker = home.start();
    BOOST_REQUIRE(manager.hears("READY=1"));
    std::vector<FastcgiClient> idle;
    for (int i = 0; i < 30; ++i) {
        idle.emplace_back(home.socket());
        BOOST_REQUIRE(idle.back().get("/healthz"));
    }
    rlim_t lowest_free = 0;
    while (fs::exists(fs::symlink_status("/proc/" + std::to_string(worker.pid()) + "/fd/" + std::to_string(lowest_free)))) ++lowest_free;
    const rlimit none_free{lowest_free, lowest_free};
    BOOST_REQUIRE(::prlimit(worker.pid(), RLIMIT_NOFILE, &none_free, nullptr) == 0);
    for (int i = 0; i < 3; ++i) {
        idle.emplace_back(home.socket());
        const auto answer = idle.back().get("/healthz");
        BOOST_REQUIRE(answer);
        BOOST_TEST(answer->status == 200);
    }
    BOOST_TEST(idle.front().is_closed_within(5s));
    BOOST_TEST(!idle[25].is_closed_within(1ms));
}

BOOST_AUTO_TEST_SUITE(signals)

BOOST_AUTO_TEST_CASE(signals_that_other_servers_reload_at_are_logged_and_change_nothing) {
    const Home home;
    const ServiceManager manager(home);
    auto worker = home.start();
    BOOST_REQUIRE(manager.hears("READY=1"));
    FastcgiClient kept(home.socket());
    for (const auto& [number, name] : {std::pair{SIGHUP, "SIGHUP"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGALRM, "SIGALRM"}}) {
        worker.signal(number);
        BOOST_TEST(eventually([&] { return has(home.log(), std::string(name) + " is ignored"); }), name);
        BOOST_REQUIRE(is_alive(worker));
        const auto answer = kept.get("/healthz");
        BOOST_REQUIRE(answer);
        BOOST_TEST(answer->status == 200);
    }
    BOOST_TEST(has(home.log(), "restart"));
    worker.signal(SIGPIPE);
    worker.signal(SIGURG);
    BOOST_TEST(answers(home.socket()));
    worker.signal(SIGHUP);
    worker.signal(SIGINT);
    BOOST_TEST(exit_status(worker) == 0);
    BOOST_TEST(has(home.log(), R"("ev":"worker.stop","data":{"finished":true})"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(owner)

BOOST_AUTO_TEST_CASE(root_goes_on_as_the_owner_of_the_data_folder, *boost::unit_test::precondition(is_root)) {
    const Home home;
    const ServiceManager manager(home);
    BOOST_REQUIRE(::chown(home.folder().path().c_str(), kNobody, kNobody) == 0);
    BOOST_REQUIRE(::chown(home.ini().c_str(), kNobody, kNobody) == 0);
    BOOST_REQUIRE(::chmod((home.folder() / "notify.sock").c_str(), 0777) == 0);
    auto worker = home.start();
    BOOST_REQUIRE(manager.hears("READY=1"));
    const auto ids = "65534\t65534\t65534\t65534";
    BOOST_TEST(status_line(worker.pid(), "Uid") == ids);
    BOOST_TEST(status_line(worker.pid(), "Gid") == ids);
    BOOST_TEST(status_line(worker.pid(), "Groups") == "");
    BOOST_TEST(status_line(worker.pid(), "Umask") == "0027");
    BOOST_TEST(answers(home.socket()));

    BOOST_TEST(home.recto({"user", "add", "ada"}).status == 0);
    BOOST_TEST(home.recto({"migrate"}).status == 0);
    BOOST_TEST((status_of(home.folder() / "logs/recto.log").st_mode & 07777) == 0640u);
    for (const auto& entry : fs::recursive_directory_iterator(home.folder().path())) {
        const auto name = entry.path().filename();
        if (name == "errors" || name == "notify.sock") continue;  // the test's own
        BOOST_TEST(status_of(entry.path()).st_uid == kNobody, entry.path());
        BOOST_TEST((status_of(entry.path()).st_mode & 07) == 0u, entry.path());
    }
}

BOOST_AUTO_TEST_CASE(the_operator_s_program_makes_no_file_of_root_s, *boost::unit_test::precondition(is_root)) {
    const Home home;
    BOOST_REQUIRE(::chown(home.folder().path().c_str(), kNobody, kNobody) == 0);
    for (const auto& command : {std::vector<std::string>{"migrate"}, {"user", "add", "ada"}, {"cache", "stats"}})
        BOOST_TEST(home.recto(command).status == 0);
    for (const auto& entry : fs::recursive_directory_iterator(home.folder().path()))
        if (entry.path() != home.ini()) BOOST_TEST(status_of(entry.path()).st_uid == kNobody, entry.path());
    BOOST_TEST((status_of(home.folder() / "logs/recto.log").st_mode & 07777) == 0640u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(degraded)

namespace {

struct Fault {
    std::string name;
    std::function<void(const Home&)> make, mend;
    std::string told;  // of the reason
};

void sqlite(const Home& home, const std::string& statements) {
    const auto result = run_command({"sqlite3", home.folder() / "recto.db"}, statements);
    BOOST_REQUIRE_MESSAGE(result.status == 0, result.errors);
}

void migrated(const Home& home) { BOOST_REQUIRE(home.recto({"migrate"}).status == 0); }

void put_instead(const fs::path& path, const std::string& bytes) {
    fs::remove_all(path);
    std::ofstream(path) << bytes;
}

void remove_database(const Home& home) {
    for (const auto* name : {"recto.db", "recto.db-wal", "recto.db-shm"}) fs::remove_all(home.folder() / name);
}

std::vector<Fault> faults() {
    const auto good_ini = [](const Home& home) { home.configure(); };
    const auto run = [](const Home& home) { return home.folder() / "run"; };
    return {
        {"a mistake in recto.ini", [](const Home& home) { home.configure("[server]\npool = x\n"); }, good_ini, "pool = x"},
        {"no recto.ini", [](const Home& home) { fs::remove(home.ini()); }, good_ini, "recto.ini: No such file"},
        {"a folder for recto.ini", [](const Home& home) { fs::remove(home.ini()), fs::create_directory(home.ini()); },
         [](const Home& home) { fs::remove(home.ini()), home.configure(); }, "recto.ini"},
        {"a damaged database", [](const Home& home) { put_instead(home.folder() / "recto.db", std::string(8192, 'x')); }, remove_database,
         "recto.db: file is not a database"},
        {"a foreign database", [](const Home& home) { sqlite(home, "CREATE TABLE other (id);"); }, remove_database,
         "it has tables, but not Recto's"},
        {"a newer database", [](const Home& home) { migrated(home), sqlite(home, "PRAGMA user_version = 1000;"); }, remove_database,
         "install a newer Recto"},
        {"a folder for the database", [](const Home& home) { fs::create_directories(home.folder() / "recto.db/x"); }, remove_database,
         "recto.db"},
        {"no folder for shared memory", [run](const Home& home) { put_instead(run(home), "a file"); },
         [run](const Home& home) { fs::remove(run(home)); }, "/run"},
    };
}

void check_refusal(const fs::path& socket, std::string_view method, std::string_view path, std::chrono::seconds limit = 1s) {
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = FastcgiClient(socket).ask(params_of(method, path));
    const auto took = std::chrono::steady_clock::now() - begin;
    BOOST_REQUIRE(answer);
    BOOST_TEST(answer->status == 503);
    BOOST_TEST(answer->header("retry-after") == "5");
    BOOST_TEST(answer->header("content-type") == "application/json");
    BOOST_TEST(answer->header("cache-control") == "no-store");
    BOOST_TEST(answer->header("x-request-id").size() >= 8u);
    BOOST_TEST(answer->body == (method == "HEAD" ? "" : R"({"detail":"Service temporarily unavailable, try again later."})"));
    BOOST_TEST((took < limit));
}

// From the fault to its end, without a restart.
void check_fault(const Fault& fault) {
    const Home home;
    const ServiceManager manager(home);
    fault.make(home);
    const auto socket = listen_unix(home.socket());
    auto worker = home.start_on(socket);
    BOOST_REQUIRE(manager.hears("READY=1"));
    for (const auto* method : {"GET", "HEAD", "OPTIONS", "POST", "DELETE"})
        for (const auto* path : {"/healthz", "/api/blogs", "/nowhere"}) check_refusal(home.socket(), method, path);
    BOOST_TEST(manager.hears("STATUS=degraded"));
    BOOST_TEST(has(home.errors(), fault.told), home.errors());

    fault.mend(home);
    BOOST_TEST(eventually([&] { return answers(home.socket()); }, 30s));
    BOOST_TEST(manager.hears("READY=1"));
    BOOST_TEST(is_alive(worker));
    BOOST_TEST(count(home.errors(), "worker.degraded") == 1u, home.errors());
    BOOST_TEST(count(home.log(), "worker.start") == 1u);
    worker.signal(SIGTERM);
    BOOST_TEST(manager.hears("STOPPING=1"));
    BOOST_TEST(exit_status(worker) == 0);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_worker_that_cannot_work_yet_answers_503_at_once_and_works_when_it_can) {
    for (const auto& fault : faults()) BOOST_TEST_CONTEXT(fault.name) check_fault(fault);
}

BOOST_AUTO_TEST_CASE(a_worker_without_room_for_shared_memory_is_degraded_until_there_is) {
    const Home home;
    const ServiceManager manager(home);
    migrated(home);
    fs::remove_all(home.folder() / "run");
    const auto socket = listen_unix(home.socket());
    auto worker = home.start(R"(ulimit -S -f 600; exec "$@")", socket.get());  // blocks of 512 bytes: less than the throttle's table
    BOOST_REQUIRE(manager.hears("STATUS=degraded"));
    check_refusal(home.socket(), "GET", "/api/blogs");
    BOOST_TEST(has(home.errors(), "no room for"), home.errors());

    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    BOOST_REQUIRE(::prlimit(worker.pid(), RLIMIT_FSIZE, &unlimited, nullptr) == 0);
    BOOST_TEST(eventually([&] { return answers(home.socket()); }, 30s));
}

BOOST_AUTO_TEST_CASE(an_unwritable_database_is_one_reason_of_these, *boost::unit_test::precondition(is_root)) {
    const Home home;
    const ServiceManager manager(home);
    BOOST_REQUIRE(::chown(home.folder().path().c_str(), kNobody, kNobody) == 0);
    BOOST_REQUIRE(::chmod((home.folder() / "notify.sock").c_str(), 0777) == 0);
    BOOST_REQUIRE(::chmod(home.ini().c_str(), 0644) == 0);
    migrated(home);
    const auto database = home.folder() / "recto.db";
    remove_database(home);
    put_instead(database, "");
    BOOST_REQUIRE(::chmod(database.c_str(), 0600) == 0);  // root's
    const auto socket = listen_unix(home.socket());
    auto worker = home.start_on(socket);
    BOOST_REQUIRE(manager.hears("STATUS=degraded"));
    check_refusal(home.socket(), "GET", "/api/blogs");
    BOOST_TEST(has(home.errors(), "recto.db"), home.errors());
    BOOST_REQUIRE(::chown(database.c_str(), kNobody, kNobody) == 0);
    BOOST_TEST(eventually([&] { return answers(home.socket()); }, 30s));
}

// A shell in a transaction until it ends.
class LockingShell {
public:
    LockingShell(const Home& home, std::string_view begin) {
        std::array<int, 2> pipe{};
        BOOST_REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
        const UniqueFd input(pipe[0]);
        statements_ = UniqueFd(pipe[1]);
        const auto said = home.folder() / "said";
        const UniqueFd output(::open(said.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        process_.emplace(std::vector<std::string>{"sqlite3", home.folder() / "recto.db"},
                         ProcessSetup{.input = input.get(), .output = output.get()});
        const auto text = std::string(begin) + "; SELECT 'locked';\n";
        BOOST_REQUIRE(::write(statements_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        BOOST_REQUIRE(eventually([&] { return has(read_file(said), "locked"); }));
    }
    void end() { statements_.reset(); }

private:
    UniqueFd statements_;
    std::optional<Process> process_;
};

BOOST_AUTO_TEST_CASE(a_worker_starts_while_another_process_writes) {
    const Home home;
    const ServiceManager manager(home);
    const auto socket = listen_unix(home.socket());
    migrated(home);
    const auto first = home.start_on(socket);
    BOOST_REQUIRE(manager.hears("READY=1"));
    const LockingShell shell(home, "BEGIN IMMEDIATE");
    const auto second_socket = listen_unix(home.folder() / "second.sock");
    const auto second = home.start_on(second_socket);
    BOOST_TEST(eventually([&] { return answers(home.folder() / "second.sock"); }));
    BOOST_TEST(!has(home.errors(), "degraded"), home.errors());
}

BOOST_AUTO_TEST_CASE(an_opening_that_takes_long_keeps_no_visitor_waiting) {
    const Home home;
    const ServiceManager manager(home);
    const auto socket = listen_unix(home.socket());
    LockingShell shell(home, "BEGIN EXCLUSIVE");
    auto worker = home.start_on(socket);
    check_refusal(home.socket(), "GET", "/healthz", 9s);
    BOOST_TEST(has(home.errors(), "still being opened"), home.errors());
    shell.end();
    BOOST_TEST(eventually([&] { return answers(home.socket()); }, 30s));
}

BOOST_AUTO_TEST_CASE(a_degraded_worker_ends_at_once_when_it_is_asked_to) {
    const Home home;
    const ServiceManager manager(home);
    home.configure("[server]\npool = x\n");
    const auto socket = listen_unix(home.socket());
    auto worker = home.start_on(socket);
    BOOST_REQUIRE(manager.hears("READY=1"));
    FastcgiClient kept(home.socket());
    const auto answer = kept.get("/healthz");
    BOOST_REQUIRE(answer);
    BOOST_TEST(answer->status == 503);
    worker.signal(SIGHUP);
    BOOST_TEST(eventually([&] { return has(home.errors(), "SIGHUP is ignored"); }));
    const auto begin = std::chrono::steady_clock::now();
    worker.signal(SIGTERM);
    BOOST_TEST(exit_status(worker) == 0);
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 3s));  // not the 5 s to the next try
}

BOOST_AUTO_TEST_CASE(a_newer_database_is_left_as_it_is) {
    const Home home;
    const ServiceManager manager(home);
    migrated(home);
    sqlite(home, "PRAGMA user_version = 1000; DROP TRIGGER IF EXISTS post_insert; PRAGMA wal_checkpoint(TRUNCATE);");
    const auto before = read_file(home.folder() / "recto.db");
    const auto socket = listen_unix(home.socket());
    auto worker = home.start_on(socket);
    BOOST_REQUIRE(manager.hears("STATUS=degraded"));
    worker.signal(SIGTERM);
    BOOST_TEST(exit_status(worker) == 0);
    BOOST_TEST(read_file(home.folder() / "recto.db") == before);
    for (const auto& entry : fs::directory_iterator(home.folder().path())) BOOST_TEST(!has(entry.path().string(), ".before-"));
}

BOOST_AUTO_TEST_CASE(a_worker_makes_a_database_that_is_not_there) {
    const Home home;
    const ServiceManager manager(home);
    const auto socket = listen_unix(home.socket());
    auto worker = home.start_on(socket);
    BOOST_REQUIRE(manager.hears("READY=1"));
    BOOST_TEST(answers(home.socket()));
    BOOST_TEST(has(home.log(), "store.migrated"));
    BOOST_TEST((status_of(home.folder() / "recto.db").st_mode & 077) == 0u);
}

BOOST_AUTO_TEST_CASE(by_hand_without_socket_and_configuration_a_worker_ends_with_78_and_every_mistake) {
    const Home home;
    home.configure("[server]\npool = x\nthreads = y\n");
    auto worker = home.start();
    BOOST_TEST(exit_status(worker) == kBadConfiguration);
    BOOST_TEST(has(home.errors(), "pool = x"));
    BOOST_TEST(has(home.errors(), "threads = y"));
    BOOST_TEST(!fs::exists(home.socket()));
}

BOOST_AUTO_TEST_CASE(by_hand_with_a_damaged_database_a_worker_serves_its_own_socket) {
    const Home home;
    const ServiceManager manager(home);
    put_instead(home.folder() / "recto.db", std::string(8192, 'x'));
    auto worker = home.start();
    BOOST_REQUIRE(manager.hears("STATUS=degraded"));
    check_refusal(home.socket(), "GET", "/api/blogs");
    BOOST_TEST(has(home.log(), "worker.degraded"), "the log is open already");
    remove_database(home);
    BOOST_TEST(eventually([&] { return answers(home.socket()); }, 30s));
}

BOOST_AUTO_TEST_CASE(a_cgi_request_that_cannot_be_answered_is_answered_503) {
    const Home home;
    home.configure("[server]\npool = x\n");
    const auto result = run_command({built("recto.fcgi"), "--config", home.ini()}, {}, {"REQUEST_METHOD=GET", "SCRIPT_NAME=/healthz"});
    BOOST_TEST(result.status == kBadConfiguration);
    BOOST_TEST(has(result.output, "Status: 503"));
    BOOST_TEST(has(result.errors, "pool = x"));
}

BOOST_AUTO_TEST_CASE(a_log_folder_that_cannot_be_written_degrades_nothing) {
    for (const auto* flush : {"record", "batch"}) {
        const Home home;
        const ServiceManager manager(home);
        put_instead(home.folder() / "logs", "a file");
        home.configure("[log]\nflush = " + std::string(flush) + "\n");
        const auto socket = listen_unix(home.socket());
        auto worker = home.start_on(socket);
        BOOST_REQUIRE(manager.hears("READY=1"));
        BOOST_TEST(answers(home.socket()));
        BOOST_TEST(answers(home.socket(), "/api/blog"));
        BOOST_TEST(eventually([&] { return has(home.errors(), R"({"ev":"get_blog")"); }), home.errors());
        BOOST_TEST(!has(home.errors(), "degraded"), home.errors());
        BOOST_TEST(home.recto({"user", "add", "ada"}).status == 0, "and neither does it for the operator");

        fs::remove(home.folder() / "logs");
        BOOST_TEST(answers(home.socket(), "/api/blog2"));
        BOOST_TEST(eventually([&] { return answers(home.socket(), "/api/blog2") && has(home.log(), "log.gap"); }));
    }
}

BOOST_AUTO_TEST_SUITE_END()
