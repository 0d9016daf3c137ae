// The operator's program: what each sub-command prints and with which status it ends.
#define BOOST_TEST_MODULE command
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include <unistd.h>

#include "tests/support/blogs.hpp"
#include "tests/support/fake_memcached.hpp"
#include "tests/support/post_files.hpp"
#include "tests/support/service.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

namespace fs = std::filesystem;

constexpr int kDone = 0, kFailed = 1, kUsage = 64, kBadConfiguration = 78;

// One service for all cases; each works on users and posts of its own.
Service& service() {
    static Service the({.workers = 1, .ini = "[throttle]\nanon = 60000/day\n"});
    return the;
}

CommandResult recto_command(const std::vector<std::string>& arguments, const std::string& input = {}) {
    return service().recto(arguments, input);
}

CommandResult recto_with(const std::string& variable, std::vector<std::string> arguments) {
    const char* const build = std::getenv("BUILD");
    arguments.insert(arguments.begin(),
                     {std::string(build == nullptr ? "build" : build) + "/recto", "--config", service().folder() / "recto.ini"});
    return run_command(arguments, {}, {variable});
}

std::string output_of(const std::vector<std::string>& arguments, const std::string& input = {}) {
    return done(recto_command(arguments, input));
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The command refuses with that status; the sentence stands on standard error and nothing on standard output.
void check_refused(const std::vector<std::string>& arguments, int status, std::string_view sentence) {
    BOOST_TEST_CONTEXT(join(arguments, " ")) {
        const auto result = recto_command(arguments);
        BOOST_TEST(result.status == status);
        BOOST_TEST(result.output == "");
        BOOST_TEST(has(result.errors, sentence), result.errors);
    }
}

// A line of a table by its beginning.
std::string row(const std::string& table, std::string_view beginning) {
    for (const auto& line : split_list(table, '\n'))
        if (line.starts_with(beginning)) return line;
    return {};
}

struct Ini {
    TemporaryFolder folder;
    fs::path file = folder / "recto.ini";

    explicit Ini(const std::string& text) { replace_file(file, text); }

    CommandResult run(const std::string& command, const std::vector<std::string>& environment = {}) const {
        const char* const build = std::getenv("BUILD");
        return run_command({std::string(build == nullptr ? "build" : build) + "/recto", "--config", file, command}, {}, environment);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(configuration)

BOOST_AUTO_TEST_CASE(the_shipped_file_is_good) {
    const auto result = Ini(read_file("etc/recto.ini")).run("check");
    BOOST_TEST(result.status == kDone);
    BOOST_TEST(has(result.output, "is good"));
    BOOST_TEST(split_list(row(result.output, "anon "), ' ') == split_list("anon 100/day ring32 1ms off", ' '),
               boost::test_tools::per_element());
    BOOST_TEST(has(result.output, "for 4096 addresses and 1024 users"), result.output);
    BOOST_TEST(result.errors == "");
}

BOOST_AUTO_TEST_CASE(check_tells_every_mistake_with_its_line) {
    const Ini ini(
        "[site]\n"
        "data = relative\n"
        "[cache]\n"
        "timeout = 50sm\n"
        "memori = 32MB\n"
        "[throttel]\n"
        "[throttle]\n"
        "anon = 100/month\n"
        "[server]\n"
        "threads = 2\n"
        "threads = 3\n"
        "nonsense\n"
        "[view blogs.by_author]\n"
        "throttle = anon, nobody\n"
        "[view blogs]\n"
        "cache = 1min\n");
    const auto result = ini.run("check", {"RECTO_LOG__LEVEL=loud"});
    BOOST_TEST(result.status == kBadConfiguration);
    BOOST_TEST(result.output == "");
    const std::pair<int, const char*> mistakes[] = {
        {2, "[site] data = relative: "},
        {4, "[cache] timeout = 50sm: expected 1ms to 5s, such as 50ms"},
        {5, "[cache] memori = 32MB: unknown name, did you mean memory?"},
        {6, "[throttel]: unknown section, did you mean throttle?"},
        {8, "[throttle] anon = 100/month: "},
        {11, "[server] threads = 3: is set already at line 10"},
        {12, "nonsense: expected name = value"},
        {14, "[throttle] has no scope nobody"},
        {15, "[view blogs]: unknown view"},
    };
    for (const auto& [line, text] : mistakes) {
        const auto found = row(result.errors, ini.file.string() + ':' + std::to_string(line) + ": ");
        BOOST_TEST(has(found, text), "line " << line << ": " << found);
    }
    BOOST_TEST(has(result.errors, "RECTO_LOG__LEVEL=loud"));
    BOOST_TEST(split_list(result.errors, '\n').size() == std::size(mistakes) + 1, result.errors);
}

BOOST_AUTO_TEST_CASE(a_logger_that_nothing_logs_to_is_told) {
    const auto result = Ini("[logger recto.cahce]\nlevel = debug\n[logger recto.store]\nlevel = debug\n").run("check");
    BOOST_TEST(result.status == kDone);
    BOOST_TEST(result.errors == "recto: warning: nothing of Recto logs to recto.cahce; did you mean recto.cache?\n");
}

BOOST_AUTO_TEST_CASE(a_folder_is_no_log) {
    const TemporaryFolder folder;
    for (const auto* option : {"[log]\nfile = ", "[handler own]\nfile = "}) {
        const auto result = Ini(option + folder.path().string() + '\n').run("check");
        BOOST_TEST(result.status == kBadConfiguration);
        BOOST_TEST(result.output == "");
        BOOST_TEST(result.errors == "recto: the log " + folder.path().string() + " is a folder, give a file\n");
    }
}

BOOST_AUTO_TEST_CASE(no_command_and_no_worker_runs_on_a_bad_file) {
    const Ini ini("[cache]\ntimeout = 50sm\n");
    for (const auto* command : {"check", "show-config", "migrate", "routes"}) {
        BOOST_TEST(ini.run(command).status == kBadConfiguration, command);
    }
    const char* const build = std::getenv("BUILD");
    const auto worker = run_command({std::string(build == nullptr ? "build" : build) + "/recto.fcgi", "--config", ini.file});
    BOOST_TEST(worker.status == kBadConfiguration);
    BOOST_TEST(has(worker.errors, "recto.ini:2: [cache] timeout = 50sm"));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_there_is_a_wrong_configuration) {
    const Ini ini("");
    fs::remove(ini.file);
    const auto result = ini.run("check");
    BOOST_TEST(result.status == kBadConfiguration);
    BOOST_TEST(has(result.errors, ini.file.string()));
}

BOOST_AUTO_TEST_CASE(show_config_tells_each_value_and_where_it_is_from) {
    const Ini ini("[cache]\ntimeout = 80ms\n[throttle]\nown = 5/minute\n[view blog]\nlog = off\n");
    const auto table = done(ini.run("show-config", {"RECTO_CACHE__MEMORY=64MB", "RECTO_THROTTLE__ANON=7/day"}));
    const std::pair<const char*, std::vector<std::string>> rows[] = {
        {"[cache] timeout ", {"80ms", ini.file.string() + ":2"}},
        {"[cache] memory ", {"64MB", "RECTO_CACHE__MEMORY"}},
        {"[cache] prefix ", {"recto:", "default"}},
        {"[throttle] anon ", {"7/day", "RECTO_THROTTLE__ANON"}},
        {"[throttle] own ", {"5/minute", ini.file.string() + ":4"}},
        {"[view blog] log ", {"off", ini.file.string() + ":6"}},
    };
    for (const auto& [beginning, words] : rows) {
        const auto line = row(table, beginning);
        for (const auto& word : words) BOOST_TEST(has(line, word), beginning << ": " << line);
    }
}

BOOST_AUTO_TEST_CASE(routes_prints_what_is_configured_for_each_view) {
    const Ini ini("[throttle]\nown = 5/minute\n[view blog2]\nthrottle = own, anon\ncache = 30s\nlog = debug\ncost = 5\nat_once = 3\n");
    const auto table = done(ini.run("routes"));
    BOOST_TEST((split_list(row(table, "blogs.by_author "), ' ') ==
                split_list("blogs.by_author GET, HEAD, OPTIONS /api/blogs 10min anon, user 1 any info", ' ')));
    BOOST_TEST((split_list(row(table, "blog2 "), ' ') == split_list("blog2 GET, HEAD, OPTIONS /api/blog2 30s own, anon 5 3 debug", ' ')));
    BOOST_TEST((split_list(row(table, "status.healthz "), ' ') ==
                split_list("status.healthz GET, HEAD, OPTIONS /healthz off none 1 any off", ' ')));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(usage)

BOOST_AUTO_TEST_CASE(help_lists_every_command_and_the_exit_codes) {
    const auto help = output_of({"--help"});
    for (const auto* command : {"check", "show-config", "migrate", "user", "token", "post", "import", "cache", "throttle", "routes"})
        BOOST_TEST(!row(help, command).empty(), command);
    BOOST_TEST(has(help, "Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration."));
    for (const auto* command : {"user", "token", "post", "import", "cache", "throttle"})
        BOOST_TEST(has(output_of({command, "--help"}), "Usage: "), command);
}

BOOST_AUTO_TEST_CASE(wrong_usage_ends_with_64) {
    const std::vector<std::string> wrong[] = {{},
                                              {"nonsense"},
                                              {"user"},
                                              {"user", "add"},
                                              {"token", "revoke", "x"},
                                              {"post", "set"},
                                              {"import"},
                                              {"check", "more"},
                                              {"cache", "set", "key"},
                                              {"throttle", "reset"},
                                              {"post", "list", "--colour"}};
    for (const auto& arguments : wrong) check_refused(arguments, kUsage, "--help");
}

BOOST_AUTO_TEST_CASE(a_word_that_is_not_known_is_named) {
    check_refused({"chek"}, kUsage, "not expected: chek");
    check_refused({"--verbose"}, kUsage, "not expected: --verbose");
    check_refused({"log", "grpe", "x"}, kUsage, "not expected: grpe\n");
    check_refused({"backup", "--quick"}, kUsage, "not expected: --quick");
    check_refused({}, kUsage, "A subcommand is required");
    check_refused({"log"}, kUsage, "A subcommand is required");
    check_refused({"backup"}, kUsage, "FILE is required");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(data)

BOOST_AUTO_TEST_CASE(migrate_has_nothing_to_do_twice) {
    const TemporaryFolder folder;
    const auto data = folder.path().string();
    const Ini ini("[site]\ndata = " + data + "/data\n[server]\nruntime_dir = " + data + "/run\n");
    BOOST_TEST(done(ini.run("migrate")) == "applied 1 initial\napplied 2 schema_version\napplied 3 import_source\n");
    BOOST_TEST(done(ini.run("migrate")) == "nothing to do\n");
}

BOOST_AUTO_TEST_CASE(without_a_database_a_command_fails) {
    const TemporaryFolder folder;
    const auto data = folder.path().string();
    const Ini ini("[site]\ndata = " + data + "\n[server]\nruntime_dir = " + data + "/run\n");
    const auto result = run_command({"sh", "-c", "\"${BUILD:-build}\"/recto --config \"$1\" user list", "sh", ini.file});
    BOOST_TEST(result.status == kFailed);
    BOOST_TEST(has(result.errors, data + "/recto.db"), result.errors);
    BOOST_TEST(!fs::exists(folder / "recto.db"));
}

BOOST_AUTO_TEST_CASE(users_are_added_once_and_listed) {
    const auto printed = output_of({"user", "add", "Zoë Ångström"});
    BOOST_TEST(printed.ends_with(" zoë-ångström\n"), printed);
    const auto id = split_list(printed, ' ').at(0);
    BOOST_TEST((split_list(row(output_of({"user", "list"}), id + ' '), ' ') == split_list(id + " Zoë Ångström zoë-ångström yes", ' ')));
    check_refused({"user", "add", "Zoë Ångström"}, kFailed, "there is already a user Zoë Ångström");
    check_refused({"user", "add", "  "}, kFailed, "a user's name has 1 to 150 bytes");
    check_refused({"user", "add", std::string(151, 'x')}, kFailed, "a user's name has 1 to 150 bytes");
    check_refused({"user", "add", "two\nlines"}, kFailed, "control characters");
}

BOOST_AUTO_TEST_CASE(tokens_are_shown_once_listed_without_secret_and_revoked) {
    (void)output_of({"user", "add", "Tom"});
    const auto created = recto_command({"token", "create", "Tom", "--label", "laptop"});
    const auto token = std::string(trim(done(created)));
    BOOST_TEST(token.size() == 40u);
    BOOST_TEST(token.find_first_not_of("0123456789abcdef") == std::string::npos);
    BOOST_TEST(has(created.errors, "only time"));

    const auto list = output_of({"token", "list"});
    BOOST_TEST(has(list, "laptop"));
    BOOST_TEST(!has(list, token));
    BOOST_TEST(!has(service().log(), token));
    BOOST_TEST(!has(read_file(service().folder() / "recto.db"), token));

    const auto id = split_list(split_list(list, '\n').back(), ' ').at(0);
    BOOST_TEST(output_of({"token", "revoke", id}) == "");
    BOOST_TEST(!has(output_of({"token", "list"}), "laptop"));
    check_refused({"token", "revoke", id}, kFailed, "there is no token " + id);
    check_refused({"token", "create", "Nobody"}, kFailed, "there is no user Nobody");
}

BOOST_AUTO_TEST_CASE(a_post_is_made_changed_published_and_deleted) {
    (void)output_of({"user", "add", "Petra"});
    const auto made =
        output_of({"post", "set", "petras", "--title", "One", "--body", "-", "--author", "Petra", "--tag", "cpp"}, "From *input*.\n");
    BOOST_TEST(made.ends_with(" petras draft\n"), made);
    const auto id = split_list(made, ' ').at(0);

    BOOST_TEST(
        has(output_of({"post", "publish", "petras", "--at", "2026-03-17T14:00:00+02:00"}), " petras published 2026-03-17T12:00:00Z"));
    BOOST_TEST(output_of({"post", "set", id, "--title", "Two", "--slug", "petras-second"}).starts_with(id + " petras-second published"));
    const auto listed = row(output_of({"post", "list"}), id + ' ');
    BOOST_TEST((split_list(listed, ' ') == split_list(id + " published 2026-03-17T12:00:00Z Petra petras-second Two", ' ')), listed);
    BOOST_TEST(row(output_of({"post", "list", "--status", "draft"}), id + ' ') == "");

    const auto body = service().folder() / "body.md";
    replace_file(body, "From a file.\n");
    (void)output_of({"post", "set", "petras-second", "--body", body});
    const auto petra = std::string(trim(done(service().sqlite("SELECT id FROM user WHERE name = 'Petra';"))));
    const auto blogs = blogs_in(service().client().get("/api/blogs?author_id=" + petra).body);
    BOOST_TEST_REQUIRE(blogs.size() == 1u);
    BOOST_TEST(blogs[0].at("title").as_string() == "Two");
    BOOST_TEST(blogs[0].at("body").as_string() == "From a file.\n");

    BOOST_TEST(output_of({"post", "delete", "petras-second"}) == "");
    check_refused({"post", "delete", "petras-second"}, kFailed, "there is no post petras-second");
}

BOOST_AUTO_TEST_CASE(what_a_post_cannot_be_is_said) {
    (void)output_of({"post", "set", "good", "--title", "Good"});
    (void)output_of({"post", "set", "other", "--title", "Other"});
    check_refused({"post", "set", "not-there"}, kFailed, "there is no post not-there; with --title it would be made");
    check_refused({"post", "set", "good", "--status", "gone"}, kFailed, "expected the status draft, published or archived, found gone");
    check_refused({"post", "set", "good", "--date", "tomorrow"}, kFailed, "expected a date such as");
    check_refused({"post", "set", "good", "--author", "Nobody"}, kFailed, "there is no user Nobody");
    check_refused({"post", "set", "good", "--slug", "other"}, kFailed, "there is already a post with the slug other");
    check_refused({"post", "set", "good", "--slug", "Not a slug"}, kFailed, "such as not-a-slug");
    check_refused({"post", "set", "good", "--title", " "}, kFailed, "the title is empty");
    check_refused({"post", "set", "good", "--body", "/not/there.md"}, kFailed, "/not/there.md");
    check_refused({"post", "publish", "good", "--at", "soon"}, kFailed, "expected a date such as");
    check_refused({"post", "publish", "not-there"}, kFailed, "there is no post not-there");
    check_refused({"post", "list", "--status", "gone"}, kFailed, "expected the status");
    BOOST_TEST(has(output_of({"post", "list"}), "good"));
}

BOOST_AUTO_TEST_CASE(a_command_logs_what_it_changed) {
    (void)output_of({"post", "set", "logged", "--title", "Logged"});
    (void)output_of({"post", "publish", "logged"});
    (void)output_of({"post", "delete", "logged"});
    for (const auto* event : {"post.create", "post.publish", "post.delete"}) {
        const auto lines = split_list(service().log(), '\n');
        BOOST_TEST(std::ranges::count_if(lines,
                                         [&](const auto& line) {
                                             return has(line, std::string("\"ev\":\"") + event + '"') && has(line, "\"slug\":\"logged\"");
                                         }) == 1,
                   event);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(importing)

BOOST_AUTO_TEST_CASE(bad_files_are_reported_and_the_rest_is_taken) {
    const auto folder = service().folder() / "mixed";
    write_post(folder, "good", {.title = "Good import", .authors = {"Ines"}, .date = "2026-01-01"});
    write_post(folder / "below", "deeper", {.title = "Deeper import", .authors = {"Ines", "Igor"}, .date = "2026-01-02"});
    write_post(folder, "no-date", {.title = "No date", .authors = {"Ines"}, .date = ""});
    write_post(folder, "bad-date", {.title = "Bad date", .authors = {"Ines"}, .date = "soon"});
    replace_file(folder / "no-matter.md", "Only text.\n");
    replace_file(folder / "bad-yaml.md", "---\ntitle: [\n---\nText.\n");
    replace_file(folder / "bad-bytes.md", "---\ntitle: x\ndate: 2026-01-01\n---\n\xff\xfe\n");
    replace_file(folder / "large.md", "---\ntitle: x\ndate: 2026-01-01\n---\n" + std::string(2u << 20, 'x'));
    replace_file(folder / "ignored.txt", "nothing of ours");

    const auto result = recto_command({"import", folder});
    BOOST_TEST(result.status == kFailed);
    BOOST_TEST(result.output == "added 2, updated 0, unchanged 0, left 0, not read 6\n");
    for (const auto* file : {"no-date.md:", "bad-date.md:", "no-matter.md:1: expected front matter",
                             "bad-yaml.md:", "bad-bytes.md:1: not valid UTF-8", "large.md:1: longer than 1 MiB"})
        BOOST_TEST(has(result.errors, (folder / file).string()), result.errors);
    BOOST_TEST(has(output_of({"post", "list"}), "Ines, Igor"));
}

BOOST_AUTO_TEST_CASE(again_changes_nothing_and_what_was_edited_since_is_left_unless_forced) {
    const auto folder = service().folder() / "again";
    write_post(folder, "kept", {.title = "Kept", .authors = {"Ines"}, .date = "2026-01-01"});
    write_post(folder, "edited", {.title = "Edited", .authors = {"Ines"}, .date = "2026-01-02"});
    BOOST_TEST(output_of({"import", folder}) == "added 2, updated 0, unchanged 0, left 0, not read 0\n");
    const auto before = done(service().sqlite("SELECT * FROM post; SELECT seq FROM clock;"));
    BOOST_TEST(output_of({"import", folder}) == "added 0, updated 0, unchanged 2, left 0, not read 0\n");
    BOOST_TEST(done(service().sqlite("SELECT * FROM post; SELECT seq FROM clock;")) == before);

    write_post(folder, "kept", {.title = "Kept, again", .authors = {"Ines"}, .date = "2026-01-01"});
    BOOST_TEST(output_of({"import", folder}) == "added 0, updated 1, unchanged 1, left 0, not read 0\n");

    (void)output_of({"post", "set", "edited", "--title", "By hand"});
    write_post(folder, "edited", {.title = "By file", .authors = {"Ines"}, .date = "2026-01-02"});
    const auto left = recto_command({"import", folder});
    BOOST_TEST(left.output == "added 0, updated 0, unchanged 1, left 1, not read 0\n");
    BOOST_TEST(has(left.errors, (folder / "edited.md").string() + ": edited in Recto since; left as it is"), left.errors);
    BOOST_TEST(has(output_of({"post", "list"}), "By hand"));

    BOOST_TEST(output_of({"import", "--force", folder}) == "added 0, updated 1, unchanged 1, left 0, not read 0\n");
    BOOST_TEST(has(output_of({"post", "list"}), "By file"));
}

BOOST_AUTO_TEST_CASE(the_report_says_what_came_in_as_a_draft_and_ends_with_counts_by_reason) {
    const auto folder = service().folder() / "held-back";
    write_post(folder, "2026-01-01-no", {.title = "No", .authors = {"Ines"}, .date = "", .more = "published: no\n"});
    write_post(folder, "2026-01-02-word",
               {.title = "Word", .authors = {"Ines"}, .date = "", .more = "status: \"a\\x1b]0;b\\x07\"\nhero: x\n"});
    write_post(folder / "_drafts", "place", {.title = "Place", .authors = {"Ines"}, .date = ""});
    replace_file(folder / "2026-01-03-bad.md", "---\ntitle: x\ndate: \"\\e]0;x\\a\"\n---\n");
    for (const auto* flag : {"--dry-run", "--force"}) BOOST_TEST_CONTEXT(flag) {
            const auto result = recto_command({"import", folder, flag});
            BOOST_TEST(result.status == kFailed);
            BOOST_TEST(has(result.output, "added 3, updated 0, unchanged 0, left 0, not read 1\n"), result.output);
            BOOST_TEST(result.output.starts_with("dry run, nothing is written: ") == (std::string_view(flag) == "--dry-run"));
            for (const auto* line : {"2026-01-01-no.md: a draft: the file says that it isn't public: published: no\n",
                                     "2026-01-02-word.md: a draft: its status isn't understood: status: a\\x1b]0;b\\x07\n",
                                     "_drafts/place.md: a draft: it is in a place for what isn't public: _drafts/\n",
                                     "key without a meaning here, kept: hero (files: 1, such as 2026-01-02-word.md)\n",
                                     "files, a draft: its status isn't understood: 1\n",
                                     "files, not taken in: expected a date such as 2015-03-17 or 2015-03-17 14:00:00 -0400: 1\n"})
                BOOST_TEST(has(result.errors, line), result.errors);
            BOOST_TEST(result.errors.find_first_of("\x1b\x07") == std::string::npos);
        }
    for (const auto* title : {"No", "Word", "Place"}) BOOST_TEST(has(output_of({"post", "list", "--status", "draft"}), title));
}

BOOST_AUTO_TEST_CASE(a_date_is_of_the_given_clocks_and_a_folder_of_the_given_source) {
    const auto folder = service().folder() / "clocks";
    write_post(folder, "summer", {.title = "Summer", .authors = {"Ines"}, .date = "2026-07-01 12:00"});
    (void)output_of({"import", folder, "--time-zone", "Europe/Berlin", "--source", "clocks"});
    BOOST_TEST(done(service().sqlite("SELECT source, published_at / 1000000 FROM post WHERE slug = 'summer'")) == "clocks|1782900000\n");
    check_refused({"import", folder, "--time-zone", "BST"}, kUsage, "expected a time zone of the IANA database");
    check_refused({"import", folder, "--source", " x"}, kUsage, "expected a name");
}

// Recto gives up root's rights for those of the owner of the site's files, who can't read all that root can.
BOOST_AUTO_TEST_CASE(a_folder_that_cannot_be_read_is_said_with_the_user_and_why) {
    if (::geteuid() != 0) {
        BOOST_TEST_MESSAGE("only root can give files to another user");
        return;
    }
    const Ini ini("");
    const auto folder = ini.folder.path();
    fs::permissions(folder, fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
    fs::create_directories(folder / "data");
    BOOST_REQUIRE(::chown((folder / "data").c_str(), 65534, 65534) == 0);
    replace_file(ini.file,
                 "[site]\ndata = " + (folder / "data").string() + "\n[server]\nruntime_dir = " + (folder / "data/run").string() + "\n");
    fs::create_directories(folder / "closed/posts");
    fs::permissions(folder / "closed", fs::perms::owner_all);
    const auto recto = [&](const std::vector<std::string>& arguments) {
        const char* const build = std::getenv("BUILD");
        std::vector<std::string> command{std::string(build == nullptr ? "build" : build) + "/recto", "--config", ini.file};
        command.insert(command.end(), arguments.begin(), arguments.end());
        return run_command(command);
    };
    (void)done(recto({"migrate"}));
    const auto closed = (folder / "closed/posts").string();
    const auto result = recto({"import", closed});
    BOOST_TEST(result.status == kFailed);
    BOOST_TEST(has(result.errors, "recto: cannot read the folder " + closed + ": Permission denied for the user nobody (the owner of " +
                                      (folder / "data").string() + ", whose rights `recto` uses instead of root's"),
               result.errors);

    fs::permissions(folder / "closed", fs::perms::others_exec, fs::perm_options::add);
    write_post(folder / "closed/posts", "2026-01-01-x", {.title = "x", .authors = {"Ines"}, .date = ""});
    fs::permissions(folder / "closed/posts", fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
    fs::permissions(folder / "closed/posts/2026-01-01-x.md", fs::perms::owner_read);
    const auto file = recto({"import", closed});
    BOOST_TEST(has(file.errors, "2026-01-01-x.md:1: Permission denied for the user nobody"), file.errors);
}

BOOST_AUTO_TEST_CASE(a_folder_that_is_not_there_is_said) { check_refused({"import", "/not/there"}, kFailed, "not a folder: /not/there"); }

BOOST_AUTO_TEST_CASE(a_folder_without_a_post_is_said) {
    const auto folder = service().folder() / "no-posts";
    for (const auto* name : {"", "notes.txt", "README.rst"}) BOOST_TEST_CONTEXT(name) {
            std::filesystem::create_directories(folder / "below");
            if (*name != '\0') replace_file(folder / "below" / name, "text");
            check_refused({"import", folder}, kFailed, "no file in " + folder.string() + " ends in .md or .markdown");
        }
}

BOOST_AUTO_TEST_CASE(an_empty_word_is_no_path) {
    for (const auto* command : {"backup", "restore", "import"}) check_refused({command, ""}, kUsage, "expected a path, and it is empty");
}

BOOST_AUTO_TEST_CASE(the_sample_posts_are_good) {
    BOOST_TEST(has(output_of({"import", "etc/sample-posts"}), "updated 0, unchanged 0, left 0, not read 0"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cache)

BOOST_AUTO_TEST_CASE(raw_items_are_set_got_and_deleted) {
    BOOST_TEST(output_of({"cache", "set", "key", "a value"}) == "");
    BOOST_TEST(output_of({"cache", "get", "key"}) == "a value\n");
    BOOST_TEST(output_of({"cache", "delete", "key"}) == "");
    check_refused({"cache", "get", "key"}, kFailed, "key");
    check_refused({"cache", "delete", "key"}, kFailed, "key");
    check_refused({"cache", "set", "key", "value", "--ttl", "soon"}, kFailed, "--ttl soon: expected a duration such as");
    const std::string odd = "any key at all: blanks, \n lines, ü, " + std::string(300, 'x');
    BOOST_TEST(output_of({"cache", "set", odd, "its value", "--ttl", "1h"}) == "");
    BOOST_TEST(output_of({"cache", "get", odd}) == "its value\n");
}

BOOST_AUTO_TEST_CASE(a_raw_item_s_time_to_live_is_the_third_word_or_an_option) {
    const auto seconds_left = [](const std::vector<std::string>& words) {
        service().memcached().flush();
        std::vector<std::string> command{"cache", "set", "hello", "World"};
        command.insert(command.end(), words.begin(), words.end());
        BOOST_TEST(output_of(command) == "");
        BOOST_TEST(output_of({"cache", "get", "hello"}) == "World\n");
        for (const auto& key : service().memcached().keys())
            if (const auto raw = key.find("raw%3A"); raw != std::string::npos)
                return std::stoi(service().memcached().ask("mg recto:raw:" + key.substr(raw + 6) + " t\r\n").substr(4));
        return -1;
    };
    const std::pair<std::vector<std::string>, int> cases[] = {
        {{}, 600}, {{"900"}, 900}, {{"15min"}, 900}, {{"7d"}, 7 * 24 * 3600}, {{"--ttl", "900"}, 900}, {{"--ttl", "1h"}, 3600}};
    for (const auto& [words, seconds] : cases) BOOST_TEST_CONTEXT(seconds) {
            const int left = seconds_left(words);
            BOOST_TEST(left <= seconds);
            BOOST_TEST(left > seconds - 60);
        }
    for (const auto* wrong : {"0", "soon", "-5", "99999999999999999999", ""})
        BOOST_TEST_CONTEXT(wrong) BOOST_TEST(recto_command({"cache", "set", "hello", "World", "--ttl", wrong}).status == kFailed);
    check_refused({"cache", "set", "hello", "World", "soon"}, kFailed, "TTL soon: expected a duration such as");
    BOOST_TEST(recto_command({"cache", "set", "hello", "World", "5", "--ttl", "5"}).status == kUsage);
}

BOOST_AUTO_TEST_CASE(stats_prints_the_clock_and_the_servers) {
    const auto stats = output_of({"cache", "stats"});
    for (const auto* word : {"epoch", "synced", "memcached.sock"}) BOOST_TEST(has(stats, word), word);
    BOOST_TEST((split_list(row(stats, "unix:"), ' ').at(1) == "reachable" && split_list(row(stats, "unix:"), ' ').at(2) == "yes"));
    const auto lines_of_servers = [](const std::string& text) {
        const auto lines = split_list(text, '\n');
        return std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("unix:"); });
    };
    BOOST_TEST(lines_of_servers(stats) == 1);
    for (const auto* word : {"memcached 1.", " items, ", " of 64 MB, ", "% of gets found, ", " evicted)"})
        BOOST_TEST(has(stats, word), word);
    const auto all = output_of({"cache", "stats", "--all"});
    BOOST_TEST(lines_of_servers(all) > 50);
    BOOST_TEST(has(all, "get_hits"));
    BOOST_TEST(!has(stats, "get_hits"));
}

// The commands go through the workers' code: what is no memcached neither ends nor holds them.
BOOST_AUTO_TEST_CASE(a_server_that_is_no_memcached_is_one_that_is_down) {
    for (const auto* word : {"220 mail ESMTP\r\n", "END\r\n", "VERSION\r\n", "VALUE x 0 18446744073709551615\r\n"})
        BOOST_TEST_CONTEXT(word) {
            const FakeMemcached server(service().folder() / "fake", [&](std::string_view) { return FakeMemcached::Reply{.bytes = word}; });
            const auto refused = [&](const std::vector<std::string>& words) {
                const auto result = recto_with("RECTO_CACHE__SERVERS=" + server.address(), words);
                BOOST_TEST(result.status == kFailed);
                BOOST_TEST(has(result.errors, "memcached"));
            };
            if (std::string_view(word) != "END\r\n") refused({"cache", "get", "key"});
            refused({"cache", "set", "key", "value"});
            refused({"cache", "delete", "key"});
            const auto stats = recto_with("RECTO_CACHE__SERVERS=" + server.address(), {"cache", "stats"});
            BOOST_TEST(stats.status == 0);
            BOOST_TEST((split_list(row(stats.output, "unix:"), ' ').at(2) == "no"));
        }
}

// A view's answer, and how it came.
struct Asked {
    HttpClient client = service().client();
    std::string path;

    explicit Asked(const std::string& author) : path("/api/blogs?author_id=" + author) {}
    bool hit() { return client.get(path).header("cache-status").starts_with("recto; hit"); }
    void warm() {
        (void)hit();
        BOOST_TEST(hit());
    }
};

BOOST_AUTO_TEST_CASE(a_view_an_address_or_everything_is_made_anew) {
    Asked one("41"), other("42");
    const auto warm = [&] { one.warm(), other.warm(); };
    warm();
    BOOST_TEST(output_of({"cache", "invalidate", "blogs.by_author"}) == "whatever was made from view:blogs.by_author is made anew\n");
    BOOST_TEST(!one.hit());
    BOOST_TEST(!other.hit());
    warm();
    BOOST_TEST(
        has(output_of({"cache", "invalidate", "http://localhost:8080/api/blogs/?utm_source=x&author_id=41#top"}), "view:blogs.by_author:"));
    BOOST_TEST(!one.hit());
    BOOST_TEST(other.hit());
    warm();
    (void)output_of({"cache", "invalidate", "post"});
    BOOST_TEST(!one.hit());
    BOOST_TEST(!other.hit());
    warm();
    BOOST_TEST(has(output_of({"cache", "flush"}), "made anew"));
    BOOST_TEST(!one.hit());
    BOOST_TEST(!other.hit());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_made_anew_is_refused_with_a_hint) {
    check_refused({"cache", "invalidate", "blogs.by_autor"}, kFailed, "Did you mean blogs.by_author?");
    check_refused({"cache", "invalidate", "pots"}, kFailed, "pots is neither a view nor a table");
    check_refused({"cache", "invalidate", "/no/such/page"}, kFailed, "no view has the path /no/such/page");
    check_refused({"cache", "invalidate", ""}, kFailed, "expected a tag");
    check_refused({"cache", "explain", "blogs"}, kFailed, "expected an address such as /api/blogs?author_id=1, or a model");
    check_refused({"cache", "explain", "/nowhere?x=1"}, kFailed, "no view has the path /nowhere");
}

BOOST_AUTO_TEST_CASE(explain_tells_why_an_answer_is_right_or_not) {
    const auto post = std::string("explained");
    (void)output_of({"user", "add", "Explainer"});
    (void)output_of({"post", "set", post, "--title", "Title", "--author", "Explainer", "--status", "published"});
    const auto author = split_list(done(service().sqlite("SELECT id FROM user WHERE name = 'Explainer';")), '\n').at(0);
    const auto explained = [&] { return output_of({"cache", "explain", "/api/blogs?fbclid=y&author_id=" + author}); };
    BOOST_TEST(has(row(explained(), "memcached"), "has none"));

    Asked asked(author);
    asked.warm();
    const auto fresh = explained();
    BOOST_TEST(row(fresh, "view") == "view       blogs.by_author, the same for everyone");
    BOOST_TEST(row(fresh, "kept") == "kept       10min, by default");
    BOOST_TEST(row(fresh, "counts") == "counts     author_id=" + author);
    BOOST_TEST(row(fresh, "ignored") == "ignored    fbclid");
    BOOST_TEST(has(row(fresh, "memcached"), "is right, for "), fresh);
    BOOST_TEST(!has(fresh, "after the answer was made"));

    (void)done(service().sqlite("UPDATE post SET title = 'By shell' WHERE slug = 'explained';"));
    BOOST_TEST(!asked.client.get("/api/blogs?author_id=0").body.empty());  // leaves the entry alone
    const auto changed = explained();
    BOOST_TEST(has(row(changed, "memcached"), "is not used: what it was made from has changed"), changed);
    BOOST_TEST(has(row(changed, "post:author=" + author), "after the answer was made"), changed);
    BOOST_TEST(!has(row(changed, "post:*"), "after the answer was made"), changed);
}

BOOST_AUTO_TEST_CASE(explain_tells_the_rule_of_a_model) {
    BOOST_TEST(output_of({"cache", "explain", "auth.user"}) ==
               "model      auth.user\nrule       [model auth.user]\nops        get\ntimeout    15min\nlock       on\n");
    BOOST_TEST(output_of({"cache", "explain", "blog.post"}) == "model      blog.post\nrule       [model *.*]\nops        none\n");
    BOOST_TEST(has(output_of({"cache", "explain", "/healthz"}), "never cached"));
}

BOOST_AUTO_TEST_CASE(stats_counts_by_view_level_and_outcome) {
    Asked("43").warm();
    const auto stats = output_of({"cache", "stats"});
    for (const auto* event : {"memory_hit", "memory_miss", "memcached_miss", "stored"})
        BOOST_TEST_CONTEXT(event) BOOST_TEST(std::stoi(split_list(stats.substr(stats.find(event)), ' ').at(1)) >= 1);
}

BOOST_AUTO_TEST_CASE(without_memcached_the_commands_say_so_and_the_rest_works) {
    service().memcached().kill();
    check_refused({"cache", "get", "key"}, kFailed, "recto: ");
    check_refused({"cache", "set", "key", "value"}, kFailed, "memcached did not take it");
    BOOST_TEST((split_list(row(output_of({"cache", "stats"}), "unix:"), ' ').at(2) == "no"));
    (void)output_of({"cache", "invalidate", "post:author=1"});
    (void)output_of({"post", "list"});
    service().memcached().restart();
    BOOST_TEST(output_of({"cache", "set", "key", "again"}) == "");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(throttle)

BOOST_AUTO_TEST_CASE(what_a_client_used_is_explained_and_given_back) {
    const Service limited({.workers = 1, .ini = "[throttle]\nblog_2_limit = 2/day\n"});
    auto client = limited.client();
    for (const int status : {200, 200, 429}) BOOST_TEST(client.get("/api/blog2").status == status);
    const auto explained = done(limited.recto({"throttle", "explain", "127.0.0.1"}));
    BOOST_TEST(explained.starts_with("counted as 127.0.0.1\n"), explained);
    const auto used = split_list(row(explained, "blog_2_limit "), ' ');
    BOOST_TEST((std::vector(used.begin(), used.begin() + 4) == std::vector<std::string>{"blog_2_limit", "2/day", "2", "0"}), explained);
    BOOST_TEST(used.at(6) == "in", explained);
    const auto shown = done(limited.recto({"throttle", "show"}));
    BOOST_TEST(split_list(row(shown, "blog_2_limit "), ' ') == split_list("blog_2_limit address 2 2", ' '),
               boost::test_tools::per_element());
    BOOST_TEST(row(shown, "127.0.0.1 ").starts_with("127.0.0.1  blog_2_limit  1 "), shown);
    BOOST_TEST(has(row(shown, "addresses counted "), " 1 of "), shown);
    (void)done(limited.recto({"throttle", "reset", "127.0.0.1"}));
    for (const int status : {200, 200, 429}) BOOST_TEST(client.get("/api/blog2").status == status);
    for (const std::vector<std::string>& scope : {std::vector<std::string>{"blog_2_limit"}, {"--scope", "blog_2_limit"}}) {
        std::vector<std::string> reset{"throttle", "reset"};
        reset.insert(reset.end(), scope.begin(), scope.end());
        (void)done(limited.recto(reset));
        for (const int status : {200, 200, 429}) BOOST_TEST(client.get("/api/blog2").status == status);
    }
    const std::vector<std::vector<std::string>> all_wrong = {
        {"throttle", "reset", "--scope", "nothing"}, {"throttle", "reset", "nothing"}, {"throttle", "explain", "Nobody"}};
    for (const auto& wrong : all_wrong) {
        const auto result = limited.recto(wrong);
        BOOST_TEST(result.status == kFailed);
        BOOST_TEST(has(result.errors, "there is no "), result.errors);
    }
}

BOOST_AUTO_TEST_CASE(a_client_is_found_by_the_name_that_the_log_gives_it) {
    const Service limited({.workers = 1, .ini = ""});
    (void)done(limited.recto({"user", "add", "anon"}));  // and a scope
    BOOST_TEST(limited.client().get("/api/blog2").status == 200);
    const std::pair<const char*, const char*> names[] = {
        {"anon", "user 1"}, {"user 1", "user 1"}, {"2001:db8::/64", "2001:db8::/64"}, {"2001:DB8::5", "2001:db8::/64"}};
    for (const auto& [asked, named] : names) {
        const auto explained = done(limited.recto({"throttle", "explain", asked}));
        BOOST_TEST(explained.starts_with("counted as " + std::string(named) + '\n'), explained);
    }
    const auto unclear = limited.recto({"throttle", "reset", "anon"});
    BOOST_TEST(unclear.status == kFailed);
    BOOST_TEST(has(unclear.errors, "say --scope anon or `user 1`"), unclear.errors);
    for (const std::string who : {"--scope=anon", "user 1", "2001:db8::/64"}) (void)done(limited.recto({"throttle", "reset", who}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(plain_cgi)

BOOST_AUTO_TEST_CASE(the_worker_answers_one_request_of_a_cgi_environment) {
    const auto output = done(service().cgi({"REQUEST_METHOD=GET", "PATH_INFO=/api/blogs", "QUERY_STRING=author_id=987654"}));
    const auto end = output.find("\r\n\r\n");
    BOOST_TEST_REQUIRE(end != std::string::npos);
    BOOST_TEST(output.substr(end + 4) == R"({"blogs":[]})");
    const auto head = output.substr(0, end + 2);
    BOOST_TEST(head.starts_with("Status: 200 OK\r\n"), head);
    for (const auto* header :
         {"Content-Type: application/json\r\n", "Allow: GET, HEAD, OPTIONS\r\n", "X-Request-Id: ", "Content-Length: 12\r\n", "ETag: \""})
        BOOST_TEST(has(head, header), head);
}

BOOST_AUTO_TEST_CASE(other_requests_are_answered_as_nginx_s_would_be) {
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"REQUEST_METHOD=GET", "PATH_INFO=/api/nothing"}, "Status: 404 Not Found\r\n"},
        {{"REQUEST_METHOD=POST", "PATH_INFO=/api/blogs", "CONTENT_LENGTH=0"}, "Status: 405 Method Not Allowed\r\n"},
        {{"REQUEST_METHOD=GET", "PATH_INFO=/api/blogs"}, "Status: 400 Bad Request\r\n"},
        {{"REQUEST_METHOD=GET", "PATH_INFO=/api/blog", "HTTP_AUTHORIZATION=Token x"}, "Status: 401 Unauthorized\r\n"},
    };
    for (const auto& [environment, status] : cases) BOOST_TEST(done(service().cgi(environment)).starts_with(status), status);
    const auto head = done(service().cgi({"REQUEST_METHOD=HEAD", "PATH_INFO=/api/blog"}));
    BOOST_TEST(head.ends_with("\r\n\r\n"), head);
}

BOOST_AUTO_TEST_CASE(the_command_line_is_not_throttled) {
    for (int i = 0; i < 3; ++i) {
        const auto output =
            done(run_command({"sh", "-c", "exec \"${BUILD:-build}\"/recto.fcgi --config \"$1\"", "sh", service().folder() / "recto.ini"},
                             {}, {"REQUEST_METHOD=GET", "PATH_INFO=/api/blog", "RECTO_THROTTLE__BLOG_LIMIT=1/day"}));
        BOOST_TEST(output.starts_with("Status: 200 OK"), output);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace recto
