// Lines of the log, whole and broken, and what is read out of them.
#define BOOST_TEST_MODULE line_reader
#include "log/line_reader.hpp"

#include <random>

#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include "log/line.hpp"
#include "util/context.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

constexpr const char* kTxid = "e18c3f68f1b7bff403613b5d3865e352";

TimePoint at(std::string_view text) { return parse_log_time(text).value().time; }

// As the log writes them.
std::string written(std::string_view format, const LogRecord& record) {
    auto line = LineFormat::parse(format).value().line(record, 64 << 10);
    line.pop_back();
    return line;
}

const timespec kMoment{.tv_sec = 1'795'797'016, .tv_nsec = 123'456'000};
const RequestContext kRequest{.txid = kTxid, .address = "203.0.113.9", .user_id = 12};

LogRecord event_record(const json::value& data) {
    return {.level = Level::warning,
            .logger = "recto.request",
            .event = "request.slow",
            .data = &data,
            .text = {},
            .context = &kRequest,
            .time = kMoment};
}

LogRecord message_record(std::string_view text) {
    return {.level = Level::error, .logger = "recto.cache", .event = {}, .text = text, .context = &kRequest, .time = kMoment};
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_event_is_read_back_from_each_format) {
    const json::value data{{"view", "blogs.by_author"}, {"us", 123456}, {"odd", "a \"b\" {c} txid=no \n"}};
    const auto record = event_record(data);
    for (const auto* format :
         {"verbose", "json", "ecs", "{levelname} {name} {asctime}: {message}", "[{asctime}] {message} {levelname} {name} |"})
        BOOST_TEST_CONTEXT(format) {
            const auto line = parse_log_line(written(format, record));
            BOOST_REQUIRE(line.time.has_value());
            BOOST_TEST(micros(*line.time) == 1'795'797'016'123'456);
            BOOST_TEST(line.event == "request.slow");
            BOOST_TEST(line.data == data);
            BOOST_TEST(line.txid == kTxid);
            BOOST_TEST(line.uid.value_or(-1) == 12);
            BOOST_TEST(line.text == "");
            const bool tells_level = std::string_view(format) != "verbose";
            BOOST_TEST(line.level.has_value() == tells_level);
            if (tells_level) BOOST_TEST((line.level == Level::warning));
            BOOST_TEST(line.logger == (tells_level ? "recto.request" : ""));
            if (format[0] != '{' && format[0] != '[') {
                BOOST_TEST(line.pid.value_or(-1) == ::getpid());
                BOOST_TEST(line.tid.value_or(-1) == ::gettid());
            }
        }
}

BOOST_AUTO_TEST_CASE(a_message_is_read_back_from_each_format) {
    const auto record = message_record("memcached said \"no\"");
    for (const auto* format : {"verbose", "json", "ecs"}) BOOST_TEST_CONTEXT(format) {
            const auto line = parse_log_line(written(format, record));
            BOOST_REQUIRE(line.time.has_value());
            BOOST_TEST(micros(*line.time) == 1'795'797'016'123'456);
            BOOST_TEST(line.event == "");
            BOOST_TEST(line.text == "memcached said \"no\"");
            BOOST_TEST(line.txid == kTxid);
            BOOST_TEST(line.uid.value_or(-1) == 12);
            BOOST_TEST(line.tid.value_or(-1) == ::gettid());
        }
    const auto line = parse_log_line(written("{asctime} {levelname} [{txid}] {name}: {message}", record));
    BOOST_TEST((line.level == Level::error));
    BOOST_TEST(line.logger == "recto.cache");
    BOOST_TEST(line.txid == kTxid);
}

BOOST_AUTO_TEST_CASE(what_a_line_does_not_tell_is_absent) {
    const auto line = parse_log_line(R"(2026-11-22 22:32:56.059393Z 24556 24568 {"ev":"worker.start","data":null})");
    BOOST_TEST((line.time == at("2026-11-22 22:32:56.059393Z")));
    BOOST_TEST(line.event == "worker.start");
    BOOST_TEST(line.data.is_null());
    BOOST_TEST(line.txid == "");
    BOOST_TEST(!line.uid.has_value());
    BOOST_TEST(!line.level.has_value());
    BOOST_TEST(line.pid.value() == 24556);
    BOOST_TEST(line.tid.value() == 24568);
}

BOOST_AUTO_TEST_CASE(data_that_was_cut_is_still_an_event) {
    const json::value data{{"long", std::string(4000, 'x')}};
    const auto whole = LineFormat::parse("verbose").value().line(event_record(data), 1024);
    const auto line = parse_log_line(std::string_view(whole).substr(0, whole.size() - 1));
    BOOST_TEST(line.event == "request.slow");
    BOOST_TEST(line.data.is_string());
    BOOST_TEST(line.txid == kTxid);
}

BOOST_AUTO_TEST_CASE(nginx_tells_the_end_of_a_request) {
    const auto line = parse_log_line(
        R"({"time":"2026-11-22T23:32:56+01:00","request_id":"e18c3f68f1b7bff403613b5d3865e352","address":"127.0.0.1","method":"GET",)"
        R"("uri":"/api/blogs?author_id=1","status":"200","bytes":"3211","seconds":"0.001","recto_seconds":"0.001",)"
        R"("referer":"","agent":"curl"})");
    BOOST_TEST(line.logger == "nginx");
    BOOST_TEST(line.txid == kTxid);
    BOOST_TEST(line.data.at("status").as_string() == "200");
    BOOST_TEST((line.time == at("2026-11-22 22:32:56.999999Z")));
}

BOOST_AUTO_TEST_CASE(what_is_no_line_of_a_log_is_text) {
    const std::string binary("\0\xFF\x1B[2J\x80{\"ev\":\0", 14);
    const std::string_view inputs[] = {"",
                                       " ",
                                       "{",
                                       "{}",
                                       "[]",
                                       "null",
                                       "{\"ev\":\"a\"",
                                       "{\"ev\":5,\"data\":{}",
                                       "{\"time\":5,\"ev\":[],\"txid\":{},\"uid\":\"x\",\"pid\":\"y\"}",
                                       "{\"@timestamp\":null,\"event.action\":7,\"trace.id\":[1],\"user.id\":{}}",
                                       "{\"request_id\":1,\"uri\":2,\"time\":3}",
                                       "2026-11-22",
                                       "2026-11-22 22:32:56.059393Z",
                                       "2026-11-22 22:32:56.059393Z ",
                                       "2026-11-22 22:32:56.059393Z 1",
                                       "2026-11-22 22:32:56.059393Z 1 2",
                                       "2026-11-22 22:32:56.059393Z 1 2 ",
                                       "2026-11-22 22:32:56.059393Z 1 2 {\"ev\":\"a\",\"da",
                                       "2026-11-22 22:32:56.059393Z 99999999999999999999 2 {\"ev\":\"a\",\"data\":1}",
                                       "2026-13-45 99:99:99.999999Z 1 2 {\"ev\":\"a\",\"data\":1}",
                                       binary,
                                       " txid=",
                                       " uid=",
                                       "x txid= uid=",
                                       "x txid=a uid=99999999999999999999999"};
    for (const auto input : inputs) BOOST_TEST_CONTEXT(json_string(input)) {
            BOOST_CHECK_NO_THROW((void)parse_log_line(input));
        }

    BOOST_TEST(parse_log_line("half a li").text == "half a li");
    BOOST_TEST(parse_log_line("{\"ev\":\"a\",\"da").text == "{\"ev\":\"a\",\"da");
    BOOST_TEST(parse_log_line("2026-11-22 22:32:56.059393Z 1 2 {\"ev\":\"a\",\"da").text == "{\"ev\":\"a\",\"da");
    BOOST_TEST(parse_log_line("2026-11-22 22:32:56.059393Z 1 2 {\"ev\":\"a\",\"da").event == "");
    const auto deep = std::string(100'000, '[');
    BOOST_TEST(parse_log_line("2026-11-22 22:32:56.059393Z 1 2 {\"ev\":\"a\",\"data\":" + deep).event == "");
}

// Each beginning of a line, and lines with one byte changed: never more than text comes of them.
BOOST_AUTO_TEST_CASE(broken_lines_break_nothing) {
    const json::value data{{"view", "blog"}, {"phases", {{"store", 120000}}}, {"stack", {"a", "b"}}};
    std::minstd_rand random(5);
    for (const auto* format : {"verbose", "json", "ecs", "{levelname} {name} {asctime} [{txid}]: {message}"}) {
        const auto whole = written(format, event_record(data));
        for (std::size_t i = 0; i <= whole.size(); ++i) {
            (void)parse_log_line(std::string_view(whole).substr(0, i));
            (void)parse_log_line(std::string_view(whole).substr(i));
        }
        for (int i = 0; i < 2000; ++i) {
            auto changed = whole;
            changed[random() % changed.size()] = static_cast<char>(random());
            (void)parse_log_line(changed);
        }
    }
    BOOST_TEST(parse_log_line(written("json", event_record(data))).event == "request.slow");
}

BOOST_AUTO_TEST_CASE(times) {
    const std::pair<std::string_view, std::int64_t> good[] = {
        {"1970-01-01 00:00:00.000000Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"2026-11-27 14:30:16.123456Z and more", 1'795'789'816'123'456},
        {"2026-11-27T15:30:16.123456+01:00", 1'795'789'816'123'456},
        {"2026-11-27T08:30:16.123456-06:00", 1'795'789'816'123'456},
        {"2026-11-27 14:30:16.123Z", 1'795'789'816'123'999},
        {"2026-11-27 14:30:16,123", 1'795'789'816'123'999},
        {"2026-11-27 14:30:16.123456789Z", 1'795'789'816'123'456},
        {"2026-11-27T14:30:16+00:00", 1'795'789'816'999'999},
        {"2024-02-29 00:00:00.000000Z", 1'709'164'800'000'000},
    };
    for (const auto& [text, expected] : good) BOOST_TEST_CONTEXT(text) {
            const auto time = parse_log_time(text);
            BOOST_REQUIRE(time.has_value());
            BOOST_TEST(micros(time->time) == expected);
        }
    BOOST_TEST(parse_log_time("2026-11-27 14:30:16.123456Z x").value().length == 27u);
    for (const auto* text :
         {"", "2026", "2026-11-27", "2026-11-27 14:30", "2026-02-30 00:00:00Z", "2026-11-27 24:00:00Z", "2026-11-27_14:30:16Z",
          "2026-11-27 14:61:16Z", "abcd-ef-gh ij:kl:mn", "2026-11-27 14:30:16.Z", " 2026-11-27 14:30:16Z"})
        BOOST_TEST(!parse_log_time(text).has_value(), text);
}
