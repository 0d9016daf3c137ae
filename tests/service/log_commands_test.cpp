// `recto log` with the real program: workers behind nginx write, the operator reads.
#define BOOST_TEST_MODULE log_commands
#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "tests/support/eventually.hpp"
#include "tests/support/service.hpp"
#include "util/gzip.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr int kDone = 0, kFailed = 1, kUsage = 64;

// [view blog] logs at debug, so that a change of the level shows.
constexpr const char* kIni =
    "[throttle]\nanon = 60000/day\nblog_limit = 60000/day\n"
    "[view blog]\nlog = debug\n"
    "[log]\nhandlers = file, all, away\nnginx_access = logs/nginx-access.log\n"
    "[handler all]\nfile = logs/all.log\nformat = json\n"
    "[handler away]\nfile = /dev/null\n"  // nothing to read
    "[logger recto.clock]\nlevel = warning\n";

Service& service() {
    static Service the({.workers = 2, .ini = kIni});
    return the;
}

CommandResult log_command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "log");
    return service().recto(arguments);
}

std::string output_of(const std::vector<std::string>& arguments) { return done(log_command(arguments)); }

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto begin = text.find(part); begin != std::string_view::npos; begin = text.find(part, begin + 1)) ++found;
    return found;
}

std::string row(const std::string& table, const std::string& beginning) {
    for (const auto& line : split_list(table, '\n'))
        if (line.starts_with(beginning + ' ')) return line;
    return {};
}

fs::path log_file(const std::string& name) { return service().folder() / "logs" / fs::path(name); }
void put(const fs::path& file, std::string_view text) { std::ofstream(file, std::ios::app) << text; }

std::string txid_of_a_request(const std::string& target) {
    const auto answer = service().client().get(target);
    BOOST_REQUIRE(answer.status == 200);
    return answer.header("x-request-id");
}

// A program's output while it runs.
struct Running {
    TemporaryFolder folder = {};
    UniqueFd output = {};
    std::optional<Process> process = {};

    explicit Running(const std::vector<std::string>& arguments) {
        output.reset(::open((folder / "out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        process.emplace(command(arguments), ProcessSetup{.output = output.get()});
    }
    static std::vector<std::string> command(const std::vector<std::string>& arguments) {
        const char* const build = std::getenv("BUILD");
        std::vector<std::string> all{std::string(build == nullptr ? "build" : build) + "/recto", "--config",
                                     service().folder() / "recto.ini", "log"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return all;
    }
    std::string text() const { return read_file(folder / "out"); }
    bool shows(const std::string& part) const {
        return eventually([&] { return has(text(), part); });
    }
};

void check_refused(const std::vector<std::string>& arguments, int status, std::string_view sentence) {
    BOOST_TEST_CONTEXT(join(arguments, " ")) {
        const auto result = log_command(arguments);
        BOOST_TEST(result.status == status);
        BOOST_TEST(result.output == "");
        BOOST_TEST(has(result.errors, sentence), result.errors);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(grep)

BOOST_AUTO_TEST_CASE(a_request_is_told_by_its_worker_and_by_nginx) {
    const auto txid = txid_of_a_request("/api/blogs?author_id=1");
    const auto other = txid_of_a_request("/api/blogs?author_id=1");
    std::string story;
    // nginx and the worker write when the answer is on its way.
    const auto is_told = [&] {
        story = log_command({"grep", txid}).output;
        return has(story, "get_blogs_by_author") && has(story, "\"request_id\"");
    };
    BOOST_TEST(eventually(is_told), story);
    BOOST_TEST(count(story, "\"get_blogs_by_author\"") == 1u, story);  // two handlers wrote it
    BOOST_TEST(has(story, "\"uri\":\"/api/blogs?author_id=1\""), story);
    BOOST_TEST(story.find("get_blogs_by_author") < story.find("\"request_id\""));  // nginx's is written at the end
    BOOST_TEST(!has(story, other));
    BOOST_TEST(!has(story, "\x1b"));
    BOOST_TEST(output_of({"grep", txid.substr(0, 16)}) == story);
}

BOOST_AUTO_TEST_CASE(the_story_is_in_order_over_files_formats_and_backups) {
    const std::string id = "00112233445566778899aabbccddeeff";
    put(log_file("recto.log.3"), "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"first\",\"data\":null,\"txid\":\"" + id + "\"}\n");
    put(log_file("recto.log.2"), "2026-01-01 10:00:00.000003Z 7 9 a message txid=" + id + "\nhalf a line with " + id);
    put(log_file("all.log.1"),
        "{\"time\":\"2026-01-01T10:00:00.000002Z\",\"level\":\"debug\",\"logger\":\"recto.cache\",\"pid\":1,\"tid\":2,"
        "\"ev\":\"second\",\"data\":\"\x1b[2J\",\"txid\":\"" +
            id + "\"}\n");
    put(log_file("nginx-access.log.1"), "{\"time\":\"2026-01-01T10:00:00+00:00\",\"request_id\":\"" + id +
                                            "\",\"uri\":\"/\",\"agent\":\"\u202e\u2066\u05e9\u05dc\u05d5\u05dd\"}\n");
    put(log_file("recto.log.1"), "2026-01-01 10:00:01.000000Z 7 8 {\"ev\":\"other\",\"data\":\"x" + id + " " + id + "0 a-" + id + "\"}\n");
    const auto story = output_of({"grep", id});
    const char* const in_order[] = {"\"first\"", "\"second\"", "a message", "half a line", "request_id"};
    std::size_t last = 0;
    for (const auto* part : in_order) {
        const auto found = story.find(part);
        BOOST_TEST(found != std::string::npos, part);
        BOOST_TEST(found >= last, part);
        last = found;
    }
    BOOST_TEST(!has(story, "other"));
    BOOST_TEST(!has(story, "\x1b"));
    BOOST_TEST(has(story, "\"agent\":\"\\u202e\\u2066\u05e9\u05dc\u05d5\u05dd\""), story);  // nothing turns the line's order round
    for (const auto* name : {"recto.log.1", "recto.log.2", "recto.log.3", "all.log.1", "nginx-access.log.1"}) fs::remove(log_file(name));
}

BOOST_AUTO_TEST_CASE(only_what_says_the_same_is_shown_once) {
    const std::string id = "00112233445566778899aabbccddee00";
    const auto verbose = [&](const std::string& data) {
        return "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"twice\",\"data\":" + data + ",\"txid\":\"" + id + "\"}\n";
    };
    put(log_file("recto.log.1"), verbose(R"({"row":1})") + verbose(R"({"row":2})"));
    put(log_file("all.log.1"),
        "{\"time\":\"2026-01-01T10:00:00.000001Z\",\"level\":\"info\",\"logger\":\"recto\",\"pid\":7,\"tid\":8,\"ev\":\"twice\","
        "\"data\":{\"row\":2},\"txid\":\"" +
            id + "\"}\n");
    const auto story = output_of({"grep", id});
    BOOST_TEST(count(story, R"({"row":1})") == 1u, story);
    BOOST_TEST(count(story, R"({"row":2})") == 1u, story);
    for (const auto* name : {"recto.log.1", "all.log.1"}) fs::remove(log_file(name));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_found_is_said) {
    check_refused({"grep", "ffffffffffffffffffffffffffffffff"}, kFailed, "mentions ffffffffffffffffffffffffffffffff");
    check_refused({"grep"}, kUsage, "TXID");
    for (const auto* id : {"", "a b", "\x1b", "\""}) check_refused({"grep", id}, kUsage, "expected an id");

    put(log_file("recto.log.1"),
        "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"a\",\"data\":null,\"txid\":\"abcdef00000000000000000000000001\"}\n"
        "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"a\",\"data\":null,\"txid\":\"abcdef00000000000000000000000002\"}\n");
    check_refused({"grep", "abcdef0000"}, kFailed, "abcdef00000000000000000000000001 and abcdef00000000000000000000000002");
    check_refused({"grep", "abcde"}, kFailed, "mentions abcde; of an id, give six characters or more\n");
    fs::remove(log_file("recto.log.1"));

    // No line of ours, but the file is what it is; `\\u001b` is an ESC once it is read.
    put(log_file("recto.log.1"),
        "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"a\",\"data\":null,\"txid\":\"abcdef00\\u001b]0;one\"}\n"
        "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"a\",\"data\":null,\"txid\":\"abcdef00\\u001b]0;two\"}\n");
    check_refused({"grep", "abcdef"}, kFailed, "abcdef00\\x1b]0;one and abcdef00\\x1b]0;two");
    fs::remove(log_file("recto.log.1"));
}

BOOST_AUTO_TEST_CASE(a_site_that_has_no_log_yet_is_told_so) {
    const TemporaryFolder folder;
    replace_file(folder / "recto.ini", "[site]\ndata = " + folder.path().string() + "\n[server]\nruntime_dir = run\n");
    const auto run = [&](std::vector<std::string> arguments) {
        auto command = Running::command(arguments);
        command[2] = folder / "recto.ini";
        return run_command(command);
    };
    for (const auto& arguments : {std::vector<std::string>{"grep", "0123456789abcdef"}, {"slow"}}) {
        const auto result = run(arguments);
        BOOST_TEST(result.status == kFailed);
        BOOST_TEST(has(result.errors, "there is no log yet at " + (folder / "logs/recto.log").string()), result.errors);
    }
    BOOST_TEST(run({"level"}).status == kDone);
    BOOST_TEST(!fs::exists(folder / "run"));  // looking makes nothing
    BOOST_TEST(!fs::exists(folder / "logs"));
}

BOOST_AUTO_TEST_CASE(that_nginx_s_log_is_absent_is_said) {
    const TemporaryFolder folder;
    const auto access = (folder / "access.log").string();
    replace_file(folder / "recto.ini", "[site]\ndata = " + folder.path().string() + "\n[log]\nnginx_access = " + access + "\n");
    fs::create_directory(folder / "logs");
    put(folder / "logs/recto.log", "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"a\",\"data\":null,\"txid\":\"abcdef0000\"}\n");
    const auto run = [&](const std::string& id) {
        auto command = Running::command({"grep", id});
        command[2] = folder / "recto.ini";
        return run_command(command);
    };
    const auto hint = "without nginx's lines: there is no " + access;
    const auto found = run("abcdef");
    BOOST_TEST(found.status == kDone);
    BOOST_TEST(has(found.output, "abcdef0000"), found.output);
    BOOST_TEST(has(found.errors, hint), found.errors);
    const auto absent = run("fedcba");
    BOOST_TEST(absent.status == kFailed);
    BOOST_TEST(has(absent.errors, hint), absent.errors);
    BOOST_TEST(has(absent.errors, "no line of 1 file mentions fedcba\n"), absent.errors);

    put(access, "");
    BOOST_TEST(run("abcdef").errors == "");
}

BOOST_AUTO_TEST_CASE(a_terminal_gets_colours_unless_it_does_not_want_them) {
    const auto txid = txid_of_a_request("/api/blogs?author_id=1");
    BOOST_REQUIRE(eventually([&] { return log_command({"grep", txid}).status == kDone; }));
    const auto on_a_terminal = [&](const std::string& environment) {
        const auto command = "env " + environment + ' ' + join(Running::command({"grep", txid}), " ");
        return done(run_command({"script", "-qec", command, "/dev/null"}));
    };
    BOOST_TEST(has(on_a_terminal("TERM=xterm NO_COLOR="), "\x1b[36m" + txid + "\x1b[0m"));
    BOOST_TEST(!has(on_a_terminal("TERM=xterm NO_COLOR=1"), "\x1b"));
    BOOST_TEST(!has(on_a_terminal("TERM=dumb NO_COLOR="), "\x1b"));
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_read_hides_no_other) {
    const auto txid = txid_of_a_request("/api/blogs?author_id=1");
    BOOST_TEST(eventually([&] { return log_command({"grep", txid}).status == kDone; }));
    put(log_file("recto.log-20261201.xz"),
        "\xfd"
        "7zXZ");
    for (const auto* packed : {"no gzip", "\x1f\x8b", ""}) {
        put(log_file("recto.log.2.gz"), packed);
        for (const auto& arguments : {std::vector<std::string>{"grep", txid}, {"slow"}}) {
            const auto result = log_command(arguments);
            BOOST_TEST(result.status == kFailed);  // after all that can be read was printed
            BOOST_TEST(has(result.errors, "recto.log.2.gz"), result.errors);
            BOOST_TEST(has(result.errors, "recto.log-20261201.xz"), result.errors);
            BOOST_TEST(result.output != "");  // `slow` may have met a request that came before the workers were ready
            if (arguments[0] == "grep") BOOST_TEST(has(result.output, txid), result.output);
        }
        fs::remove(log_file("recto.log.2.gz"));
    }
    fs::remove(log_file("recto.log-20261201.xz"));
}

// Half of a backup, as a copy that broke off leaves it.
BOOST_AUTO_TEST_CASE(what_is_left_of_a_cut_backup_is_shown_and_both_commands_end_alike) {
    const std::string id = "00112233445566778899aabbccddee11";
    const auto slow =
        "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"request.slow\",\"data\":{\"view\":\"cut\",\"us\":5},\"txid\":\"" + id + "\"}\n";
    std::string text = slow;
    for (int i = 0; i < 20'000; ++i) text += "2026-01-01 10:00:01.000000Z 7 8 {\"ev\":\"filler\",\"data\":" + std::to_string(i) + "}\n";
    const auto whole = gzip(text);
    for (const auto* name : {"recto.log-20261201.gz", "recto.log.3.gz", "recto.log-2026120114.gz"}) {
        for (const bool is_cut : {false, true}) {
            BOOST_TEST_CONTEXT(name << is_cut) {
                put(log_file(name), is_cut ? whole.substr(0, whole.size() / 2) : whole);
                for (const auto& arguments : {std::vector<std::string>{"grep", id}, {"slow"}}) {
                    const auto result = log_command(arguments);
                    BOOST_TEST(result.status == (is_cut ? kFailed : kDone));
                    BOOST_TEST(has(result.output, id), result.output);
                    BOOST_TEST(has(result.errors, name + " to its end: its end is missing"s) == is_cut, result.errors);
                }
                fs::remove(log_file(name));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(backups_of_nginx_s_log_are_read_by_logrotate_s_names) {
    const std::string id = "00112233445566778899aabbccddee22";
    for (const auto* name : {"nginx-access.log-20261201", "nginx-access.log-20261201.gz", "nginx-access.log.1", "nginx-access.log.2.gz"}) {
        const auto line = "{\"time\":\"2026-01-01T10:00:00+00:00\",\"request_id\":\"" + id + "\",\"uri\":\"/old\"}\n";
        put(log_file(name), fs::path(name).extension() == ".gz" ? gzip(line) : line);
        BOOST_TEST(has(output_of({"grep", id}), "/old"), name);
        fs::remove(log_file(name));
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(level)

BOOST_AUTO_TEST_CASE(a_change_shows_within_200_ms_in_all_workers_and_goes_again) {
    const auto debug_events = [] { return count(read_file(log_file("recto.log")), "\"ev\":\"get_blog\""); };
    const auto ask_often = [] {
        for (int i = 0; i < 20; ++i) (void)txid_of_a_request("/api/blog");
    };
    ask_often();
    BOOST_TEST(debug_events() == 0u);

    BOOST_TEST(has(row(output_of({"level", "recto", "debug"}), "recto"), "debug"));
    std::this_thread::sleep_for(200ms);  // the promise
    ask_often();
    BOOST_TEST(eventually([&] { return debug_events() == 20; }));

    (void)output_of({"level", "recto", "default"});
    std::this_thread::sleep_for(200ms);
    ask_often();
    (void)txid_of_a_request("/api/blogs?author_id=1");
    BOOST_TEST(debug_events() == 20u);
    BOOST_TEST(has(read_file(log_file("recto.log")), R"({"ev":"log.level","data":{"logger":"recto","level":"debug"}})"));
}

BOOST_AUTO_TEST_CASE(the_table_tells_where_a_level_comes_from) {
    (void)output_of({"level", "recto.cache", "debug"});
    const auto table = output_of({"level"});
    const std::pair<const char*, std::vector<std::string>> rows[] = {
        {"recto", {"info", "configured: [log] level"}},
        {"recto.cache", {"debug", "changed, by default info"}},
        {"recto.clock", {"warning", "configured: [logger recto.clock]"}},
        {"recto.store", {"info", "inherited from [log] level"}},
    };
    for (const auto& [logger, words] : rows)
        for (const auto& word : words) BOOST_TEST(has(row(table, logger), word), row(table, logger));

    BOOST_TEST(has(row(output_of({"level", "recto.cache.deeper"}), "recto.cache.deeper"), "inherited from recto.cache"));
    (void)output_of({"level", "recto.cache", "default"});
    BOOST_TEST(has(row(output_of({"level", "recto.cache"}), "recto.cache"), "inherited from [log] level"));
}

BOOST_AUTO_TEST_CASE(a_wrong_word_changes_nothing) {
    const auto before = output_of({"level"});
    check_refused({"level", "recto", "loud"}, kUsage, "loud");
    check_refused({"level", "recto", "Info"}, kUsage, "Info");
    check_refused({"level", "Recto"}, kUsage, "expected a name");
    check_refused({"level", ""}, kUsage, "expected a name");
    check_refused({"level", std::string(47, 'x'), "debug"}, kUsage, "at most 46 bytes");
    check_refused({"level", "recto", "info", "more"}, kUsage, "more");
    BOOST_TEST(output_of({"level"}) == before);

    const auto unknown = log_command({"level", "recto.chace", "debug"});
    BOOST_TEST(unknown.status == kDone);
    BOOST_TEST(has(unknown.errors, "did you mean recto.cache?"), unknown.errors);
    (void)output_of({"level", "recto.chace", "default"});
    BOOST_TEST(output_of({"level"}) == before);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(follow)

BOOST_AUTO_TEST_CASE(a_request_appears_also_after_rotation_and_removal_until_ctrl_c) {
    Running follow({"follow"});
    const auto first = txid_of_a_request("/api/blogs?author_id=1");
    BOOST_TEST(follow.shows(first));
    fs::rename(log_file("recto.log"), log_file("recto.log.1"));
    const auto second = txid_of_a_request("/api/blogs?author_id=1");
    BOOST_TEST(follow.shows(second));
    fs::remove_all(log_file("").parent_path());
    // Whoever still has the old file writes there for up to 100 ms.
    std::string third;
    BOOST_TEST(eventually([&] {
        third = txid_of_a_request("/api/blogs?author_id=1");
        return fs::exists(log_file("recto.log")) && has(read_file(log_file("recto.log")), third);
    }));
    BOOST_TEST(follow.shows(third));
    for (const auto& txid : {first, second, third}) BOOST_TEST(count(follow.text(), txid) >= 1u);
    BOOST_TEST(!has(follow.text(), "\x1b"));

    follow.process->signal(SIGINT);
    const auto status = follow.process->wait(10s);
    BOOST_REQUIRE(status.has_value());
    BOOST_TEST(WIFEXITED(*status));
    BOOST_TEST(WEXITSTATUS(*status) == kDone);
}

BOOST_AUTO_TEST_CASE(it_ends_when_nobody_reads_any_more) {
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    UniqueFd reader(ends[0]), writer(ends[1]);
    Process follow(Running::command({"follow"}), {.output = writer.get()});
    writer.reset();
    char byte = 0;
    (void)txid_of_a_request("/api/blogs?author_id=1");
    BOOST_REQUIRE(::read(reader.get(), &byte, 1) == 1);
    reader.reset();  // and without another line
    const auto status = follow.wait(10s);
    BOOST_REQUIRE(status.has_value());
    BOOST_TEST(WIFEXITED(*status));
    BOOST_TEST(WEXITSTATUS(*status) == kDone);
}

BOOST_AUTO_TEST_CASE(it_shows_what_is_asked_for) {
    put(log_file("all.log"),
        R"({"time":"2026-01-01T10:00:00.000000Z","level":"info","logger":"recto.cache","pid":1,"tid":2,"ev":"one.info","data":1})"
        "\n"
        R"({"time":"2026-01-01T10:00:00.000001Z","level":"warning","logger":"recto.cached","pid":1,"tid":2,"ev":"two.cached","data":1})"
        "\n"
        R"({"time":"2026-01-01T10:00:00.000002Z","level":"error","logger":"recto.cache.deep","pid":1,"tid":2,"ev":"three.deep","data":1})"
        "\nno line of a log\n");
    const std::pair<std::vector<std::string>, std::vector<std::string>> cases[] = {
        {{}, {"one.info", "two.cached", "three.deep", "no line"}},
        {{"--level", "warning"}, {"two.cached", "three.deep"}},
        {{"--logger", "recto.cache"}, {"one.info", "three.deep"}},
        {{"--logger", "recto.cache", "--level", "error"}, {"three.deep"}},
        {{"--lines", "1"}, {"no line"}},
    };
    for (const auto& [options, shown] : cases) BOOST_TEST_CONTEXT(join(options, " ")) {
            std::vector<std::string> arguments{"follow"};
            arguments.insert(arguments.end(), options.begin(), options.end());
            Running follow(arguments);
            BOOST_TEST(follow.shows(shown.back()));
            for (const auto* part : {"one.info", "two.cached", "three.deep", "no line"})
                BOOST_TEST(has(follow.text(), part) == (std::ranges::find(shown, part) != shown.end()), part);
        }
    check_refused({"follow", "--level", "loud"}, kUsage, "loud");
    check_refused({"follow", "--lines", "-1"}, kUsage, "--lines");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(slow)

BOOST_AUTO_TEST_CASE(the_slowest_come_first_with_what_took_the_time) {
    const auto event = [](const std::string& time, const std::string& data, const std::string& txid,
                          const std::string& ev = "request.slow") {
        return time + " 7 8 {\"ev\":\"" + ev + "\",\"data\":" + data + ",\"txid\":\"" + txid + "\"}\n";
    };
    put(log_file("recto.log.1"),
        event("2026-01-01 10:00:00.123456Z",
              R"({"view":"blogs.by_author","method":"GET","status":200,"us":123456,"phases":{"auth":12,"store":120000,"render":1800},)"
              R"("queries":7,"db_us":110000})",
              "txid-a") +
            event("2026-01-01 10:00:01.000000Z", R"({"view":"blog","us":2345678})", "txid-b") +
            event("2026-01-01 10:00:02.000000Z", R"({"view":"blog","ms":30000,"thread":9,"stack":["f","g"]})", "txid-c", "request.hung") +
            event("2026-01-01 10:00:03.000000Z", R"({"view":"blog","us":40000000})", "txid-c") +
            event("2026-01-01 10:00:04.000000Z", R"({"view":"blog2","ms":31000})", "txid-d", "request.hung") +
            event("2026-01-01 10:00:05.000000Z", "null", "txid-e") + "2026-01-01 10:00:06.000000Z 7 8 {\"ev\":\"request.slow\",\"da\n" +
            event("2026-01-01 10:00:07.000000Z", R"({"note":"request.slow"})", "txid-f", "other"));
    const auto table = split_list(output_of({"slow"}), '\n');
    const std::vector<std::vector<std::string>> rows{
        {"TIME", "REQUEST", "TOTAL", "PHASES", "QUERIES", "TXID"},
        {"2026-01-01 10:00:03.000Z", "blog", "40.00 s", "txid-c", "HUNG"},
        {"2026-01-01 10:00:04.000Z", "blog2", "31.00 s", "txid-d", "HUNG, no end seen"},
        {"2026-01-01 10:00:01.000Z", "blog", "2.35 s", "txid-b"},
        {"2026-01-01 10:00:00.123Z", "GET blogs.by_author 200", "123.5 ms", "store 120.0 ms, render 1.8 ms", "7 in 110.0 ms", "txid-a"},
        {"2026-01-01 10:00:05.000Z", "0.0 ms", "txid-e"},
    };
    BOOST_REQUIRE(table.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (const auto& part : rows[i]) BOOST_TEST(has(table[i], part), table[i] << " has no " << part);
    BOOST_TEST(split_list(output_of({"slow", "--top", "1"}), '\n').size() == 2u);
    BOOST_TEST(has(output_of({"slow", "--since", "1h"}), "no slow request"));
    check_refused({"slow", "--since", "yesterday"}, kFailed, "expected a duration");
    check_refused({"slow", "--top", "0"}, kUsage, "--top");
    fs::remove(log_file("recto.log.1"));
    BOOST_TEST(has(output_of({"slow"}), "no slow request"));
}

BOOST_AUTO_TEST_CASE(a_slow_request_has_its_parameters_what_it_waited_and_the_time_nginx_took) {
    const std::string id = "00112233445566778899aabbccddee33";
    put(log_file("recto.log.1"),
        "2026-01-01 10:00:00.000001Z 7 8 {\"ev\":\"request.slow\",\"data\":{\"view\":\"blogs.by_author\",\"parameters\":{"
        "\"author_id\":\"12\",\"page\":\"\\u001b[2J\"},\"method\":\"GET\",\"status\":200,\"us\":123456,\"waited\":1500},\"txid\":\"" +
            id + "\"}\n" +
            "2026-01-01 10:00:01.000000Z 7 8 {\"ev\":\"request.slow\",\"data\":{\"view\":\"bare\",\"us\":1},\"txid\":\"x\"}\n");
    put(log_file("nginx-access.log-20260101"),
        "{\"time\":\"2026-01-01T10:00:00+00:00\",\"request_id\":\"other\",\"seconds\":\"9.000\"}\n"
        "{\"time\":\"2026-01-01T10:00:00+00:00\",\"request_id\":\"" +
            id +
            "\",\"uri\":\"/\",\"seconds\":\"1.250\"}\n"
            "{\"time\":\"2026-01-01T10:00:00+00:00\",\"request_id\":\"x\",\"seconds\":\"-\"}\n");
    const auto table = output_of({"slow"});
    const auto head = row(table, "TIME");
    const auto full = row(table, "2026-01-01 10:00:00.000Z");
    const std::pair<const char*, const char*> columns[] = {
        {"PARAMETERS", "author_id=12&page=\\x1b[2J"}, {"TOTAL", "123.5 ms"}, {"WAITED", "1.5 ms"}, {"NGINX", "1.25 s"}};
    for (const auto& [name, value] : columns) {
        const auto begin = head.find(name);
        BOOST_REQUIRE(begin != std::string::npos);
        BOOST_TEST(full.substr(begin).starts_with(value), table);
    }
    BOOST_TEST(row(table, "2026-01-01 10:00:01.000Z").find("s ", head.find("WAITED")) == std::string::npos, table);
    for (const auto* name : {"recto.log.1", "nginx-access.log-20260101"}) fs::remove(log_file(name));
}

BOOST_AUTO_TEST_CASE(numbers_that_no_clock_tells_are_no_harm) {
    const auto event = [](const std::string& time, const std::string& data, const std::string& ev) {
        return time + " 7 8 {\"ev\":\"" + ev + "\",\"data\":" + data + ",\"txid\":\"of-" + ev + "\"}\n";
    };
    put(log_file("recto.log.1"),
        event("9999-12-31 23:59:59.999999-99:00", R"({"view":"late","us":9000000000000000000,"phases":{"store":9000000000000000000}})",
              "request.slow") +
            event("1970-01-01 00:00:00.000000Z", R"({"view":"early","us":-9000000000000000000})", "request.slow") +
            event("2026-01-01 10:00:00.000000Z", R"({"view":"hung","ms":9000000000000000000})", "request.hung"));
    const auto table = output_of({"slow"});
    BOOST_TEST(has(table, "10000-01-05 02:59:59.999Z  late"), table);
    BOOST_TEST(has(table, "store 9000000000000.00 s"), table);
    BOOST_TEST(has(table, "hung"), table);
    BOOST_TEST(has(table, "early"), table);
    fs::remove(log_file("recto.log.1"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
