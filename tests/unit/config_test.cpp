#define BOOST_TEST_MODULE config
#include "config/config.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "config/options.hpp"
#include "tests/fuzz/config_fuzz.cpp"
#include "tests/support/temporary_folder.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;
using namespace std::chrono_literals;
using namespace std::string_literals;
using std::chrono::milliseconds;

namespace {

const KnownView kViews[] = {{"blogs.by_author", {"anon", "user"}}, {"blog", {"blog_limit"}}, {"blog.detail"}, {"blog2"}};
constexpr std::string_view kModels[] = {"auth.user", "auth.token", "blog.post"};

LoadedConfig parse(std::string_view text, const Environment& environment = {}) {
    return parse_config(text, "recto.ini", environment, kViews, kModels);
}

// One a line.
std::string mistakes_of(const LoadedConfig& loaded) { return join(loaded.mistakes, "\n"); }
std::string mistakes_of(std::string_view text) { return mistakes_of(parse(text)); }

Config config_of(std::string_view text, const Environment& environment = {}) {
    auto loaded = parse(text, environment);
    BOOST_TEST(mistakes_of(loaded) == "");
    return loaded.config;
}

const EffectiveOption* find_effective(const LoadedConfig& loaded, std::string_view section, std::string_view name) {
    for (const auto& option : loaded.options)
        if (option.section == section && option.name == name) return &option;
    return nullptr;
}

// `servers, timeout`: of one section, as messages list them.
std::string keys_of(std::string_view section) {
    std::vector<std::string> keys;
    for (const auto& option : options())
        if (option.section() == section) keys.emplace_back(option.key());
    return join(keys, ", ");
}

// A file that sets one option.
std::string with(const Option& option, std::string_view value) {
    auto text = "[" + std::string(option.section()) + "]\n" + std::string(option.key()) + " = " + std::string(value) + "\n";
    if (option.name == "log.max_bytes") text += "max_record = 1KB\n";  // the least max_bytes needs it
    if (option.name == "cache.user") text += "password = hunter2\nservers = b:1\n";
    if (option.name == "cache.password") text += "user = recto\nservers = b:1\n";
    return text;
}

const Option& option_called(std::string_view name) {
    const auto found = std::ranges::find(options(), name, &Option::name);
    BOOST_REQUIRE((found != options().end()));
    return *found;
}

// Options with a range, as plain amounts: milliseconds, bytes, numbers.
struct Amount {
    std::int64_t operator()(ConfigField<int> field) const { return config.*field; }
    std::int64_t operator()(ConfigField<Size> field) const { return static_cast<std::int64_t>((config.*field).bytes); }
    std::int64_t operator()(ConfigField<milliseconds> field) const { return (config.*field).count(); }
    std::int64_t operator()(auto) const { return -1; }

    const Config& config;
};

std::int64_t amount_of(const Option& option, std::string_view value) {
    const auto config = config_of(with(option, value));
    return std::visit(Amount{config}, option.field);
}

std::string print_amount(const Option& option, std::int64_t amount) {
    if (std::holds_alternative<ConfigField<Size>>(option.field)) return to_text(Size{static_cast<std::uint64_t>(amount)});
    if (std::holds_alternative<ConfigField<milliseconds>>(option.field)) return to_text(milliseconds(amount));
    return std::to_string(amount);
}

std::vector<std::string> wrong_words(const Option& option) {
    if (std::holds_alternative<ConfigField<Size>>(option.field)) return {"", "2", "2s", "2mb", "1.5MB", "-1MB", "2 MB", "99999999999GB"};
    if (std::holds_alternative<ConfigField<milliseconds>>(option.field)) return {"", "90", "90MB", "90sm", "1.5s", "-90s", "90 s"};
    return {"", "64s", "64MB", "064x", "6e1", "64.0", "+64", "-64", "0x40", "99999999999999999999"};
}

struct Case {
    std::string text;
    std::string mistakes;
};

void check_mistakes(std::span<const Case> cases) {
    for (const auto& [text, mistakes] : cases) BOOST_TEST_CONTEXT(text) {
            const auto loaded = parse(text);
            BOOST_TEST(mistakes_of(loaded) == mistakes);
            BOOST_TEST((loaded.config == Config{}));
        }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(the_file)

BOOST_AUTO_TEST_CASE(etc_recto_ini_is_what_the_table_says) {
    // UPDATE_GOLDEN=1 writes it anew; git diff is then the review.
    if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream("etc/recto.ini") << sample_ini();
    BOOST_TEST(read_file("etc/recto.ini") == sample_ini());
}

BOOST_AUTO_TEST_CASE(the_sample_means_the_defaults) {
    BOOST_TEST((config_of(sample_ini()) == config_of("")));
    for (const auto& option : options()) BOOST_TEST_CONTEXT(option.name) {
            const auto loaded = parse(sample_ini());
            const auto* effective = find_effective(loaded, option.section(), option.key());
            BOOST_REQUIRE(effective);
            BOOST_TEST(effective->value == option.initial);
            BOOST_TEST(effective->origin.starts_with("recto.ini:"));
        }
}

// The lines from the section on, up to the next paragraph.
std::string example_of(const std::string& section) {
    const auto sample = sample_ini();
    const auto from = sample.find("# [" + section + "]\n");
    std::string text;
    for (const auto& line : split_list(sample.substr(from, sample.find("\n\n", from) - from), '\n')) text += line.substr(2) + '\n';
    return text;
}

BOOST_AUTO_TEST_CASE(the_examples_work_without_their_comment_signs) {
    const auto view = config_of(example_of("view blogs.by_author")).views.at("blogs.by_author");
    BOOST_TEST((*view.cache == 10min));
    BOOST_TEST((*view.throttle == std::vector<std::string>{"anon", "user"}));
    BOOST_TEST(*view.log == "info");
    const auto model = config_of(example_of("model auth.user")).models.at("auth.user");
    BOOST_TEST((*model.ops == std::vector<std::string>{"get", "fetch"}));
    BOOST_TEST((*model.timeout == 15min));
    BOOST_TEST(*model.lock == "on");
}

BOOST_AUTO_TEST_CASE(the_defaults_are_these) {
    const auto config = config_of("");
    BOOST_TEST(config.data == "/var/lib/recto");
    BOOST_TEST(config.server_socket == "/run/recto.sock");
    BOOST_TEST(config.store_file == "/var/lib/recto/recto.db");
    BOOST_TEST(config.log_file == "/var/lib/recto/logs/recto.log");
    BOOST_TEST(config.server_threads == 1);
    BOOST_TEST((config.server_idle_timeout > 60s));  // nginx's keepalive_timeout
    BOOST_TEST((config.cache_timeout == 50ms));
    BOOST_TEST((config.cache_servers == std::vector{"unix:/run/recto-memcached/memcached.sock"s}));
    BOOST_TEST((config.throttle_scopes == std::map<std::string, std::optional<Rate>>{{"anon", Rate{100, 24h}},
                                                                                     {"blog_2_limit", Rate{1000, 24h}},
                                                                                     {"blog_limit", Rate{1000, 24h}},
                                                                                     {"user", Rate{1000, 24h}},
                                                                                     {"wrong_tokens", Rate{60, 1h}}}));
    BOOST_TEST(config.log_max_bytes.bytes == 10u << 20);
    BOOST_TEST(config.log_backup_count == 10);
    BOOST_TEST(config.views.empty());
}

BOOST_AUTO_TEST_CASE(windows_newlines_a_byte_order_mark_and_no_last_newline_are_fine) {
    for (const auto* text :
         {"[cache]\r\ntimeout = 80ms\r\n", "\xEF\xBB\xBF[cache]\ntimeout = 80ms\n", "[cache]\ntimeout = 80ms",
          "\xEF\xBB\xBF; hello\r\n\r\n  [ cache ]\t\r\n\t timeout=80ms \t", "[cache]\n#timeout = 1s\n;x\ntimeout =\t80ms"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST((config_of(text).cache_timeout == 80ms));
}

BOOST_AUTO_TEST_CASE(a_missing_file_and_a_folder_are_told_in_one_sentence) {
    const TemporaryFolder folder;
    const auto missing = folder / "recto.ini";
    BOOST_TEST(mistakes_of(load_config(missing, {}, kViews, kModels)) == "cannot open " + missing.string() + ": No such file or directory");
    BOOST_TEST(mistakes_of(load_config(folder.path(), {}, kViews, kModels)) ==
               "cannot read " + folder.path().string() + ": Is a directory");
}

BOOST_AUTO_TEST_CASE(a_file_is_named_as_it_was_given) {
    const TemporaryFolder folder;
    const auto file = folder / "my.ini";
    std::ofstream(file) << "[cache]\ntimeout = 80ms\n";
    const auto loaded = load_config(file, {}, kViews, kModels);
    BOOST_TEST((loaded.config.cache_timeout == 80ms));
    BOOST_TEST(find_effective(loaded, "cache", "timeout")->origin == file.string() + ":2");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(mistakes)

BOOST_AUTO_TEST_CASE(the_shape_of_a_line_is_checked) {
    const auto longest = "[log]\nfile = " + std::string(8191 - 7, 'x');
    BOOST_TEST(config_of(longest).log_file.string().size() == "/var/lib/recto/"s.size() + 8191 - 7);
    const Case cases[] = {
        {longest + "x\n[store]\nfile =\n",
         "recto.ini:2: the line is longer than 8191 bytes\n"
         "recto.ini:4: [store] file = : expected a path, such as recto.db"},
        {"[cache]\n" + std::string(1 << 20, 'x') + "\n", "recto.ini:2: the line is longer than 8191 bytes"},
        {"[cache\ntimeout = 1h\n[log]\nlevel = loud\n",
         "recto.ini:1: [cache: expected [name] and nothing else on the line\n"
         "recto.ini:4: [log] level = loud: expected debug, info, warning or error"},
        {"[server]\nthreads = 2\n[cache\ntimeout = 80ms\n", "recto.ini:3: [cache: expected [name] and nothing else on the line"},
        {"[cache] ; fast", "recto.ini:1: [cache] ; fast: expected [name] and nothing else on the line"},
        {"[cache]]", "recto.ini:1: [cache]]: expected [name] and nothing else on the line"},
        {"[ ]", "recto.ini:1: [ ]: expected a name between [ and ]"},
        {"[" + std::string(50, 'a') + "]", "recto.ini:1: [" + std::string(50, 'a') + "]: a section's name has at most 49 bytes"},
        {"[cache]\n" + std::string(50, 'a') + " = 1", "recto.ini:2: " + std::string(50, 'a') + " = 1: a name has at most 49 bytes"},
        {"[cache]\ntimeout\n", "recto.ini:2: timeout: expected name = value"},
        {"[cache]\ntimeout: 80ms\n", "recto.ini:2: timeout: 80ms: expected name = value"},
        {"[cache]\nservers: a=b\n", "recto.ini:2: servers: a=b: expected name = value"},
        {"[cache]\n= 80ms\n", "recto.ini:2: = 80ms: expected name = value"},
        {"\n\ntimeout = 80ms\n", "recto.ini:3: timeout = 80ms: expected a section such as [server] before it"},
        {"[cache]\nprefix = a\0b\n"s, "recto.ini:2: the line has a control character (0x00)"},
        {"[cache]\nprefix = a\x1B[2Jb\n", "recto.ini:2: the line has a control character (0x1B)"},
        {"[log]\nlevel = info\rfile = x\r", "recto.ini:2: the line has a control character (0x0D)"},
        {"[log]\nfile = a\xFF.log\n", "recto.ini:2: the line has bytes that are not UTF-8"},
        {"# \xC0\xAF\n", "recto.ini:1: the line has bytes that are not UTF-8"},
        {"[log]\nfile = /var/log/recto.log ; here\n",
         "recto.ini:2: [log] file = /var/log/recto.log ; here: a comment needs a line of its own"},
        {"[cache]\ntimeout = # 80ms\n", "recto.ini:2: [cache] timeout = # 80ms: a comment needs a line of its own"},
        {"[log]\nfile = \"recto.log\"\n", "recto.ini:2: [log] file = \"recto.log\": values stand without quotes"},
    };
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_name_we_do_not_know_is_told_with_the_nearest_one) {
    const auto keys = keys_of("cache");
    const auto cache = " Known: " + keys;
    const auto sections = "site, server, store, cache, throttle, log, view NAME, scope NAME, model NAME, handler NAME, logger NAME"s;
    const auto views = "blogs.by_author, blog, blog.detail, blog2"s;
    const Case cases[] = {
        {"[cache]\ntimeuot = 80ms", "recto.ini:2: [cache] timeuot = 80ms: unknown name, did you mean timeout?" + cache},
        {"[cache]\nTimeout = 80ms", "recto.ini:2: [cache] Timeout = 80ms: unknown name, did you mean timeout?" + cache},
        {"[cache]\nserver = a:1", "recto.ini:2: [cache] server = a:1: unknown name, did you mean servers?" + cache},
        {"[cache]\nsize = 1MB", "recto.ini:2: [cache] size = 1MB: unknown name; known: " + keys},
        {"[cahce]\nx = 1", "recto.ini:1: [cahce]: unknown section, did you mean cache? Known: " + sections},
        {"[Log]", "recto.ini:1: [Log]: unknown section, did you mean log? Known: " + sections},
        {"[database]", "recto.ini:1: [database]: unknown section; known: " + sections},
        {"[veiw blog]", "recto.ini:1: [veiw blog]: unknown section, did you mean view NAME? Known: " + sections},
        {"[view]", "recto.ini:1: [view]: expected the name of a view, such as [view blogs.by_author]"},
        {"[view blogs.by_autor]", "recto.ini:1: [view blogs.by_autor]: unknown view, did you mean blogs.by_author? Known: " + views},
        {"[view home]\ncache = x", "recto.ini:1: [view home]: unknown view; known: " + views},
        {"[view blog]\ncahce = 1min",
         "recto.ini:2: [view blog] cahce = 1min: unknown name, did you mean cache? Known: cache, throttle, cost, at_once, log"},
        {"[throttle]\ncleints = 8192",
         "recto.ini:2: [throttle] cleints = 8192: expected a rate of 0 to 100000 requests, or off, such as 100/day, "
         "5/second or 30/15minutes (periods: second, minute, hour, day), did you mean clients?"},
    };
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(what_stands_twice_is_told_with_both_lines) {
    const Case cases[] = {
        {"[cache]\ntimeout = 80ms\n\ntimeout = 90ms\n", "recto.ini:4: [cache] timeout = 90ms: is set already at line 2"},
        {"[cache]\n[log]\n[cache]\n", "recto.ini:3: [cache]: this section is already at line 1"},
        {"[cache]\ntimeout = 80ms\n[log]\n[cache]\ntimeout = 90ms\n",
         "recto.ini:4: [cache]: this section is already at line 1\n"
         "recto.ini:5: [cache] timeout = 90ms: is set already at line 2"},
        {"[view blog]\nlog = off\n[view blog]\n", "recto.ini:3: [view blog]: this section is already at line 1"},
        {"[throttle]\nmine = 1/s\nmine = 2/s\n", "recto.ini:3: [throttle] mine = 2/s: is set already at line 2"},
    };
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_model_s_mistakes_are_told) {
    const auto models = "*.*, auth.*, auth.token, auth.user, blog.*, blog.post"s;
    const auto ops = "expected get, fetch, count, aggregate, exists or all, separated by commas, or none, such as get, fetch"s;
    const Case cases[] = {
        {"[model auth.usr]", "recto.ini:1: [model auth.usr]: unknown model, did you mean auth.user? Known: " + models},
        {"[model shop.*]", "recto.ini:1: [model shop.*]: unknown model; known: " + models},
        {"[model *]", "recto.ini:1: [model *]: unknown model, did you mean *.*? Known: " + models},
        {"[model]", "recto.ini:1: [model]: expected the name of a model, such as [model auth.user] or [model auth.*]"},
        {"[modle auth.user]",
         "recto.ini:1: [modle auth.user]: unknown section, did you mean model NAME? Known: site, server, store, cache, "
         "throttle, log, view NAME, scope NAME, model NAME, handler NAME, logger NAME"},
        {"[model auth.user]\nops = get, fecth", "recto.ini:2: [model auth.user] ops = get, fecth: " + ops},
        {"[model auth.user]\nops = get,,fetch", "recto.ini:2: [model auth.user] ops = get,,fetch: " + ops},
        {"[model auth.user]\nops =", "recto.ini:2: [model auth.user] ops = : " + ops},
        {"[model auth.user]\ntimeout = 31d", "recto.ini:2: [model auth.user] timeout = 31d: expected 1s to 30d, such as 15min"},
        {"[model auth.user]\nlock = yes", "recto.ini:2: [model auth.user] lock = yes: expected on or off"},
        {"[model auth.user]\nlocal_get = on", "recto.ini:2: [model auth.user] local_get = on: unknown name; known: ops, timeout, lock"},
    };
    check_mistakes(cases);
    BOOST_TEST(mistakes_of(parse("", {{"RECTO_MODEL__OPS", "get"}})) ==
               "RECTO_MODEL__OPS=get: a model is set in the file only, in [model NAME]");
}

BOOST_AUTO_TEST_CASE(all_are_told_at_once_by_line) {
    BOOST_TEST(mistakes_of(parse("[view blog]\nthrottle = mine\n[site]\ndata = here\n[cache]\ntimeout = 50sm\noops\n[log]\n"
                                 "max_bytes = 64KB\n",
                                 {{"RECTO_LOG__LEVEL", "loud"}, {"RECTO_CACHE__TIMEOUT", "1h"}})) ==
               "recto.ini:2: [view blog] throttle = mine: [throttle] has no scope mine; known: anon, blog_2_limit, blog_limit, user, "
               "wrong_tokens\n"
               "recto.ini:4: [site] data = here: expected an absolute path, such as /var/lib/recto\n"
               "recto.ini:6: [cache] timeout = 50sm: expected 1ms to 5s, such as 50ms (units: ms, s, min, h, d)\n"
               "recto.ini:7: oops: expected name = value\n"
               "recto.ini:9: [log] max_bytes = 64KB: expected at least 4 times max_record (64KB): 256KB\n"
               "RECTO_CACHE__TIMEOUT=1h: expected 1ms to 5s, such as 50ms\n"
               "RECTO_LOG__LEVEL=loud: expected debug, info, warning or error");
}

BOOST_AUTO_TEST_CASE(a_long_value_is_shown_in_part) {
    BOOST_TEST(mistakes_of("[cache]\ntimeout = " + std::string(5000, '9')) ==
               "recto.ini:2: [cache] timeout = " + std::string(80, '9') + "…: expected 1ms to 5s, such as 50ms (units: ms, s, min, h, d)");
}

BOOST_AUTO_TEST_CASE(ten_thousand_sections_are_ten_thousand_mistakes) {
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += "[s" + std::to_string(i) + "]\nx = 1\n";
    BOOST_TEST(parse(text).mistakes.size() == 10'000u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(values)

// Of `1s..1d|off` the first part.
std::string_view range_of(const Option& option) { return option.allowed.substr(0, option.allowed.find('|')); }

std::string without_units(const std::string& mistake) { return mistake.substr(0, mistake.find(" (units: ")); }

BOOST_AUTO_TEST_CASE(every_range_holds_at_both_ends) {
    int ranges = 0;
    for (const auto& option : options()) BOOST_TEST_CONTEXT(option.name) {
            const auto range = range_of(option);
            const auto dots = range.find("..");
            if (dots == std::string_view::npos) continue;
            ++ranges;
            const auto least = amount_of(option, range.substr(0, dots));
            const auto most = amount_of(option, range.substr(dots + 2));
            BOOST_TEST(least < most);
            for (const auto amount : {least, least + 1, most - 1, most})
                BOOST_TEST(amount_of(option, print_amount(option, amount)) == amount);

            auto bad = wrong_words(option);
            for (const auto amount : {least - 1, most + 1}) bad.push_back(print_amount(option, amount));
            for (const auto& text : bad)  // the units that follow have a test of their own
                BOOST_TEST(without_units(mistakes_of(with(option, text))) ==
                           "recto.ini:2: [" + std::string(option.section()) + "] " + std::string(option.key()) + " = " + text +
                               ": expected " + in_words(option.allowed) +
                               (option.initial == "off" ? "" : ", such as " + std::string(option.initial)));
        }
    BOOST_TEST(ranges == 25);  // a row that lost its range would pass everything above
}

// Of an option that isn't a range.
std::string another_value(const Option& option) {
    if (option.allowed == kServerList) return "a:1";
    if (option.allowed == kNetworkList) return "10.0.0.0/8";
    if (option.allowed == kHandlerList) return "stderr";
    if (option.allowed == kLineFormat) return "json";
    if (option.allowed == kTimeZone) return "Europe/Berlin";
    for (const auto& word : split_list(option.allowed, '|'))
        if (option.allowed.find('|') != std::string_view::npos && word != option.initial) return word;
    return "/elsewhere";
}

BOOST_AUTO_TEST_CASE(each_row_sets_its_own_field) {
    std::vector<Config> configs{config_of("")};
    for (const auto& option : options()) {
        if (std::holds_alternative<ScopeField>(option.field))
            configs.push_back(config_of(with(option, "7/hour")));
        else if (option.allowed.find("..") != std::string_view::npos)
            configs.push_back(config_of(with(option, range_of(option).substr(range_of(option).find("..") + 2))));
        else
            configs.push_back(config_of(with(option, another_value(option))));
    }
    for (std::size_t i = 0; i < configs.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) BOOST_TEST((configs[i] != configs[j]), "rows " << i << " and " << j);
}

BOOST_AUTO_TEST_CASE(the_log_has_handlers_and_loggers_of_ones_own) {
    const auto config = config_of(
        "[site]\ndata = /d\n[log]\nhandlers = file, own\nformat = {asctime} {levelname} {message}\n"
        "[handler own]\nfile = logs/own.log\nlevel = warning\nformat = json\nmax_bytes = 1MB\nbackup_count = 2\nmax_record = 4KB\n"
        "flush = batch\nsync = error\nmin_free_space = 64MB\ncompress = on\n[handler each]\nfile = logs/each.%i.log\n"
        "[logger recto.cache]\nlevel = debug\nhandlers = own, stderr\npropagate = off\n[logger other]\nhandlers = none\n");
    BOOST_TEST(config.log_handlers == (std::vector<std::string>{"file", "own"}), boost::test_tools::per_element());
    BOOST_TEST(config.log_format == "{asctime} {levelname} {message}");
    BOOST_TEST((config.handlers.at("own") == HandlerSection{.file = "/d/logs/own.log",
                                                            .level = "warning",
                                                            .format = "json",
                                                            .max_bytes = Size{1u << 20},
                                                            .backup_count = 2,
                                                            .max_record = Size{4096},
                                                            .flush = "batch",
                                                            .sync = "error",
                                                            .min_free_space = Size{64u << 20},
                                                            .compress = "on"}));
    BOOST_TEST(config.handlers.at("each").file->string() == "/d/logs/each.%i.log");
    BOOST_TEST((config.loggers.at("recto.cache") ==
                LoggerSection{.level = "debug", .handlers = std::vector{"own"s, "stderr"s}, .propagate = "off"}));
    BOOST_TEST((config.loggers.at("other") == LoggerSection{.handlers = std::vector<std::string>{}}));
}

BOOST_AUTO_TEST_CASE(handlers_with_names_alike_keep_out_of_each_other_s_way) {
    for (const auto* text :
         {"[handler a]\nfile = recto.log.1\n", "[handler a]\nfile = logs/recto.log.old\n", "[handler a]\nfile = /dev/null\n",
          "[handler a]\nfile = logs/recto.1.log\n", "[handler a]\nfile = x.%i.log\n[handler b]\nfile = x.log\n"})
        BOOST_TEST_CONTEXT(text) BOOST_TEST(mistakes_of(text) == "");
}

BOOST_AUTO_TEST_CASE(the_mistakes_of_handlers_and_loggers_are_told) {
    const auto format = "expected verbose, json, ecs or a pattern with {message}"s;
    const auto file = "expected a path, with no % in it but one %i in the name"s;
    const auto names = [](const std::string& whose, const std::string& name) {
        return "is a name of the files of " + whose + ", which are " + name + ", " + name + ".1 and so on";
    };
    const Case cases[] = {
        {"[handler]\n", "recto.ini:1: [handler]: expected a name of a-z, 0-9 and _ . -, such as [handler slow]"},
        {"[handler file]\nlevel = info\n", "recto.ini:1: [handler file]: this handler is set in [log]"},
        {"[handler own]\nlevel = info\n", "recto.ini:1: [handler own]: needs a file"},
        {"[handler own]\nfile = o\nmax_bytes = 64KB\n",
         "recto.ini:1: [handler own]: expected max_bytes of at least 4 times max_record (64KB)"},
        {"[handler own]\nfile = logs/recto.log\n", "recto.ini:2: [handler own] file = logs/recto.log: is the file of [log] already"},
        {"[handler a]\nfile = x\n[handler b]\nfile = x\n", "recto.ini:4: [handler b] file = x: is the file of [handler a] already"},
        {"[handler a]\nfile = x\n[handler b]\nfile = y/../x\n",
         "recto.ini:4: [handler b] file = y/../x: is the file of [handler a] already"},
        {"[log]\nfile = recto.db\n", "recto.ini:2: [log] file = recto.db: is the file of [store] already"},
        {"[store]\nfile = logs/recto.log\n", "default [log] file = logs/recto.log: is the file of [store] already"},
        {"[store]\nfile = a\n[handler own]\nfile = a\n", "recto.ini:4: [handler own] file = a: is the file of [store] already"},
        {"[handler a]\nfile = logs/recto.log.1\n", "recto.ini:2: [handler a] file = logs/recto.log.1: " + names("[log]", "recto.log")},
        {"[handler a]\nfile = y/../logs/recto.log.9.gz\n",
         "recto.ini:2: [handler a] file = y/../logs/recto.log.9.gz: " + names("[log]", "recto.log")},
        {"[log]\nfile = x.2\n[handler a]\nfile = x\n", "recto.ini:2: [log] file = x.2: " + names("[handler a]", "x")},
        {"[handler a]\nfile = x.%i.log\n[handler b]\nfile = x.7.log\n",
         "recto.ini:4: [handler b] file = x.7.log: " + names("[handler a]", "x.%i.log")},
        {"[handler a]\nfile = x.%i.log\n[handler b]\nfile = x.%i.log.1\n",
         "recto.ini:4: [handler b] file = x.%i.log.1: " + names("[handler a]", "x.%i.log")},
        {"[handler a]\nfile = x\n[handler b]\nfile = x.%i\n", "recto.ini:4: [handler b] file = x.%i: " + names("[handler a]", "x")},
        {"[store]\nfile = logs/recto.log.1\n", "recto.ini:2: [store] file = logs/recto.log.1: " + names("[log]", "recto.log")},
        {"[log]\nfile = recto.%p.log\n", "recto.ini:2: [log] file = recto.%p.log: " + file + ", such as logs/recto.log"},
        {"[log]\nfile = %i/recto.log\n", "recto.ini:2: [log] file = %i/recto.log: " + file + ", such as logs/recto.log"},
        {"[log]\nfile = %i.%i\n", "recto.ini:2: [log] file = %i.%i: " + file + ", such as logs/recto.log"},
        {"[log]\nflush = always\n", "recto.ini:2: [log] flush = always: expected record or batch"},
        {"[log]\nsync = on\n", "recto.ini:2: [log] sync = on: expected off or error"},
        {"[log]\ncompress = 2\n", "recto.ini:2: [log] compress = 2: expected on or off"},
        {"[handler own]\nfile = o\nmin_free_space = 1KB\n",
         "recto.ini:3: [handler own] min_free_space = 1KB: expected 1MB to 1000GB or off, such as 64MB"},
        {"[log]\nhandlers = file, own\n", "recto.ini:2: [log] handlers = file, own: there is no handler own; known: file, stderr"},
        {"[logger recto]\nhandlers = stder\n",
         "recto.ini:2: [logger recto] handlers = stder: there is no handler stder, did you mean stderr? Known: file, stderr"},
        {"[logger Recto]\n", "recto.ini:1: [logger Recto]: expected a name of a-z, 0-9 and _ . -, such as [logger recto.cache]"},
        {"[log]\nformat = {asctime}\n", "recto.ini:2: [log] format = {asctime}: " + format + ", such as verbose"},
        {"[log]\nformat = {nothing} {message}\n", "recto.ini:2: [log] format = {nothing} {message}: " + format + ", such as verbose"},
        {"[log]\nformat = {message\n", "recto.ini:2: [log] format = {message: " + format + ", such as verbose"}};
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_model_has_ops_a_timeout_and_a_lock) {
    const auto config =
        config_of("[model auth.user]\nops = get, fetch\ntimeout = 15min\nlock = off\n[model blog.*]\nops = none\n[model *.*]\nops = all");
    const auto& user = config.models.at("auth.user");
    BOOST_TEST(*user.ops == (std::vector<std::string>{"get", "fetch"}), boost::test_tools::per_element());
    BOOST_TEST((user.timeout == 15min));
    BOOST_TEST(user.lock.value() == "off");
    BOOST_TEST(config.models.at("blog.*").ops.value().empty());
    BOOST_TEST(config.models.at("*.*").ops.value().at(0) == "all");
}

BOOST_AUTO_TEST_CASE(levels_are_four_words) {
    for (const auto* word : {"debug", "info", "warning", "error"}) BOOST_TEST(config_of("[log]\nlevel = "s + word).log_level == word);
    for (const auto* word : {"", "INFO", "warn", "off", "debug|info", "info, error"}) BOOST_TEST_CONTEXT(word)
    BOOST_TEST(mistakes_of("[log]\nlevel = "s + word) ==
               "recto.ini:2: [log] level = "s + word + ": expected debug, info, warning or error");
}

BOOST_AUTO_TEST_CASE(servers_are_unix_paths_or_host_and_port) {
    const std::pair<std::string, std::vector<std::string>> good[] = {
        {"unix:/run/m.sock", {"unix:/run/m.sock"}},
        {"cache-1.example.org:11211,10.0.0.2:1 , unix:/m", {"cache-1.example.org:11211", "10.0.0.2:1", "unix:/m"}},
        {"localhost:65535", {"localhost:65535"}},
        {"unix:/" + std::string(106, 'a'), {"unix:/" + std::string(106, 'a')}}};
    for (const auto& [text, servers] : good) BOOST_TEST_CONTEXT(text)
    BOOST_TEST((config_of("[cache]\nservers = " + text).cache_servers == servers));
    for (const auto& text :
         {""s, ","s, "a:1,"s, "a:1,,b:2"s, "localhost"s, "localhost:"s, ":11211"s, "a:0"s, "a:65536"s, "a:11211x"s, "a:-1"s, "a:1:2"s,
          "unix:"s, "unix:m.sock"s, "/run/m.sock"s, "a b:1"s, "a:1 b:2"s, "unix:/" + std::string(107, 'a')})
        BOOST_TEST_CONTEXT(text)
    BOOST_TEST(mistakes_of("[cache]\nservers = " + text).find(": expected unix:/path (at most") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_prefix_is_fit_for_memcached) {
    for (const auto& text : {"a"s, "recto:"s, std::string(32, 'p'), "!~"s})
        BOOST_TEST(config_of("[cache]\nprefix = " + text).cache_prefix == text);
    for (const auto& text : {""s, "a b"s, std::string(33, 'p'), "é"s}) BOOST_TEST_CONTEXT(text)
    BOOST_TEST(mistakes_of("[cache]\nprefix = " + text) ==
               "recto.ini:2: [cache] prefix = " + text + ": expected 1 to 32 letters, digits and signs without blanks, such as recto:");
}

BOOST_AUTO_TEST_CASE(paths_start_from_data) {
    const auto config = config_of(
        "[log]\nfile = ../log/r.log\n[server]\nsocket = r.sock\nruntime_dir = run\n[site]\ndata = /srv/my blog\n"
        "[store]\nfile = /db/r.db\n");
    BOOST_TEST(config.log_file == "/srv/my blog/../log/r.log");
    BOOST_TEST(config.server_socket == "/srv/my blog/r.sock");
    BOOST_TEST(config.runtime_dir == "/srv/my blog/run");
    BOOST_TEST(config.store_file == "/db/r.db");
    BOOST_TEST(config.site_time_zone == "UTC");
    BOOST_TEST(config_of("[site]\ntime_zone = Europe/Berlin\n").site_time_zone == "Europe/Berlin");

    const Case cases[] = {
        {"[site]\ndata =\n", "recto.ini:2: [site] data = : expected an absolute path, such as /var/lib/recto"},
        {"[site]\ndata = ~/blog\n", "recto.ini:2: [site] data = ~/blog: expected an absolute path, such as /var/lib/recto"},
        {"[site]\ntime_zone = Berlin\n", "recto.ini:2: [site] time_zone = Berlin: expected a time zone of the IANA database, such as UTC"},
        {"[site]\ntime_zone = BST\n", "recto.ini:2: [site] time_zone = BST: expected a time zone of the IANA database, such as UTC"},
        {"[server]\nruntime_dir =\n", "recto.ini:2: [server] runtime_dir = : expected a path, such as /run/recto"},
        {"[server]\nsocket =\n", "recto.ini:2: [server] socket = : expected a path of at most 107 bytes, such as /run/recto.sock"}};
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_socket_has_107_bytes_counted_with_data) {
    const auto data = "[site]\ndata = /" + std::string(99, 'd') + "\n[server]\nsocket = ";
    BOOST_TEST(config_of(data + "123456").server_socket.string().size() == 107u);
    BOOST_TEST(mistakes_of(data + "1234567") ==
               "recto.ini:4: [server] socket = 1234567: the path of a unix socket has at most 107 bytes, /" + std::string(79, 'd') +
                   "… has 108");
}

BOOST_AUTO_TEST_CASE(a_log_file_holds_four_records_at_least) {
    BOOST_TEST(config_of("[log]\nmax_bytes = 64KB\nmax_record = 16KB\n").log_max_record.bytes == 16384u);
    BOOST_TEST(mistakes_of("[log]\nmax_record = 17KB\nmax_bytes = 64KB\n") ==
               "recto.ini:3: [log] max_bytes = 64KB: expected at least 4 times max_record (17KB): 68KB");
    BOOST_TEST(mistakes_of(parse("", {{"RECTO_LOG__MAX_BYTES", "100KB"}})) ==
               "RECTO_LOG__MAX_BYTES=100KB: expected at least 4 times max_record (64KB): 256KB");
}

constexpr auto kTcp = "[cache]\nservers = 127.0.0.1:11211\n";

BOOST_AUTO_TEST_CASE(a_secret_is_never_shown) {
    BOOST_TEST(option_called("cache.password").shown("hunter2") == "********");
    BOOST_TEST(option_called("cache.password").shown("") == "");
    BOOST_TEST(option_called("cache.prefix").shown("hunter2") == "hunter2");

    const auto loaded = parse(kTcp + "user = recto\npassword = hunter2\n"s);
    BOOST_TEST(mistakes_of(loaded) == "");
    BOOST_TEST(loaded.config.cache_password == "hunter2");
    BOOST_TEST(find_effective(loaded, "cache", "password")->value == "********");
    BOOST_TEST(find_effective(parse(""), "cache", "password")->value == "");
    BOOST_TEST(find_effective(parse(kTcp + "user = recto\n"s, {{"RECTO_CACHE__PASSWORD", "hunter2"}}), "cache", "password")->value ==
               "********");
}

BOOST_AUTO_TEST_CASE(a_mistake_about_a_secret_does_not_tell_it) {
    const std::pair<LoadedConfig, const char*> cases[] = {
        {parse(kTcp + "password = hunter2\n"s), "recto.ini:3: [cache] password = ********: needs [cache] user too"},
        {parse(kTcp + "user = x\npassword = hunter2 ; mine\n"s),
         "recto.ini:4: [cache] password = ********: a comment needs a line of its own"},
        {parse(kTcp + "user = x\npassword = \"hunter2\"\n"s), "recto.ini:4: [cache] password = ********: values stand without quotes"},
        {parse(kTcp + "user = x\npassword = hunter2\npassword = hunter2\n"s),
         "recto.ini:5: [cache] password = ********: is set already at line 4"},
        {parse(kTcp + "user = x\npassword = hunter2\ttab\n"s),
         "recto.ini:4: [cache] password = ********: expected empty, or up to 1024 bytes"},
        {parse(kTcp + "pasword = hunter2\n"s), "recto.ini:3: [cache] pasword = ********: unknown name, did you mean password?"},
        {parse("[server]\ncache_password = hunter2\n"), "recto.ini:2: [server] cache_password = ********: unknown name"},
        {parse(kTcp + "password hunter2\n"s), "recto.ini:3: ********: expected name = value"},
        {parse("password = hunter2\n"), "recto.ini:1: ********: expected a section such as [server] before it"},
        {parse(kTcp, {{"RECTO_CACHE__PASSWORD", "hunter2"}}), "RECTO_CACHE__PASSWORD=********: needs [cache] user too"},
        {parse(kTcp, {{"RECTO_CACHE__PASWORD", "hunter2"}}), "RECTO_CACHE__PASWORD=********: unknown variable"},
        {parse(kTcp, {{"RECTO_CACHE__PASSWORD", "hunter2\n"}}), "RECTO_CACHE__PASSWORD: the value has a control character (0x0A)"},
    };
    for (const auto& [loaded, sentence] : cases) {
        const auto mistakes = mistakes_of(loaded);
        BOOST_TEST(mistakes.find(sentence) != std::string::npos, sentence << "\n" << mistakes);
        BOOST_TEST(mistakes.find("hunter2") == std::string::npos, mistakes);
    }
    const auto scope = mistakes_of("[throttle]\ntoken = 5/fortnight\n");  // a name of the operator's own, and no secret
    BOOST_TEST(scope.find("[throttle] token = 5/fortnight: ") != std::string::npos, scope);
}

BOOST_AUTO_TEST_CASE(a_user_of_memcached_has_a_password_and_servers_on_tcp) {
    const auto config = config_of(kTcp + "user = recto\npassword = "s + std::string(1000, 'p') + "'\"$%{};#é\n");
    BOOST_TEST(config.cache_user == "recto");
    BOOST_TEST(config.cache_password.size() == 1000u + "'\"$%{};#é"s.size());
    for (const auto* any : {"'single", "\"double", "; comment", "# comment", "a ; b # c"})
        BOOST_TEST(config_of(kTcp, {{"RECTO_CACHE__USER", "recto"}, {"RECTO_CACHE__PASSWORD", any}}).cache_password == any);

    BOOST_TEST(mistakes_of(kTcp + "user = recto\n"s) == "recto.ini:3: [cache] user = recto: needs [cache] password too");
    BOOST_TEST(mistakes_of("[cache]\nservers = 10.0.0.1:11211, unix:/run/m.sock\nuser = recto\npassword = hunter2\n") ==
               "recto.ini:3: [cache] user = recto: a user is for servers on TCP, and unix:/run/m.sock is a socket");
    BOOST_TEST(mistakes_of("[cache]\nuser = recto\npassword = hunter2\n") ==
               "recto.ini:2: [cache] user = recto: a user is for servers on TCP, and unix:/run/recto-memcached/memcached.sock is a socket");
    BOOST_TEST(mistakes_of(kTcp + "user = "s + std::string(256, 'u') + "\npassword = x\n") ==
               "recto.ini:3: [cache] user = " + std::string(80, 'u') + "…: expected empty, or up to 255 bytes of printable characters");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(throttle_and_views)

BOOST_AUTO_TEST_CASE(any_name_of_throttle_is_a_scope) {
    const auto scopes =
        config_of("[throttle]\nanon = 5/second\nsearch-2.x = 30/15minutes\nclosed = 0/day\nmost = 100000/d\nuser = off\n").throttle_scopes;
    BOOST_TEST((scopes.at("anon") == Rate{5, 1s}));
    BOOST_TEST((scopes.at("search-2.x") == Rate{30, 15min}));
    BOOST_TEST((scopes.at("closed") == Rate{0, 24h}));
    BOOST_TEST((scopes.at("most") == Rate{100'000, 24h}));
    BOOST_TEST((scopes.at("user") == std::nullopt));
    BOOST_TEST(scopes.size() == 8u);

    const auto rate = ": expected a rate of 0 to 100000 requests, or off, such as 100/day, 5/second or 30/15minutes"s;
    const auto name = ": a scope's name is 1 to 43 of a-z, 0-9 and _ . - and isn't `none`"s;
    const Case cases[] = {
        {"[throttle]\nanon = 10/month\n", "recto.ini:2: [throttle] anon = 10/month" + rate + " (periods: second, minute, hour, day)"},
        {"[throttle]\nmine = 100\n", "recto.ini:2: [throttle] mine = 100" + rate + " (periods: second, minute, hour, day)"},
        {"[throttle]\nmine =\n", "recto.ini:2: [throttle] mine = " + rate},
        {"[throttle]\nuser = 100001/day\n", "recto.ini:2: [throttle] user = 100001/day" + rate},
        {"[throttle]\nnone = 1/day\n", "recto.ini:2: [throttle] none = 1/day" + name},
        {"[throttle]\nMine = 1/day\n", "recto.ini:2: [throttle] Mine = 1/day" + name},
        {"[throttle]\na, b = 1/day\n", "recto.ini:2: [throttle] a, b = 1/day" + name},
        {"[throttle]\n" + std::string(44, 'a') + " = 1/day\n", "recto.ini:2: [throttle] " + std::string(44, 'a') + " = 1/day" + name}};
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_table_has_64_scopes_at_most) {
    std::string text = "[throttle]\n";
    for (int i = 0; i < 59; ++i) text += "s" + std::to_string(i) + " = 1/day\n";
    BOOST_TEST(mistakes_of(text) == "");
    BOOST_TEST(mistakes_of(text + "one_more = 1/day\n") == "recto.ini:1: [throttle] has 65 scopes, expected at most 64");
}

BOOST_AUTO_TEST_CASE(who_is_exempt_is_a_list_of_networks_and_one_of_users) {
    const auto config =
        config_of("[throttle]\nexempt_networks = 127.0.0.1, 10.0.0.0/8,2001:db8::/32\nexempt_users = ann, J\xC3\xBCrgen K.\n");
    BOOST_TEST((config.throttle_exempt_networks == std::vector{"127.0.0.1"s, "10.0.0.0/8"s, "2001:db8::/32"s}));
    BOOST_TEST((config.throttle_exempt_users == std::vector{"ann"s, "J\xC3\xBCrgen K."s}));
    BOOST_TEST(config_of("").throttle_exempt_networks.empty());

    const auto networks = ": expected addresses and networks such as 10.0.0.0/8, separated by commas, or none"s;
    std::vector<Case> cases;
    for (const auto* const text : {"", "10.0.0.1/8", "10.0.0.0/33", "::1/129", "localhost", "10.0.0.0/8,", "10.0.0.0/8, none"})
        cases.push_back({"[throttle]\nexempt_networks = "s + text, "recto.ini:2: [throttle] exempt_networks = "s + text + networks});
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_scope_may_say_how_it_counts) {
    const auto config = config_of("[scope mine]\nrepr = windows\ndry_run = on\n[throttle]\nmine = 65534/day\n[scope anon]\n");
    BOOST_TEST((config.scopes == std::map<std::string, ScopeSection>{{"mine", {.repr = "windows", .dry_run = "on"}}}));
    const Case cases[] = {
        {"[scope]\nrepr = ring16\n", "recto.ini:1: [scope]: expected a name of [throttle], such as [scope anon]"},
        {"[scope anno]\ndry_run = on\n",
         "recto.ini:1: [scope anno]: [throttle] has no such scope, did you mean anon? "
         "Known: anon, blog_2_limit, blog_limit, user, wrong_tokens"},
        {"[scope anno]\n",
         "recto.ini:1: [scope anno]: [throttle] has no such scope, did you mean anon? "
         "Known: anon, blog_2_limit, blog_limit, user, wrong_tokens"},
        {"[scope anon]\nrepr = ring64\n", "recto.ini:2: [scope anon] repr = ring64: expected ring32, ring16 or windows"},
        {"[scope anon]\ncost = 2\n", "recto.ini:2: [scope anon] cost = 2: unknown name; known: repr, dry_run"},
        {"[throttle]\nanon = 65535/day\n[scope anon]\nrepr = ring16\n",
         "recto.ini:4: [scope anon] repr = ring16: is for limits up to 65534, and that of anon is 65535; expected ring32"}};
    check_mistakes(cases);
    BOOST_TEST(mistakes_of(parse("", {{"RECTO_SCOPE_ANON__REPR", "ring16"}})) ==
               "RECTO_SCOPE_ANON__REPR=ring16: a scope's rate is RECTO_THROTTLE__NAME; [scope NAME] is set in the file only");
}

BOOST_AUTO_TEST_CASE(a_request_may_count_often_but_not_more_often_than_the_limit) {
    BOOST_TEST((config_of("[view blogs.by_author]\ncost = 100\nat_once = 4\n").views.at("blogs.by_author") ==
                ViewSection{.cache = {}, .throttle = {}, .cost = 100, .at_once = 4, .log = {}}));
    BOOST_TEST((config_of("[view blog]\nat_once = off\n").views.at("blog").at_once == 0));
    const Case cases[] = {{"[view blogs.by_author]\ncost = 101\n",
                           "recto.ini:2: [view blogs.by_author] cost = 101: more than the whole limit of anon, 100/day"},
                          {"[view blog]\ncost = 6\nthrottle = mine\n[throttle]\nmine = 5/s\n",
                           "recto.ini:2: [view blog] cost = 6: more than the whole limit of mine, 5/second"},
                          {"[view blog]\ncost = 0\n", "recto.ini:2: [view blog] cost = 0: expected 1 to 1000, such as 1"},
                          {"[view blog]\nat_once = 0\n", "recto.ini:2: [view blog] at_once = 0: expected 1 to 10000 or off, such as 16"}};
    check_mistakes(cases);
    BOOST_TEST(mistakes_of("[view blogs.by_author]\ncost = 101\nthrottle = none\n") == "");
    BOOST_TEST(mistakes_of("[view blogs.by_author]\ncost = 101\n[throttle]\nanon = off\n") == "");
}

BOOST_AUTO_TEST_CASE(a_view_has_its_own_policy) {
    const auto config = config_of(
        "[view blog]\ncache = off\nthrottle = none\nlog = off\n[view blog.detail]\ncache = 30d\nthrottle = mine,anon\n"
        "log = debug\n[view blog2]\n[throttle]\nmine = 1/s\n");
    BOOST_TEST(config.views.size() == 2u);  // [view blog2] says nothing
    const auto& off = config.views.at("blog");
    BOOST_TEST((off.cache == 0ms));
    BOOST_TEST((off.throttle == std::vector<std::string>{}));
    BOOST_TEST((off.log == "off"));
    const auto& on = config.views.at("blog.detail");
    BOOST_TEST((on.cache == 720h));
    BOOST_TEST((on.throttle == std::vector{"mine"s, "anon"s}));
    BOOST_TEST((on.log == "debug"));
}

BOOST_AUTO_TEST_CASE(what_a_view_says_is_checked) {
    const auto cache = ": expected 1s to 30d or off, such as 10min"s;
    const auto throttle = ": expected scopes of [throttle], separated by commas, or none, such as anon, user"s;
    const auto words = ": expected debug, info, warning, error or off"s;
    std::vector<Case> cases;
    for (const auto* text : {"", "999ms", "2592000001ms", "31d", "10", "10MB", "none", "Off", "0s"})
        cases.push_back({"[view blog]\ncache = "s + text,
                         "recto.ini:2: [view blog] cache = "s + text + cache + (text == "10"s ? " (units: ms, s, min, h, d)" : "")});
    for (const auto* text : {"", "anon,", "none, anon", "anon user", "Anon"})
        cases.push_back({"[view blog]\nthrottle = "s + text, "recto.ini:2: [view blog] throttle = "s + text + throttle});
    for (const auto* text : {"", "none", "INFO", "warn"})
        cases.push_back({"[view blog]\nlog = "s + text, "recto.ini:2: [view blog] log = "s + text + words});
    cases.push_back({"[view blog]\nthrottle = anon, blog_limt\n",
                     "recto.ini:2: [view blog] throttle = anon, blog_limt: [throttle] has no scope blog_limt, did you mean blog_limit? "
                     "Known: anon, blog_2_limit, blog_limit, user, wrong_tokens"});
    cases.push_back({"[view blog]\nthrottle = anon, anon\n", "recto.ini:2: [view blog] throttle = anon, anon: anon is there twice"});
    cases.push_back({"[view blog]\nthrottle = anon, wrong_tokens\n",
                     "recto.ini:2: [view blog] throttle = anon, wrong_tokens: wrong_tokens counts answers with 401, no view can name it"});
    check_mistakes(cases);
}

BOOST_AUTO_TEST_CASE(a_scope_with_a_wrong_rate_is_one_mistake_not_one_for_each_view) {
    BOOST_TEST(parse("[throttle]\nmine = often\n[view blog]\nthrottle = mine\n").mistakes.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(environment)

BOOST_AUTO_TEST_CASE(a_variable_wins_over_the_file) {
    const Environment variables{{"RECTO_CACHE__TIMEOUT", "80ms"},
                                {"RECTO_THROTTLE__ANON", "1/s"},
                                {"RECTO_THROTTLE__MY_SCOPE", "2/s"},
                                {"RECTO_SITE__DATA", "/srv"}};
    const auto loaded = parse("[cache]\ntimeout = 60ms\nprefix = p\n[view blog]\nthrottle = my_scope\n", variables);
    BOOST_TEST(mistakes_of(loaded) == "");
    BOOST_TEST((loaded.config.cache_timeout == 80ms));
    BOOST_TEST((loaded.config.throttle_scopes.at("anon") == Rate{1, 1s}));
    BOOST_TEST((loaded.config.throttle_scopes.at("my_scope") == Rate{2, 1s}));
    BOOST_TEST(loaded.config.store_file == "/srv/recto.db");
    BOOST_TEST(find_effective(loaded, "cache", "timeout")->value == "80ms");
    BOOST_TEST(find_effective(loaded, "cache", "timeout")->origin == "RECTO_CACHE__TIMEOUT");
    BOOST_TEST(find_effective(loaded, "cache", "prefix")->origin == "recto.ini:3");
    BOOST_TEST(find_effective(loaded, "cache", "memory")->origin == "default");
    BOOST_TEST(find_effective(loaded, "throttle", "my_scope")->origin == "RECTO_THROTTLE__MY_SCOPE");
    BOOST_TEST(find_effective(loaded, "view blog", "throttle")->origin == "recto.ini:5");
}

BOOST_AUTO_TEST_CASE(every_option_has_a_variable) {
    for (const auto& option : options()) BOOST_TEST_CONTEXT(option.name) {
            const auto loaded = parse("", {{option.variable(), std::string(option.initial)}});
            BOOST_TEST(mistakes_of(loaded) == "");
            BOOST_TEST(find_effective(loaded, option.section(), option.key())->origin == option.variable());
        }
}

BOOST_AUTO_TEST_CASE(mistakes_name_the_variable) {
    const std::pair<Environment, std::string> cases[] = {
        {{{"RECTO_CACHE__TIMEOUT", "50sm"}}, "RECTO_CACHE__TIMEOUT=50sm: expected 1ms to 5s, such as 50ms (units: ms, s, min, h, d)"},
        {{{"RECTO_CACHE__TIMEOUT", ""}}, "RECTO_CACHE__TIMEOUT=: expected 1ms to 5s, such as 50ms"},
        {{{"RECTO_CACHE__TIMEUOT", "50ms"}}, "RECTO_CACHE__TIMEUOT=50ms: unknown variable, did you mean RECTO_CACHE__TIMEOUT?"},
        {{{"RECTO_FOO__BAR", "1"}}, "RECTO_FOO__BAR=1: unknown variable"},
        {{{"RECTO_VIEW_BLOG__CACHE", "1min"}}, "RECTO_VIEW_BLOG__CACHE=1min: a view is set in the file only, in [view NAME]"},
        {{{"RECTO_THROTTLE__CLEINTS", "8192"}},
         "RECTO_THROTTLE__CLEINTS=8192: expected a rate of 0 to 100000 requests, or off, such as 100/day, 5/second or 30/15minutes "
         "(periods: second, minute, hour, day), did you mean clients?"},
        {{{"RECTO_LOG__FILE", "\"a\""}}, "RECTO_LOG__FILE=\"a\": values stand without quotes"},
        {{{"RECTO_LOG__FILE", "a\nb"}}, "RECTO_LOG__FILE: the value has a control character (0x0A)"},
        {{{"RECTO_LOG__FILE", "\xFF"}}, "RECTO_LOG__FILE: the value has bytes that are not UTF-8"},
        {{{"RECTO_SERVER__SOCKET", "/" + std::string(107, 's')}},
         "RECTO_SERVER__SOCKET=/" + std::string(79, 's') + "…: the path of a unix socket has at most 107 bytes, /" + std::string(79, 's') +
             "… has 108"},
        {{{"RECTO_INSTANCE", "3"},
          {"RECTO_SERVICE_HOST", "10.0.0.1"},
          {"RECTO_SERVICE_PORT_HTTP", "80"},
          {"RECTO_PORT_80_TCP", "y"},
          {"RECTO_PORT", "tcp://10.0.0.1:80"},
          {"PATH__X", "z"},
          {"RECTOR_CACHE", "z"}},
         ""},
    };
    for (const auto& [variables, mistakes] : cases) BOOST_TEST_CONTEXT(variables.begin()->first)
    BOOST_TEST(mistakes_of(parse("", variables)) == mistakes);
}

// Without the second underscore, in small letters, without the section: what is set and not applied is a mistake.
BOOST_AUTO_TEST_CASE(a_variable_that_is_not_understood_is_a_mistake_with_the_name_meant) {
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"RECTO_THROTTLE_ANON", "5/min", ", did you mean RECTO_THROTTLE__ANON?"},
        {"recto_throttle__anon", "5/min", ", did you mean RECTO_THROTTLE__ANON?"},
        {"Recto_Throttle_Anon", "5/min", ", did you mean RECTO_THROTTLE__ANON?"},
        {"RECTO_THROTTLE___ANON", "5/min", ", did you mean RECTO_THROTTLE__ANON?"},
        {"RECTO__THROTTLE__ANON", "5/min", ", did you mean RECTO_THROTTLE__ANON?"},
        {"RECTO_ANON", "5/min", ", did you mean RECTO_THROTTLE__ANON?"},
        {"RECTO_THROTTLE_MY_SCOPE", "5/min", ", did you mean RECTO_THROTTLE__MY_SCOPE?"},
        {"recto_throttle__mine", "5/min", ", did you mean RECTO_THROTTLE__MINE?"},
        {"RECTO_CACHE_TIMEOUT", "50ms", ", did you mean RECTO_CACHE__TIMEOUT?"},
        {"RECTO_CACHE_STALE_IF_ERROR", "1h", ", did you mean RECTO_CACHE__STALE_IF_ERROR?"},
        {"RECTO_CACHE.TIMEOUT", "50ms", ", did you mean RECTO_CACHE__TIMEOUT?"},
        {"RECTO_CACH__TIMEOUT", "50ms", ", did you mean RECTO_CACHE__TIMEOUT?"},
        {"RECTO_SERVER_THREADS", "4", ", did you mean RECTO_SERVER__THREADS?"},
        {"RECTO_FILE", "x", ""},  // of [store] and of [log]
        {"RECTO_CONFIG", "/etc/recto.ini", "; the file is named by --config"},
        {"RECTO_HOME", "x", ""},
        {"RECTO_LISTEN", "x", ""},
        {"RECTO_", "x", ""},
        {"RECTO_INSTANCES", "x", ""},
        {"recto_instance", "x", ""},
    };
    for (const auto& [name, value, meant] : cases) {
        BOOST_TEST_CONTEXT(name) {
            const auto said = mistakes_of(parse("", {{name, value}}));
            if (std::string_view(meant).starts_with(": "))
                BOOST_TEST(!said.empty());
            else
                BOOST_TEST(said == name + "="s + value + ": unknown variable" + meant);
        }
    }
    for (const auto* name : {"RECTO_CACHE_PASSWORD", "recto_cache__password", "RECTO_PASSWORD", "RECTO_CACHE_PASSWD", "RECTO_SECRET"})
        BOOST_TEST(mistakes_of(parse("", {{name, "hunter2"}})).starts_with(name + "=********: unknown variable"s), name);
}

BOOST_AUTO_TEST_CASE(a_value_without_a_unit_we_know_is_told_the_units) {
    const std::pair<const char*, const char*> cases[] = {
        {"[cache]\ntimeout = 50\n", " (units: ms, s, min, h, d)"},
        {"[cache]\ntimeout = 50 ms\n", " (units: ms, s, min, h, d)"},
        {"[cache]\ntimeout = 5secs\n", " (units: ms, s, min, h, d)"},
        {"[cache]\ntimeout = 1h\n", ""},
        {"[view blogs.by_author]\ncache = 10\n", " (units: ms, s, min, h, d)"},
        {"[cache]\nmemory = 32\n", " (units: B, KB, MB, GB)"},
        {"[cache]\nmemory = 32mb\n", " (units: B, KB, MB, GB)"},
        {"[log]\nmax_bytes = 10MiB\n", " (units: B, KB, MB, GB)"},
        {"[handler own]\nfile = x\nmax_bytes = 10\n", " (units: B, KB, MB, GB)"},
        {"[throttle]\nanon = 100/month\n", " (periods: second, minute, hour, day)"},
        {"[throttle]\nmine = 100\n", " (periods: second, minute, hour, day)"},
        {"[server]\nthreads = many\n", ""},
        {"[log]\nlevel = 5\n", ""},
    };
    for (const auto& [text, units] : cases) {
        BOOST_TEST_CONTEXT(text) {
            const auto said = mistakes_of(parse(text));
            BOOST_TEST(said.find("expected ") != std::string::npos, said);
            const auto begin = std::min(said.find(" (units: "), said.find(" (periods: "));
            BOOST_TEST((begin == std::string::npos ? "" : said.substr(begin)) == units, said);
        }
    }
}

// What the head of the file lists is read, and nothing else.
BOOST_AUTO_TEST_CASE(the_units_that_recto_ini_lists_are_those_that_are_read) {
    const auto head = sample_ini().substr(0, sample_ini().find("# Paths"));
    for (const auto* unit :
         {"ms", "s", "sec", "second", "seconds", "min", "m", "minute", "minutes", "h", "hour", "hours", "d", "day", "days"}) {
        BOOST_TEST(static_cast<bool>(parse_duration("1"s + unit)), unit);
        if (unit != "ms"s) BOOST_TEST(static_cast<bool>(parse_rate("1/2"s + unit)), unit);
        BOOST_TEST(head.find(unit) != std::string::npos, unit);
    }
    for (const auto* unit : {"B", "KB", "K", "MB", "M", "GB", "G"}) {
        BOOST_TEST(static_cast<bool>(parse_size("1"s + unit)), unit);
        BOOST_TEST(head.find(unit) != std::string::npos, unit);
    }
    for (const auto* unit : {"secs", "mins", "hr", "w", "week", "us", "S", "Ms", ""}) BOOST_TEST(!parse_duration("1"s + unit), unit);
    for (const auto* unit : {"TB", "kb", "Kb", "KiB", "b", "k", ""}) BOOST_TEST(!parse_size("1"s + unit), unit);
}

BOOST_AUTO_TEST_CASE(the_process_gives_its_variables) {
    ::setenv("RECTO_CACHE__TIMEOUT", "70ms=", 1);
    ::setenv("recto_cache__timeout", "80ms", 1);
    const auto variables = process_environment();
    ::unsetenv("recto_cache__timeout");
    BOOST_TEST(variables.at("recto_cache__timeout") == "80ms");
    ::unsetenv("RECTO_CACHE__TIMEOUT");
    BOOST_TEST(variables.at("RECTO_CACHE__TIMEOUT") == "70ms=");
    for (const auto& [name, value] : variables) BOOST_TEST(lower_ascii(name).starts_with("recto_"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(robustness)

BOOST_AUTO_TEST_CASE(what_show_config_prints_reads_back_the_same) {
    const auto loaded = parse("[throttle]\nmine = 3/2days\nclients = 5000\n[view blog]\nthrottle = mine\ncache = off\n[site]\ndata = /d\n",
                              {{"RECTO_LOG__FILE", "elsewhere.log"}});
    BOOST_TEST(mistakes_of(loaded) == "");
    BOOST_TEST((config_of(as_ini(loaded)) == loaded.config));
}

// A typo here, a doubled line there, bytes from anywhere.
std::string mutate(std::string text, std::mt19937& random) {
    const auto below = [&](std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); };
    static const std::string words[] = {"\n[view blog]\n",
                                        "\nthrottle = mine, anon\n",
                                        "]",
                                        "[",
                                        "=",
                                        " ; x",
                                        "\0"s,
                                        "\xEF\xBB\xBF",
                                        "\r\n",
                                        "off",
                                        "none",
                                        "99999999999",
                                        "..",
                                        ",",
                                        "\nmine = 7/min\n",
                                        "\xF0\x9F",
                                        std::string(9000, 'x')};
    for (auto steps = 1 + below(6); steps > 0; --steps) {
        const auto place = below(text.size() + 1);
        const auto length = std::min(below(40), text.size() - place);
        switch (below(5)) {
            case 0:
                text.insert(place, 1, static_cast<char>(below(256)));
                break;
            case 1:
                text.erase(place, length);
                break;
            case 2:
                text.insert(place, text.substr(place, length));
                break;
            case 3:
                text.insert(place, words[below(std::size(words))]);
                break;
            case 4:
                text.insert(below(text.size() + 1), text.substr(place, text.find('\n', place) - place));
                break;
        }
    }
    return text;
}

BOOST_AUTO_TEST_CASE(twenty_thousand_mutations_of_the_sample_do_no_harm) {
    std::mt19937 random(20260730);  // NOLINT: the same ones in each run
    std::string bare;               // comments are most of the sample: half of the runs go without
    for (const auto& line : split_list(sample_ini(), '\n'))
        if (!line.starts_with('#')) bare += line + "\n";
    const std::string seeds[] = {sample_ini(), bare};
    for (int i = 0; i < 20'000; ++i) {
        BOOST_TEST_CHECKPOINT("mutation " << i);
        const auto text = mutate(seeds[i % 2], random);
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    }
}

BOOST_AUTO_TEST_CASE(several_threads_may_read_files) {
    std::vector<std::jthread> threads;
    std::array<std::size_t, 4> mistakes{9, 9, 9, 9};
    for (auto& count : mistakes) threads.emplace_back([&count] { count = parse(sample_ini()).mistakes.size(); });
    threads.clear();
    for (const auto count : mistakes) BOOST_TEST(count == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
