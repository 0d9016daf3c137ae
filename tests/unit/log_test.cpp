#define BOOST_TEST_MODULE log
#include "log/log.hpp"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <map>
#include <new>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "log/backups.hpp"
#include "log/levels.hpp"
#include "log/log_counters.hpp"
#include "log/meter.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/log_lines.hpp"
#include "tests/support/temporary_folder.hpp"
#include "util/context.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_CASE(a_line_is_time_pid_tid_and_the_event_with_its_request) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    {
        const LogSession session(log_to({.file = file}));
        log_event("outside", {{"a", 1}});
        RequestContext context{"0123456789abcdef", "203.0.113.9", {}};
        const ContextScope scope(context);
        log_event("anonymous");
        context.user_id = 12;
        log_event("known", {1, 2.5, true, nullptr, "text"}, "recto.blog", Level::error);
        log_message(Level::info, "Fetching blogs from \"database\"");
    }
    const auto lines = lines_of(read_file(file));
    const char* const bodies[] = {
        R"({"ev":"outside","data":{"a":1}})",
        R"({"ev":"anonymous","data":null,"txid":"0123456789abcdef"})",
        R"({"ev":"known","data":[1,2.5,true,null,"text"],"txid":"0123456789abcdef","uid":12})",
        R"(Fetching blogs from "database" txid=0123456789abcdef uid=12)",
    };
    BOOST_REQUIRE(lines.size() == std::size(bodies));
    for (std::size_t i = 0; i < lines.size(); ++i) BOOST_TEST(body_of(lines[i]) == bodies[i]);

    const auto parts = parts_of(lines[0]);
    BOOST_TEST(parts.pid == std::to_string(::getpid()));
    BOOST_TEST(parts.tid == std::to_string(::gettid()));
    const auto now = std::time(nullptr);
    std::tm read{};
    BOOST_REQUIRE(::strptime(parts.time.c_str(), "%Y-%m-%d %H:%M:%S", &read) != nullptr);
    BOOST_TEST(std::abs(::timegm(&read) - now) <= 5);
}

BOOST_AUTO_TEST_CASE(the_time_is_utc_and_never_goes_back_within_a_thread) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    for (int i = 0; i < 2000; ++i) log_event("tick");
    const auto lines = lines_of(read_file(folder / "recto.log"));
    BOOST_REQUIRE(lines.size() == 2000u);
    BOOST_TEST(std::ranges::is_sorted(lines, {}, [](const auto& line) { return line.substr(0, 27); }));
}

BOOST_AUTO_TEST_CASE(what_is_below_the_level_is_not_written) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const std::pair<const char*, std::size_t> expected[] = {{"debug", 4}, {"info", 3}, {"warning", 2}, {"error", 1}};
    for (const auto& [word, count] : expected) BOOST_TEST_CONTEXT(word) {
            fs::remove(file);
            const LogSession session(log_to({.file = file}, parse_level(word).value()));
            for (const auto level : {Level::debug, Level::info, Level::warning, Level::error}) {
                log_event("event", {}, kDefaultLogger, level);
                BOOST_TEST(log_enabled(level) == (level >= parse_level(word).value()));
            }
            BOOST_TEST(lines_of(read_file(file)).size() == count);
        }
    for (const auto* word : {"", "Info", "warn", "off", "info "}) BOOST_TEST(!parse_level(word));
}

BOOST_AUTO_TEST_CASE(a_logger_has_the_level_and_the_handlers_of_the_nearest_name_above_it) {
    const TemporaryFolder folder;
    const auto all = folder / "all.log", cache = folder / "cache.log", bad = folder / "bad.log";
    const LogSession session(LogOptions{
        .level = Level::info,
        .root_handlers = {"all"},
        .handlers = {{.file = all, .name = "all"}, {.file = cache, .name = "cache"}, {.file = bad, .level = Level::error, .name = "bad"}},
        .loggers = {{.logger = "recto.cache", .level = Level::debug, .handlers = {"cache"}},
                    {.logger = "recto.cache.quiet", .level = Level::error, .handlers = {"bad"}, .propagate = false},
                    {.logger = "recto.other", .handlers = {"bad"}}}});
    for (const auto* const logger :
         {"recto", "recto.cache", "recto.cache.deep.er", "recto.cache.quiet", "recto.cached", "recto.other", "else"})
        for (const auto level : {Level::debug, Level::info, Level::error}) log_message(level, logger, logger);
    const auto count = [](const fs::path& file, const std::string& logger) {
        return std::ranges::count(lines_of(read_file(file)), logger, [](const auto& line) { return body_of(line); });
    };
    const std::tuple<const char*, int, int, int> expected[] = {{"recto", 2, 0, 0},
                                                               {"recto.cache", 3, 3, 0},
                                                               {"recto.cache.deep.er", 3, 3, 0},
                                                               {"recto.cache.quiet", 0, 0, 1},
                                                               {"recto.cached", 2, 0, 0},
                                                               {"recto.other", 2, 0, 1},
                                                               {"else", 2, 0, 0}};
    for (const auto& [logger, in_all, in_cache, in_bad] : expected) BOOST_TEST_CONTEXT(logger) {
            BOOST_TEST(count(all, logger) == in_all);
            BOOST_TEST(count(cache, logger) == in_cache);
            BOOST_TEST(count(bad, logger) == in_bad);
        }
    BOOST_TEST(log_enabled(Level::debug, "recto.cache.deep.er"));
    BOOST_TEST(!log_enabled(Level::debug, "recto"));
    BOOST_TEST(!log_enabled(Level::info, "recto.cache.quiet"));
}

BOOST_AUTO_TEST_CASE(lines_together_are_written_at_their_end_and_an_error_takes_them_along) {
    const TemporaryFolder folder;
    const auto events = [&](const char* file) {
        std::string all;
        for (const auto& line : lines_of(read_file(folder / file)))
            all += json::parse(line.substr(line.find('{'))).at("ev").as_string().c_str();
        return all;
    };
    const LogSession session(
        LogOptions{.root_handlers = {"one", "other"},
                   .handlers = {{.file = folder / "one", .name = "one"}, {.file = folder / "other", .name = "other"}}});
    {
        const LinesTogether together;
        log_event("a");
        log_event("b");
        BOOST_TEST(events("one") == "");
        std::thread([] { log_event("c"); }).join();
        BOOST_TEST(events("one") == "c");  // another thread's
        log_event("d", {}, kDefaultLogger, Level::error);
        BOOST_TEST(events("one") == "cabd");
        log_event("e", json::string(65'000, 'x'));
        log_event("f", json::string(1000, 'x'));
        log_event("g");
        BOOST_TEST(events("one") == "cabdef");
    }
    BOOST_TEST(events("one") == "cabdefg");
    BOOST_TEST(events("other") == "cabdefg");
    log_event("h");
    BOOST_TEST(events("one") == "cabdefgh");
}

BOOST_AUTO_TEST_CASE(a_rule_that_names_no_handler_is_an_exception) {
    const TemporaryFolder folder;
    auto options = log_to({.file = folder / "recto.log"});
    options.loggers = {{.logger = "recto", .handlers = {"nothing"}}};
    BOOST_CHECK_THROW(LogSession{options}, std::runtime_error);
    const LogSession possible(log_to({.file = folder / "recto.log"}));
}

BOOST_AUTO_TEST_CASE(a_level_changes_while_processes_run_and_back) {
    const TemporaryFolder folder;
    auto options = log_to({.file = folder / "recto.log"});
    options.runtime_dir = folder / "run";
    const LogSession session(options);
    const auto child = in_child([&] {  // another process, as the operator's program is
        auto levels = LogLevels::open(folder / "run");
        levels.set("recto.cache", Level::debug);
        levels.set("recto", Level::error);
    });
    BOOST_REQUIRE(exit_status(child) == 0);
    BOOST_TEST(eventually([] { return log_enabled(Level::debug, "recto.cache") && !log_enabled(Level::warning, "recto"); }, 5s));
    BOOST_TEST(log_enabled(Level::info, "else"));
    auto levels = LogLevels::open(folder / "run");
    BOOST_TEST((levels.all() == std::map<std::string, Level>{{"recto", Level::error}, {"recto.cache", Level::debug}}));
    levels.set("recto.cache", {});
    levels.set("recto", {});
    BOOST_TEST(eventually([] { return !log_enabled(Level::debug, "recto.cache") && log_enabled(Level::info, "recto"); }, 5s));
}

// As in a process that is out of file descriptors, because of more clients than it may have, say.
BOOST_AUTO_TEST_CASE(a_level_that_cannot_be_read_yet_is_read_later, *boost::unit_test::enable_if<!kNeedsDescriptors>()) {
    const TemporaryFolder folder;
    auto options = log_to({.file = folder / "recto.log"});
    options.runtime_dir = folder / "run";
    const auto change_level = [&] {
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
        LogLevels::open(folder / "run").set("recto", Level::debug);
    };
    const auto status = exit_status(in_child([&] {
        const LogSession session(options);
        const UniqueFd log(::open((folder / "recto.log").c_str(), O_RDONLY | O_CLOEXEC));
        const auto has_complained = [&] {
            char text[4096];
            const auto size = ::pread(log.get(), text, sizeof text, 0);
            return size > 0 && std::string_view(text, static_cast<std::size_t>(size)).find("levels") != std::string_view::npos;
        };
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        const rlimit none{0, files.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
        if (exit_status(in_child(change_level)) != 0) throw std::runtime_error("the level can't be changed");
        if (!eventually(has_complained)) throw std::runtime_error("nothing was told");
        if (log_enabled(Level::debug)) throw std::runtime_error("it was read all the same");
        ::setrlimit(RLIMIT_NOFILE, &files);
        if (!eventually([&] { return lines_of(read_file(folder / "recto.log")).size() == 2; })) throw std::runtime_error("not told");
        if (!log_enabled(Level::debug)) throw std::runtime_error("it was never read");
    }));
    BOOST_TEST(status == 0);
    BOOST_TEST(lines_of(read_file(folder / "recto.log")).size() == 2u);  // once that it can't be read, once that it is
}

namespace {

// What one event and one message look like.
Lines formatted(const std::string& format, std::size_t max_record = 64u << 10) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log", .format = format, .max_record = Size{max_record}}));
    RequestContext context{.txid = "abc", .address = "192.0.2.1", .user_id = 12};
    const ContextScope scope(context);
    log_event("post.saved", {{"id", 7}, {"token", "x"}, {"text", std::string(max_record, '"')}}, "recto.blog", Level::warning);
    log_message(Level::info, "a \"quoted\"\nmessage " + std::string(max_record, '"'), "recto.blog");
    return lines_of(read_file(folder / "recto.log"));
}

}  // namespace

BOOST_AUTO_TEST_CASE(json_and_ecs_lines_are_objects_with_all_there_is_to_know) {
    const auto pid = static_cast<std::int64_t>(::getpid()), tid = static_cast<std::int64_t>(::gettid());
    const auto json_lines = formatted("json"), ecs_lines = formatted("ecs");
    BOOST_REQUIRE(json_lines.size() == 2u);
    BOOST_REQUIRE(ecs_lines.size() == 2u);
    auto event = json::parse(json_lines[0]).as_object(), message = json::parse(json_lines[1]).as_object();
    BOOST_TEST(event.at("time").as_string().size() == std::strlen("2026-11-22T20:30:16.123456Z"));
    BOOST_TEST(event.at("time").as_string()[10] == 'T');
    for (auto* const line : {&event, &message}) line->erase("time"), line->erase("data"), line->erase("cut"), line->erase("msg");
    BOOST_TEST(event == (json::object{{"level", "warning"},
                                      {"logger", "recto.blog"},
                                      {"pid", pid},
                                      {"tid", tid},
                                      {"ev", "post.saved"},
                                      {"txid", "abc"},
                                      {"uid", 12}}));
    BOOST_TEST(message ==
               (json::object{{"level", "info"}, {"logger", "recto.blog"}, {"pid", pid}, {"tid", tid}, {"txid", "abc"}, {"uid", 12}}));

    auto ecs = json::parse(ecs_lines[0]).as_object();
    for (const auto* const required : {"@timestamp", "log.level", "message", "ecs.version"}) BOOST_TEST(ecs.contains(required), required);
    BOOST_TEST(ecs.at("event.action") == "post.saved");
    BOOST_TEST(ecs.at("trace.id") == "abc");
    BOOST_TEST(ecs.at("user.id") == "12");
    BOOST_TEST(json::parse(ecs_lines[1]).at("message").as_string().starts_with("a \"quoted\"\nmessage "));
}

BOOST_AUTO_TEST_CASE(a_line_of_any_format_is_cut_to_max_record_and_stays_whole) {
    for (const auto* const format : {"json", "ecs", "verbose", "{message} {levelname}"}) BOOST_TEST_CONTEXT(format)
    for (const auto& line : formatted(format, 1000)) {
        BOOST_TEST(line.size() + 1 <= 1000u);
        BOOST_TEST(line.size() > 900u);
        BOOST_TEST(line.find("cut") != std::string::npos);
        if (format[0] == 'j' || format[0] == 'e') BOOST_CHECK_NO_THROW((void)json::parse(line));
    }
}

BOOST_AUTO_TEST_CASE(a_pattern_has_pythons_names) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log", .format = "[{levelname}] {name} {txid}/{uid}: {message}"}));
    log_message(Level::warning, "outside");
    RequestContext context{.txid = "abc", .address = {}, .user_id = 12};
    const ContextScope scope(context);
    log_event("inside", 1, "recto.x");
    BOOST_TEST(lines_of(read_file(folder / "recto.log")) ==
                   (Lines{"[WARNING] recto -/-: outside", R"([INFO] recto.x abc/12: {"ev":"inside","data":1,"txid":"abc","uid":12})"}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(standard_error_gets_priorities_if_it_is_the_journal) {
    const TemporaryFolder folder;
    const auto output = folder / "stderr";
    for (const bool is_journal : {true, false}) {
        BOOST_REQUIRE(exit_status(in_child([&] {
                          const ErrorOutput redirected(output);
                          struct stat status {};
                          ::fstat(STDERR_FILENO, &status);
                          const auto stream = std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino + (is_journal ? 0 : 1));
                          ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
                          const LogSession session(
                              LogOptions{.level = Level::info,
                                         .root_handlers = {"stderr"},
                                         .handlers = {{.level = Level::info, .format = "{message}", .name = "stderr"}}});
                          for (const auto level : {Level::info, Level::warning, Level::error}) log_message(level, "m");
                      })) == 0);
        BOOST_TEST(lines_of(read_file(output)) == (is_journal ? Lines{"<6>m", "<4>m", "<3>m"} : Lines{"m", "m", "m"}),
                   boost::test_tools::per_element());
        fs::remove(output);
    }
}

BOOST_AUTO_TEST_CASE(without_a_session_warnings_go_to_standard_error) {
    const TemporaryFolder folder;
    const auto output = folder / "stderr";
    BOOST_REQUIRE(exit_status(in_child([&] {
                      const ErrorOutput redirected(output);
                      log_event("before", {}, kDefaultLogger, Level::info);
                      log_event("before", {}, kDefaultLogger, Level::warning);
                      { const LogSession session(log_to({.file = folder / "recto.log"})); }
                      log_message(Level::error, "after");
                      log_message(Level::info, "after");
                  })) == 0);
    const auto lines = lines_of(read_file(output));
    BOOST_REQUIRE(lines.size() == 2u);
    BOOST_TEST(body_of(lines[0]) == R"({"ev":"before","data":null})");
    BOOST_TEST(body_of(lines[1]) == "after");
    BOOST_TEST(read_file(folder / "recto.log").empty());
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_opened_at_the_start_goes_to_standard_error_until_it_can) {
    const TemporaryFolder folder;
    write_text(folder / "file", "x");
    fs::create_directory(folder / "folder");
    for (const auto& path : {folder / "file" / "recto.log", folder / "folder"}) BOOST_TEST_CONTEXT(path) {
            const auto errors = folder / "errors";
            fs::remove(errors);
            BOOST_REQUIRE(exit_status(in_child([&] {
                              const ErrorOutput redirected(errors);
                              const LogSession session(log_to({.file = path}));
                              log_event("shown");
                              fs::remove_all(folder / "file");
                              fs::remove_all(folder / "folder");
                              std::this_thread::sleep_for(150ms);
                              log_event("written");
                          })) == 0);
            const auto shown = read_file(errors);
            BOOST_TEST(shown.find("recto: log " + path.string() + ": ") != std::string::npos, shown);
            BOOST_TEST(shown.find(R"({"ev":"shown")") != std::string::npos, shown);
            BOOST_TEST(shown.find(R"({"ev":"written")") == std::string::npos, shown);
            const auto events = events_of(path);
            BOOST_REQUIRE(events.size() == 2u);
            BOOST_TEST(events[0].at("ev").as_string() == "log.gap");
            BOOST_TEST(events[0].at("data").at("lost").as_int64() == 1);
            BOOST_TEST(events[1].at("ev").as_string() == "written");
            fs::remove_all(folder / "folder");
            fs::create_directory(folder / "folder");
        }
    const LogSession possible(log_to({.file = folder / "a" / "b" / "recto.log"}));
    BOOST_TEST((fs::status(folder / "a" / "b").permissions() == static_cast<fs::perms>(0750)));
}

BOOST_AUTO_TEST_CASE(an_event_name_that_is_not_one_is_logged_as_data) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    const std::string longest(64, 'a');
    for (const auto& name : {std::string("get_blogs.by-author2"), longest}) log_event(name);
    for (const auto& name :
         {std::string{}, longest + 'a', std::string("Get"), std::string("a b"), std::string("a\"b"), std::string("a\nb")})
        log_event(name, {{"token", "x"}});

    const auto events = events_of(folder / "recto.log");
    BOOST_REQUIRE(events.size() == 8u);
    BOOST_TEST(events[0].at("ev").as_string() == "get_blogs.by-author2");
    BOOST_TEST(events[1].at("ev").as_string() == longest);
    for (std::size_t i = 2; i < events.size(); ++i) BOOST_TEST(events[i].at("ev").as_string() == "invalid_event");
    BOOST_TEST(json::serialize(events[7].at("data")) == R"({"event":"a\nb","data":{"token":"********"}})");
}

BOOST_AUTO_TEST_CASE(secrets_are_masked_at_any_depth) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    for (const auto* key : {"password", "token", "cookie", "authorization", "csrf", "Set-Cookie", "new_password", "csrfmiddlewaretoken",
                            "HTTP_AUTHORIZATION", "X-CSRFToken", "client_secret"}) {
        const json::value secret{{key, "hush"}};
        log_event("secret", secret);
        log_event("secret", {{"list", {1, {{"deep", secret}}}}});
        log_event("secret", {{key, {{"inner", "hush"}}}});
    }
    log_event("open", {{"author", "hush"}, {"pass", "hush"}});
    const auto text = read_file(folder / "recto.log");
    BOOST_TEST(lines_of(text).size() == 34u);
    BOOST_TEST(text.find("hush") == text.find(R"(hush","pass":"hush"}})"));
}

// G7
BOOST_AUTO_TEST_CASE(random_bytes_never_break_a_line) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log", .max_record = Size{1024}}));
    std::mt19937 random(7);  // NOLINT: the same bytes in each run
    const auto bytes = [&](std::size_t most) {
        std::string text(random() % (most + 1), '\0');
        for (auto& c : text) c = static_cast<char>(random() % 3 == 0 ? random() % 40 : random());
        return text;
    };
    constexpr int kRounds = 4000;
    for (int i = 0; i < kRounds; ++i) {
        RequestContext context{bytes(80), {}, random()};
        const ContextScope scope(context);
        log_event(i % 2 == 0 ? "fuzz" : bytes(70), {{bytes(10), bytes(600)}, {"list", {bytes(100), 1e300 * 1e300, -0.0, ~0ull}}});
        log_message(Level::info, bytes(1500));
    }
    const auto text = read_file(folder / "recto.log");
    BOOST_TEST(is_utf8(text));
    BOOST_TEST(std::ranges::none_of(text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F; }));
    for (const auto* raw : {"\xC2\x80", "\xC2\x9B", "\xE2\x80\xA8", "\xE2\x80\xA9"}) BOOST_TEST(text.find(raw) == text.npos);

    const auto lines = lines_of(text);
    BOOST_REQUIRE(lines.size() == 2u * kRounds);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        BOOST_REQUIRE(lines[i].size() < 1024);
        if (i % 2 == 0) BOOST_REQUIRE(event_of(lines[i]).is_object());
    }
}

void check_event(const std::string& line, const std::string& text) {
    const auto event = event_of(line);
    BOOST_REQUIRE(event.is_object());
    const auto* const cut = event.as_object().if_contains("cut");
    if (cut == nullptr) {
        BOOST_REQUIRE(event.at("data").at("text").as_string() == text);
        return;
    }
    const auto whole = R"({"text":)" + json_string(text) + '}';
    const auto& kept = event.at("data").as_string();
    BOOST_REQUIRE(line.size() > 930);
    BOOST_REQUIRE(whole.starts_with(std::string_view(kept)));
    BOOST_REQUIRE(static_cast<std::size_t>(cut->as_int64()) == whole.size() - kept.size());
}

void check_message(const std::string& line, const std::string& text) {
    const auto body = body_of(line);
    const auto mark = body.find(" cut=");
    if (mark == body.npos) {
        BOOST_REQUIRE(body == text);
        return;
    }
    BOOST_REQUIRE(line.size() > 930);
    BOOST_REQUIRE(text.starts_with(body.substr(0, mark)));
    BOOST_REQUIRE(std::stoul(body.substr(mark + 5)) == text.size() - mark);
}

// G5
BOOST_AUTO_TEST_CASE(a_record_is_cut_where_it_would_be_too_long_and_says_so) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log", .max_record = Size{1000}}));
    // As they stand, and as they look in a message.
    const std::pair<const char*, const char*> units[] = {{"a", "a"},
                                                         {"\"", "\""},
                                                         {"\\", R"(\\)"},
                                                         {"\n", R"(\n)"},
                                                         {"\xC3\xA9", "\xC3\xA9"},
                                                         {"\xE2\x82\xAC", "\xE2\x82\xAC"},
                                                         {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}};
    std::vector<std::pair<std::string, std::string>> logged;
    for (const auto& [raw, shown] : units)
        for (std::string text, escaped; text.size() < 1100;) {
            text += raw;
            escaped += shown;
            log_event("cut", {{"text", text}});
            log_message(Level::info, text);
            logged.emplace_back(text, escaped);
        }
    const auto lines = lines_of(read_file(folder / "recto.log"));
    BOOST_REQUIRE(lines.size() == 2 * logged.size());
    for (std::size_t i = 0; i < logged.size(); ++i) {
        const auto &event = lines[2 * i], &message = lines[2 * i + 1];
        BOOST_REQUIRE(std::max(event.size(), message.size()) < 1000);
        BOOST_REQUIRE((is_utf8(event) && is_utf8(message)));
        check_event(event, logged[i].first);
        check_message(message, logged[i].second);
    }
}

BOOST_AUTO_TEST_CASE(fifty_megabytes_in_one_event_are_one_line_of_the_usual_limit) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log", .max_bytes = Size{256u << 10}}));
    log_event("small", {{"n", 1}});
    log_event("huge", json::string(50u << 20, 'x'));
    log_event("small", {{"n", 2}});
    const auto lines = all_lines(folder / "recto.log");
    BOOST_REQUIRE(lines.size() == 3u);
    BOOST_TEST(lines[1].size() < 64u << 10);
    BOOST_TEST(lines[1].size() > 63u << 10);
    const auto event = event_of(lines[1]);
    BOOST_TEST(event.at("cut").as_int64() + static_cast<std::int64_t>(event.at("data").as_string().size()) == (50 << 20) + 2);
}

BOOST_AUTO_TEST_CASE(a_line_longer_than_the_file_may_be_has_a_file_of_its_own) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const LogSession session(log_to({.file = file, .max_bytes = Size{100}, .backup_count = 20}));
    for (int i = 0; i < 10; ++i) log_event("wide", {{"n", i}, {"text", json::string(200, 'x')}});
    BOOST_TEST(backup_numbers(file).size() == 9u);
    BOOST_TEST(all_lines(file).size() == 10u);
}

// G1
BOOST_AUTO_TEST_CASE(each_line_of_four_processes_is_there_once_whole_and_in_order) {
    const TemporaryFolder folder;
    const Progress logged;
    const LogOptions options =
        log_to({.file = folder / "logs" / "recto.log", .max_bytes = Size{40'000}, .backup_count = 400, .max_record = Size{512}});
    constexpr int kProcesses = 4;
    constexpr std::int64_t kLines = 2500;

    std::vector<pid_t> writers;
    for (int process = 0; process < kProcesses; ++process) writers.push_back(start_writers(options, process, kLines, logged));
    for (const auto pid : writers) BOOST_TEST(exit_status(pid) == 0);

    const auto numbers = numbers_in(options.handlers[0].file);
    BOOST_TEST(numbers.malformed == 0u);
    BOOST_TEST(numbers.of_writer.size() == static_cast<std::size_t>(kProcesses * kThreads));
    for (const auto& [writer, list] : numbers.of_writer) BOOST_TEST_CONTEXT("writer " << writer) {
            BOOST_TEST(list.size() == static_cast<std::size_t>(kLines));
            BOOST_TEST(list.front() == 0);
            BOOST_TEST(counts_up(list));
        }
    BOOST_TEST(backup_numbers(options.handlers[0].file).size() > 30u);
    BOOST_TEST(largest_file(options.handlers[0].file) <= 40'000u + kProcesses * 512u);
}

BOOST_AUTO_TEST_CASE(exactly_backup_count_backups_are_kept_and_they_are_the_newest_lines) {
    const TemporaryFolder folder;
    const Progress logged;
    const LogOptions options =
        log_to({.file = folder / "recto.log", .max_bytes = Size{20'000}, .backup_count = 5, .max_record = Size{512}});
    constexpr std::int64_t kLines = 1500;

    std::vector<pid_t> writers;
    for (int process = 0; process < 4; ++process) writers.push_back(start_writers(options, process, kLines, logged));
    for (const auto pid : writers) BOOST_TEST(exit_status(pid) == 0);

    BOOST_TEST(backup_numbers(options.handlers[0].file) == std::vector({1, 2, 3, 4, 5}), boost::test_tools::per_element());
    BOOST_TEST(largest_file(options.handlers[0].file) <= 20'000u + 4u * 512u);
    const auto numbers = numbers_in(options.handlers[0].file);
    BOOST_TEST(numbers.malformed == 0u);
    std::size_t finished = 0;
    for (const auto& [writer, list] : numbers.of_writer) {
        BOOST_TEST(counts_up(list));
        BOOST_TEST(list.back() == kLines - 1);
        ++finished;
    }
    BOOST_TEST(finished > 0u);
}

// G2
BOOST_AUTO_TEST_CASE(processes_killed_at_any_moment_lose_nothing_that_was_logged) {
    const TemporaryFolder folder;
    const Progress logged;
    const LogOptions options =
        log_to({.file = folder / "recto.log", .max_bytes = Size{60'000}, .backup_count = 3000, .max_record = Size{512}});
    const auto started = kill_writers_at_random(options, logged);

    const auto numbers = numbers_in(options.handlers[0].file);
    BOOST_TEST(numbers.malformed <= static_cast<std::size_t>(started));
    BOOST_TEST(backup_numbers(options.handlers[0].file).size() >= 50u);
    BOOST_TEST(backup_numbers(options.handlers[0].file).back() < 3000);
    for (int writer = 0; writer < started * kThreads; ++writer) BOOST_TEST_CONTEXT("writer " << writer) {
            const auto found = numbers.of_writer.find(writer);
            const auto list = found == numbers.of_writer.end() ? std::vector<std::int64_t>{} : found->second;
            const auto count = static_cast<std::int64_t>(list.size());
            BOOST_TEST(counts_up(list));
            BOOST_TEST((list.empty() || list.front() == 0));
            BOOST_TEST((count == logged[writer] || count == logged[writer] + 1));
        }
}

BOOST_AUTO_TEST_CASE(a_rotation_that_died_half_way_is_healed_by_the_next) {
    // With 5 backups the chain renames 4 to 5, 3 to 4, 2 to 3, 1 to 2 and the file itself to 1; it died after some of them.
    for (int dead_after = 1; dead_after <= 5; ++dead_after) BOOST_TEST_CONTEXT("dead after " << dead_after) {
            const TemporaryFolder folder;
            const auto file = folder / "recto.log";
            for (int number = 1; number <= 4; ++number) write_text(backup(file, number), "backup " + std::to_string(number) + '\n');
            write_text(file, std::string(100, 'x') + '\n');
            for (int i = 0; i < dead_after; ++i) fs::rename(i == 4 ? file : backup(file, 4 - i), backup(file, 5 - i));
            const auto before = all_lines(file);
            {
                const LogSession session(log_to({.file = file, .max_bytes = Size{120}, .backup_count = 5}));
                log_event("next");
            }
            auto after = all_lines(file);
            BOOST_REQUIRE(!after.empty());
            BOOST_TEST(body_of(after.back()) == R"({"ev":"next","data":null})");
            after.pop_back();
            BOOST_TEST(after == before, boost::test_tools::per_element());
        }
}

// G6
BOOST_AUTO_TEST_CASE(the_oldest_backup_goes_also_after_many_restarts) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    std::int64_t number = 0;
    for (int restart = 0; restart < 20; ++restart) {
        const LogSession session(log_to({.file = file, .max_bytes = Size{1000}, .backup_count = 3}));
        for (int i = 0; i < 25; ++i) log_event("number", {{"writer", 0}, {"number", number++}});
        const auto numbers = numbers_in(file);
        BOOST_TEST(numbers.malformed == 0u);
        BOOST_REQUIRE(!numbers.of_writer.empty());
        BOOST_TEST(counts_up(numbers.of_writer.at(0)));
        BOOST_TEST(numbers.of_writer.at(0).back() == number - 1);
    }
    BOOST_TEST(backup_numbers(file) == std::vector({1, 2, 3}), boost::test_tools::per_element());
    BOOST_TEST(largest_file(file) <= 1000u);
}

// G3
BOOST_AUTO_TEST_CASE(a_full_disk_costs_exactly_the_lines_that_the_gap_tells) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    constexpr std::int64_t kFull = 1000;
    constexpr std::int64_t kAfter = 10;
    BOOST_REQUIRE(exit_status(in_child([&] {
                      const ErrorOutput redirected(folder / "stderr");
                      std::signal(SIGXFSZ, SIG_IGN);
                      rlimit limit{};
                      ::getrlimit(RLIMIT_FSIZE, &limit);
                      const rlimit tight{20'050, limit.rlim_max};
                      const LogSession session(log_to({.file = file}));
                      Counter ignored;
                      ::setrlimit(RLIMIT_FSIZE, &tight);
                      log_numbers(0, kFull, ignored);
                      ::setrlimit(RLIMIT_FSIZE, &limit);
                      log_numbers(1, kAfter, ignored);
                  })) == 0);

    const auto lines = all_lines(file);
    std::size_t malformed = 0;
    std::vector<std::string> kinds;
    std::int64_t lost = 0;
    for (const auto& line : lines) {
        const auto event = event_of(line);
        if (event.is_null()) {
            ++malformed;
        } else if (event.at("ev").as_string() == "log.gap") {
            lost += event.at("data").at("lost").as_int64();
            BOOST_TEST(event.at("data").at("secs").is_number());
            kinds.emplace_back("gap");
        } else {
            kinds.push_back(event.at("data").at("writer").as_int64() == 0 ? "full" : "after");
        }
    }
    BOOST_TEST(malformed <= 1u);
    BOOST_TEST(std::ranges::count(kinds, "gap") == 1);
    BOOST_TEST(std::ranges::count(kinds, "after") == kAfter);
    BOOST_TEST(lost > 0);
    BOOST_TEST(std::ranges::count(kinds, "full") + lost == kFull);
    // Nothing of after the gap stands before it.
    const auto gap = std::ranges::find(kinds, "gap");
    BOOST_TEST(std::ranges::count(kinds.begin(), gap, "after") == 0);

    // Standard error has the reason once and the lost lines, here up to the same limit: it is a file too.
    const auto shown = lines_of(read_file(folder / "stderr"));
    const auto is_reason = [&](const std::string& line) { return line.find(file.string()) != std::string::npos; };
    BOOST_TEST(std::ranges::count_if(shown, is_reason) == 1);
    BOOST_TEST(shown.size() > 100u);
    BOOST_TEST(std::ranges::count_if(shown, [](const auto& line) { return !event_of(line).is_null(); }) >= std::ssize(shown) - 2);
}

// G4. What happens to the file, and what undoes it where it doesn't heal by itself.
BOOST_AUTO_TEST_CASE(lines_arrive_again_soon_after_a_disaster) {
    struct Disaster {
        const char* name;
        std::function<void(const fs::path&)> strike;
        std::function<void(const fs::path&)> undo;
    };
    const auto nothing = [](const fs::path&) {};
    const Disaster disasters[] = {
        {"folder removed", [](const auto& folder) { fs::remove_all(folder); }, nothing},
        {"folder renamed", [](const auto& folder) { fs::rename(folder, folder.string() + ".old"); }, nothing},
        {"file renamed", [](const auto& folder) { fs::rename(folder / "recto.log", folder / "other.log"); }, nothing},
        {"file replaced", [](const auto& folder) { fs::remove(folder / "recto.log"), write_text(folder / "recto.log", "torn"); }, nothing},
        {"file emptied", [](const auto& folder) { fs::resize_file(folder / "recto.log", 0); }, nothing},
        {"lock file removed", [](const auto& folder) { fs::remove(folder / ".recto.log.lock"); }, nothing},
        {"folder is a file", [](const auto& folder) { fs::remove_all(folder), write_text(folder, "x"); },
         [](const auto& folder) { fs::remove(folder); }},
        {"folder closed", [](const auto& folder) { fs::permissions(folder, fs::perms::none); },
         [](const auto& folder) { fs::permissions(folder, fs::perms::owner_all); }},
    };
    for (const auto& disaster : disasters) BOOST_TEST_CONTEXT(disaster.name) {
            const TemporaryFolder folder;
            const auto logs = folder / "logs";
            const auto file = logs / "recto.log";
            BOOST_REQUIRE(exit_status(in_child([&] {
                              const ErrorOutput redirected(folder / "stderr");
                              const LogSession session(log_to({.file = file}));
                              log_event("before");
                              disaster.strike(logs);
                              for (int i = 0; i < 5; ++i) std::this_thread::sleep_for(30ms), log_event("during");
                              disaster.undo(logs);
                              const bool recovered = eventually(
                                  [&] {
                                      log_event("after");
                                      return fs::exists(file) && read_file(file).find(R"({"ev":"after")") != std::string::npos;
                                  },
                                  2s);
                              if (!recovered) throw std::runtime_error("nothing arrived");
                          })) == 0);
            for (const auto& line : lines_of(read_file(file))) BOOST_TEST((line == "torn" || event_of(line).is_object()));
        }
}

// `truncate -s 0 logs/.*`: what is mapped from a file that gets shorter kills whoever reads it.
BOOST_AUTO_TEST_CASE(nobody_who_empties_hidden_files_of_the_log_folder_harms_anything) {
    const TemporaryFolder folder;
    const auto logs = folder / "logs";
    auto options = log_to({.file = logs / "recto.log", .max_bytes = Size{20'000}, .backup_count = 200});
    options.runtime_dir = folder / "run";
    constexpr int kProcesses = 3, kLines = 3000;
    const Progress logged;
    std::vector<pid_t> writers;
    for (int process = 0; process < kProcesses; ++process) writers.push_back(start_writers(options, process, kLines, logged));
    const auto still_writing = [&] {
        for (int writer = 0; writer < kProcesses * kThreads; ++writer)
            if (logged[writer] < kLines) return true;
        return false;
    };
    const auto empty_hidden_files = [&] {
        if (!fs::exists(logs)) return;
        for (const auto& entry : fs::directory_iterator(logs))
            if (entry.path().filename().string().starts_with('.')) fs::resize_file(entry.path(), 0);
    };
    (void)eventually([&] { return empty_hidden_files(), !still_writing(); }, 20s);
    for (const auto pid : writers) BOOST_TEST(exit_status(pid) == 0);

    const auto numbers = numbers_in(logs / "recto.log");
    BOOST_TEST(numbers.malformed == 0u);
    BOOST_TEST(numbers.of_writer.size() == std::size_t{kProcesses * kThreads});
    for (const auto& [writer, written] : numbers.of_writer) BOOST_TEST(written.size() == std::size_t{kLines});
    BOOST_TEST(largest_file(logs / "recto.log") <= 20'000u + kProcesses * 512u);
}

// Where the meter is, and its folder.
BOOST_AUTO_TEST_CASE(a_log_goes_on_when_the_runtime_folder_is_removed) {
    for (const bool can_be_made : {true, false}) BOOST_TEST_CONTEXT(can_be_made) {
            const TemporaryFolder folder;
            const auto file = folder / "recto.log";
            auto options = log_to({.file = file, .max_bytes = Size{2000}, .backup_count = 200});
            options.runtime_dir = folder / "run";
            BOOST_TEST(exit_status(in_child([&] {
                           const ErrorOutput redirected(folder / "stderr");
                           const LogSession session(options);
                           Counter ignored;
                           log_numbers(0, 100, ignored);
                           fs::remove_all(options.runtime_dir);
                           if (!can_be_made) write_text(options.runtime_dir, "x");
                           log_numbers(1, 100, ignored);
                       })) == 0);
            const auto numbers = numbers_in(file);
            BOOST_TEST(numbers.malformed == 0u);
            for (const auto writer : {0, 1}) BOOST_TEST(numbers.of_writer.at(writer).size() == 100u);
            BOOST_TEST(largest_file(file) <= 2000u);
            BOOST_TEST(read_file(folder / "stderr") == "");
        }
}

BOOST_AUTO_TEST_CASE(a_device_or_a_pipe_takes_lines_and_is_neither_rotated_nor_locked) {
    const TemporaryFolder folder;
    const auto pipe = folder / "pipe";
    BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const UniqueFd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
    for (const auto& file : {fs::path("/dev/null"), pipe}) BOOST_TEST_CONTEXT(file) {
            auto options = log_to({.file = file,
                                   .max_bytes = Size{1000},
                                   .backup_count = 1,
                                   .sync_errors = true,
                                   .min_free_space = Size{std::uint64_t{1} << 60}});
            options.runtime_dir = folder / ("run." + file.filename().string());
            BOOST_TEST(exit_status(in_child([&] {
                           const ErrorOutput redirected(folder / "stderr");
                           const LogSession session(options);
                           for (int i = 0; i < 100; ++i) log_event("number", {}, kDefaultLogger, i % 10 == 0 ? Level::error : Level::info);
                           std::this_thread::sleep_for(150ms);
                           log_event("number");
                       })) == 0);
            const auto counts = LogCounters::open(options.runtime_dir, options.handlers).read(0);
            BOOST_TEST(counts.written == 101u);
            BOOST_TEST(counts.lost == 0u);
            BOOST_TEST(counts.rotations == 0u);
            BOOST_TEST(counts.reopened == 0u);
            BOOST_TEST(counts.last_errno == 0);
            BOOST_TEST(!fs::exists(rotation_lock_path(file)));
            BOOST_TEST(read_file(folder / "stderr") == "");
        }
    std::string text(64u << 10, '\0');
    const auto count = ::read(reader.get(), text.data(), text.size());
    BOOST_REQUIRE(count > 0);
    BOOST_TEST(lines_of(text.substr(0, static_cast<std::size_t>(count))).size() == 101u);
}

BOOST_AUTO_TEST_CASE(lines_that_had_nowhere_to_go_are_counted) {
    const TemporaryFolder folder;
    const auto logs = folder / "logs";
    BOOST_REQUIRE(exit_status(in_child([&] {
                      const ErrorOutput redirected(folder / "stderr");
                      const LogSession session(log_to({.file = logs / "recto.log"}));
                      fs::remove_all(logs);
                      write_text(logs, "x");
                      std::this_thread::sleep_for(150ms);
                      for (int i = 0; i < 100; ++i) log_event("lost");
                      fs::remove(logs);
                      std::this_thread::sleep_for(150ms);
                      log_event("found");
                  })) == 0);
    const auto events = events_of(logs / "recto.log");
    BOOST_REQUIRE(events.size() == 2u);
    BOOST_TEST(events[0].at("data").at("lost").as_int64() == 100);
    BOOST_TEST(events[1].at("ev").as_string() == "found");
}

BOOST_AUTO_TEST_CASE(half_a_line_of_before_the_start_is_ended) {
    const TemporaryFolder folder;
    write_text(folder / "recto.log", "half a li");
    const LogSession session(log_to({.file = folder / "recto.log"}));
    log_event("first");
    const auto lines = lines_of(read_file(folder / "recto.log"));
    BOOST_REQUIRE(lines.size() == 2u);
    BOOST_TEST(lines[0] == "half a li");
    BOOST_TEST(event_of(lines[1]).is_object());
}

BOOST_AUTO_TEST_CASE(half_a_line_of_a_process_killed_while_writing_costs_no_line_of_another) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    const LogSession session(log_to({.file = file}));
    log_event("number", {{"writer", 0}, {"number", 0}});

    struct stat status {};
    BOOST_REQUIRE(::stat(file.c_str(), &status) == 0);
    Meter killed(meter_path(file, {}));
    BOOST_REQUIRE((killed.enter(status.st_ino, 100, 10u << 20) == Meter::Answer::go_on));
    write_text(file, "half a li");

    for (int i = 1; i < 10; ++i) log_event("number", {{"writer", 0}, {"number", i}});
    const auto numbers = numbers_in(file);
    BOOST_TEST(numbers.malformed == 1u);
    BOOST_TEST(numbers.of_writer.at(0).size() == 10u);
    BOOST_TEST(counts_up(numbers.of_writer.at(0)));
}

BOOST_AUTO_TEST_CASE(a_stopped_process_that_holds_the_lock_does_not_stop_the_others) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    BOOST_REQUIRE(exit_status(in_child([&] {
                      const ErrorOutput redirected(folder / "stderr");
                      const LogSession session(log_to({.file = file, .max_bytes = Size{2000}}));
                      Counter ignored;
                      log_numbers(0, 3, ignored);
                      const auto lock = FileLock::wait(folder / ".recto.log.lock", FileLock::Mode::exclusive);
                      const auto begin = std::chrono::steady_clock::now();
                      log_numbers(1, 1000, ignored);
                      if (std::chrono::steady_clock::now() - begin > 4s) throw std::runtime_error("waited");
                  })) == 0);
    BOOST_TEST(numbers_in(file).of_writer.at(1).size() == 1000u);
}

// G8
BOOST_AUTO_TEST_CASE(a_request_never_appears_in_the_line_of_another) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    constexpr int kRequests = 1000;
    const auto serve = [](int thread) {
        for (int request = 0; request < kRequests; ++request) {
            const auto id = std::to_string(thread) + '-' + std::to_string(request);
            RequestContext context{id, {}, thread * kRequests + request};
            const ContextScope scope(context);
            log_event("served", json::string(id), id);
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 8; ++thread) threads.emplace_back(serve, thread);
    }
    std::set<std::string> seen;
    for (const auto& event : events_of(folder / "recto.log")) {
        BOOST_REQUIRE(event.at("txid") == event.at("data"));
        const auto id = std::string(event.at("txid").as_string());
        const auto dash = id.find('-');
        BOOST_REQUIRE(event.at("uid").as_int64() == std::stoi(id.substr(0, dash)) * kRequests + std::stoi(id.substr(dash + 1)));
        seen.insert(id);
    }
    BOOST_TEST(seen.size() == 8u * kRequests);
}

BOOST_AUTO_TEST_CASE(a_child_has_its_own_pid_in_its_lines) {
    const TemporaryFolder folder;
    const auto file = folder / "recto.log";
    {
        const LogSession session(log_to({.file = file}));
        log_event("parent");
    }
    const auto child = in_child([&] {
        const LogSession session(log_to({.file = file}));
        log_event("child");
    });
    BOOST_REQUIRE(exit_status(child) == 0);
    const auto lines = lines_of(read_file(file));
    BOOST_REQUIRE(lines.size() == 2u);
    BOOST_TEST(lines[0].find(' ' + std::to_string(::getpid()) + ' ') != std::string::npos);
    BOOST_TEST(lines[1].find(' ' + std::to_string(child) + ' ' + std::to_string(child) + ' ') != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_thread_that_never_logged_may_fork) {
    const TemporaryFolder folder;
    const LogSession session(log_to({.file = folder / "recto.log"}));
    log_event("parent");
    int status = -1;
    std::thread([&] { status = exit_status(in_child([] {})); }).join();
    BOOST_TEST(status == 0);
}
