// How SQLite finds the rows of each statement that the program prepares. What grows with the whole blog makes every miss and every write
// slower with each post.
#define BOOST_TEST_MODULE plan
#include <boost/test/unit_test.hpp>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <sqlite3.h>

#include "auth/auth.hpp"
#include "blog/blog.hpp"
#include "blog/import.hpp"
#include "store/backup.hpp"
#include "tests/support/database_shell.hpp"
#include "tests/support/opened_store.hpp"
#include "tests/support/post_files.hpp"
#include "util/file.hpp"

namespace {

// The statements that the program prepares, and the most steps that one run of each took in SQLite's machine, with those of its triggers.
struct Recording {
    std::mutex mutex;
    std::map<std::string, int> steps;
};

Recording& recording() {
    static Recording all;
    return all;
}

template <class Function>
Function* sqlite(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// Instead of libsqlite3's: this program's own come first.
extern "C" int sqlite3_prepare_v3(sqlite3* database, const char* sql, int size, unsigned flags, sqlite3_stmt** statement,
                                  const char** rest) {
    static auto* const real = sqlite<decltype(sqlite3_prepare_v3)>("sqlite3_prepare_v3");
    const auto code = real(database, sql, size, flags, statement, rest);
    if (code != SQLITE_OK) return code;
    const std::lock_guard lock(recording().mutex);
    recording().steps.emplace(std::string(sql, static_cast<std::size_t>(size)), 0);
    return code;
}

extern "C" int sqlite3_reset(sqlite3_stmt* statement) {
    static auto* const real = sqlite<decltype(sqlite3_reset)>("sqlite3_reset");
    if (const char* const sql = statement == nullptr ? nullptr : sqlite3_sql(statement)) {
        const auto steps = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
        const std::lock_guard lock(recording().mutex);
        auto& most = recording().steps[sql];
        most = std::max(most, steps);
    }
    return real(statement);
}

using namespace recto;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

constexpr TimePoint kNow{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

// One author has ten posts, however many authors there are.
void fill(const fs::path& file, int posts) {
    const auto count = std::to_string(posts), authors = std::to_string(posts / 10);
    const auto up_to = [](const std::string& last) {
        return " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + last + ") ";
    };
    DatabaseShell shell(file);
    shell.run("PRAGMA synchronous = OFF; BEGIN; INSERT INTO user (id, name, slug, created_at)" + up_to(authors) +
              "SELECT i, 'name' || i, 'user' || i, 0 FROM n; "
              "INSERT INTO token (hash, user, created_at) SELECT 'hash' || id, id, 0 FROM user; "
              "INSERT INTO tag (id, name, slug) SELECT id, 'tag' || id, 'tag' || id FROM user; "
              "INSERT INTO post (id, slug, title, body, status, published_at, created_at, updated_at)" +
              up_to(count) +
              "SELECT i, 'post' || i, 'Title', 'Text.', 'published', i, 0, 0 FROM n; "
              "INSERT INTO post_author SELECT id, 1 + id % " +
              authors + ", 0 FROM post; INSERT INTO post_tag SELECT id, 1 + id % " + authors + " FROM post; COMMIT;");
}

// What views, modules and commands do; with the same sizes of what they ask for.
void use_everything(const OpenedStore& opened, Store& store, Cache& cache) {
    const ModelRules rules{{}};
    Blog blog(store, cache, rules);
    Auth auth(store, cache, rules);
    BOOST_REQUIRE(auth.add_user("ada"));
    const auto token = auth.create_token("ada", "test").value();
    BOOST_TEST(auth.user_of(token).value() > 0);
    (void)auth.user_of("unknown");
    (void)auth.users();
    (void)auth.tokens();
    PostChanges content;
    content.title = "Planned";
    content.status = PostStatus::published;
    content.published_at = kNow;
    content.authors = {"ada"};
    content.tags = {"planned"};
    const auto id = blog.create(content, kNow).value().id;
    content.slug = "planned-again";
    content.tags = {"other"};
    (void)blog.change(id, content, kNow).value();
    (void)blog.find(id);
    (void)blog.find("planned-again");
    (void)blog.list();
    (void)blog.published_by_author(1, kNow);
    BOOST_TEST(blog.remove(id));
    BOOST_TEST(auth.revoke_token(auth.tokens().back().id));
    const auto posts = opened.folder / "posts";
    for (int i = 0; i < 3; ++i)
        write_post(posts, "imported" + std::to_string(i), {.title = "Imported", .authors = {"ada"}, .date = "2026-01-01"});
    (void)import_folder(store, {.folder = posts}, kNow);
    replace_file(posts / "imported0.md", "---\ntitle: Changed\ndate: 2026-01-01\ntags: [planned]\n---\nText.\n");
    (void)import_folder(store, {.folder = posts}, kNow);
    fs::rename(posts, opened.folder / "moved");
    (void)import_folder(store, {.folder = opened.folder / "moved"}, kNow);
    DatabaseShell(opened.options.file).run("UPDATE post SET source = '' WHERE source IS NOT NULL");  // as imported by an earlier version
    (void)import_folder(store, {.folder = opened.folder / "moved"}, kNow);
    auto transaction = store.write();
    transaction.touch("post");
    transaction.commit();
    (void)store.read().query("SELECT seq FROM change WHERE tag = ?", {std::string_view("post")}).next();  // explain
    auto source = store.change_source();
    (void)source->renew_epoch(source->changes_since(store.clock().read().synced()).epoch);
}

bool is_data_statement(const std::string& sql) {
    return (sql.starts_with("SELECT") || sql.starts_with("INSERT") || sql.starts_with("UPDATE") || sql.starts_with("DELETE")) &&
           sql.find("sqlite_schema") == std::string::npos && sql.find("pragma_") == std::string::npos;
}

// These are asked for everything there is: the operator's lists, the counts of a backup, and what an import compares with its folder.
bool reads_everything(const std::string& sql) {
    return sql.starts_with("SELECT count(*) FROM") || sql.find("FROM user ORDER BY name") != std::string::npos ||
           sql.find("ORDER BY token.id") != std::string::npos || sql.find("FROM post WHERE ? = '' OR status = ?") != std::string::npos ||
           sql.find("WHERE source > ?") != std::string::npos || sql.ends_with("WHERE source = ?");
}

// The steps of the statement and of the triggers that it fires.
std::vector<std::string> plan_of(const fs::path& file, const std::string& sql) {
    sqlite3* database = nullptr;
    BOOST_REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
    sqlite3_db_config(database, SQLITE_DBCONFIG_TRIGGER_EQP, 1, nullptr);
    sqlite3_exec(database, "PRAGMA foreign_keys = ON", nullptr, nullptr, nullptr);
    std::vector<std::string> steps;
    const auto keep = [](void* to, int, char** values, char**) {
        if (values[3] != nullptr) static_cast<std::vector<std::string>*>(to)->emplace_back(values[3]);  // a trigger's heading has none
        return 0;
    };
    char* message = nullptr;
    const auto code = sqlite3_exec(database, ("EXPLAIN QUERY PLAN " + sql).c_str(), keep, &steps, &message);
    BOOST_TEST(code == SQLITE_OK, (message == nullptr ? "" : message));
    sqlite3_free(message);
    sqlite3_close(database);
    return steps;
}

// A scan of one row or of a subquery's result does no harm; the posts of one status are most of the blog.
bool grows_with_the_blog(const std::string& step) {
    if (step.find("post_by_time") != std::string::npos || step.find("AUTOMATIC") != std::string::npos) return true;
    return step.starts_with("SCAN") && step != "SCAN CONSTANT ROW" && step != "SCAN clock" && !step.starts_with("SCAN (subquery") &&
           !step.starts_with("SCAN sqlite_") && step.find("VIRTUAL TABLE") == std::string::npos;
}

std::map<std::string, int> recorded() {
    const std::lock_guard lock(recording().mutex);
    std::map<std::string, int> found;
    for (const auto& [sql, steps] : recording().steps)
        if (is_data_statement(sql)) found.emplace(sql, steps);
    return found;
}

void forget() {
    const std::lock_guard lock(recording().mutex);
    recording().steps.clear();
}

std::map<std::string, int> steps_with(int posts, const std::string& before) {
    OpenedStore opened;
    fill(opened.options.file, posts);
    if (!before.empty()) DatabaseShell(opened.options.file).run(before);
    Store store = Store::open(opened.options);  // with what is known of the tables now
    Cache cache(
        CacheOptions{.servers = {"unix:" + (opened.folder / "nobody.sock").string()}, .runtime_dir = opened.folder / "run", .build = "x"},
        store);
    forget();
    use_everything(opened, store, cache);
    return recorded();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plan)

BOOST_AUTO_TEST_CASE(no_statement_reads_the_whole_blog) {
    forget();
    std::set<std::string> statements;
    OpenedStore used;
    use_everything(used, used.store, used.cache);
    (void)back_up(used.options, used.folder / "copy.db");
    for (const auto& [sql, steps] : recorded()) statements.insert(sql);
    BOOST_TEST(statements.size() > 40u);

    struct Database {
        const char* what;
        int posts;
        const char* statistics;
    };
    for (const auto& [what, posts, statistics] :
         {Database{"empty", 0, "DROP TABLE sqlite_stat1"}, Database{"empty, analyzed", 0, "ANALYZE"}, Database{"as migrated", 0, ""},
          Database{"many", 5000, "DROP TABLE sqlite_stat1"}, Database{"many, analyzed", 5000, "ANALYZE"}}) {
        OpenedStore opened;
        if (posts > 0) fill(opened.options.file, posts);
        if (*statistics != '\0') DatabaseShell(opened.options.file).run(statistics);
        for (const auto& sql : statements) BOOST_TEST_CONTEXT(what << ": " << sql) {
                for (const auto& step : plan_of(opened.options.file, sql))
                    if (!reads_everything(sql)) BOOST_TEST(!grows_with_the_blog(step), step);
            }
    }
}

// The plans may look right and still visit too many rows, so the work itself is counted.
BOOST_AUTO_TEST_CASE(no_statement_works_more_because_the_blog_is_larger) {
    for (const std::string before : {"", "DROP TABLE sqlite_stat1", "ANALYZE"}) {
        const auto few = steps_with(100, before);
        const auto many = steps_with(10'000, before);
        BOOST_TEST(few.size() == many.size());
        for (const auto& [sql, steps] : many) BOOST_TEST_CONTEXT(before << ": " << sql) {
                if (reads_everything(sql) || !few.contains(sql)) continue;
                BOOST_TEST(steps <= few.at(sql) * 3 / 2 + 100);
            }
    }
}

// What this program's sources say must be among what was recorded, or this test knows nothing of it.
BOOST_AUTO_TEST_CASE(every_statement_in_the_sources_was_looked_at) {
    OpenedStore used;
    forget();
    use_everything(used, used.store, used.cache);
    (void)back_up(used.options, used.folder / "copy.db");
    std::string all;
    for (const auto& [sql, steps] : recording().steps) all += sql + '\n';
    const std::regex literal(R"re("((SELECT|INSERT INTO|UPDATE|DELETE FROM) [^"\\]*)")re");
    int found = 0;
    for (const auto& entry : fs::recursive_directory_iterator("modules")) {
        if (entry.path().extension() != ".cpp") continue;
        const auto text = read_file(entry.path());
        for (auto match = std::sregex_iterator(text.begin(), text.end(), literal); match != std::sregex_iterator(); ++match, ++found)
            if (is_data_statement((*match)[1].str()))
                BOOST_TEST(all.find((*match)[1].str()) != std::string::npos, entry.path().string() + ": " + (*match)[1].str());
    }
    BOOST_TEST(found > 30);
}

// After an import, and by the follower once a day; never of small tables, which would be wrong when they have grown.
BOOST_AUTO_TEST_CASE(statistics_come_by_themselves) {
    const auto rows = [](const fs::path& file) {
        return std::stoi(*DatabaseShell(file).ask("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'tag'"));
    };
    OpenedStore opened;
    BOOST_TEST(rows(opened.options.file) == 0);
    {
        auto few = opened.store.write();
        few.execute("INSERT INTO tag (name, slug) VALUES ('one', 'one')");
        few.commit();
    }
    BOOST_TEST(rows(opened.options.file) == 0);
    const auto source = opened.store.change_source();
    source->tend();
    BOOST_TEST(rows(opened.options.file) == 0);
    auto many = opened.store.write();
    for (int i = 0; i < 1500; ++i) {
        const auto name = "t" + std::to_string(i);
        many.execute("INSERT INTO tag (name, slug) VALUES (?, ?)", {std::string_view(name), std::string_view(name)});
    }
    many.commit();
    BOOST_TEST(rows(opened.options.file) == 2);  // the two indexes of tag

    DatabaseShell(opened.options.file).run("DELETE FROM sqlite_stat1");
    DatabaseShell writer(opened.options.file);
    writer.run("BEGIN IMMEDIATE");
    const auto began = std::chrono::steady_clock::now();
    source->tend();  // waits for no one
    BOOST_TEST((std::chrono::steady_clock::now() - began < 4s));
    writer.run("ROLLBACK");
    BOOST_TEST(rows(opened.options.file) == 0);
    source->tend();
    BOOST_TEST(rows(opened.options.file) == 2);
}

BOOST_AUTO_TEST_SUITE_END()
