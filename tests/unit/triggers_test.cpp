// Whoever changes a row, in whatever way, every tag whose rows changed must have a newer number.
#define BOOST_TEST_MODULE triggers
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "store/schema.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace recto;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

using Contents = std::map<std::string, std::string>;  // a tag, and all the rows that something with that tag may have read

using Table = std::vector<std::vector<std::string>>;

Table rows_of(Connection& connection, const std::string& sql, int columns) {
    Table table;
    for (auto rows = connection.query(sql); rows.next();) {
        auto& row = table.emplace_back();
        for (int i = 0; i < columns; ++i) row.push_back(rows.maybe_text(i).value_or("NULL"));
    }
    return table;
}

std::string line(const std::vector<std::string>& row) {
    std::string text;
    for (const auto& cell : row) text += cell + '|';
    return text + '\n';
}

std::string all_lines(const Table& table) {
    std::string text;
    for (const auto& row : table) text += line(row);
    return text;
}

// Said by looking at the rows, not at the triggers.
Contents contents_of(Connection& connection) {
    const auto posts = rows_of(connection, "SELECT CAST(id AS TEXT), slug, title, source || source_path FROM post ORDER BY id", 4);
    const auto authors = rows_of(
        connection, "SELECT CAST(post AS TEXT), CAST(user AS TEXT), CAST(position AS TEXT) FROM post_author ORDER BY post, user", 3);
    const auto post_tags = rows_of(connection, "SELECT CAST(post AS TEXT), CAST(tag AS TEXT) FROM post_tag ORDER BY post, tag", 2);
    const auto tags = rows_of(connection, "SELECT CAST(id AS TEXT), slug, name FROM tag ORDER BY id", 3);
    const auto users = rows_of(connection, "SELECT CAST(id AS TEXT), slug, name, CAST(active AS TEXT) FROM user ORDER BY id", 4);
    const auto tokens = rows_of(connection, "SELECT CAST(id AS TEXT), hash, CAST(user AS TEXT), label FROM token ORDER BY id", 4);

    Contents contents;
    contents["post"] = all_lines(posts) + all_lines(authors) + all_lines(post_tags);
    for (const auto* table : {&posts, &authors, &post_tags})
        for (const auto& row : *table) contents["post:id=" + row[0]] += line(row);
    const auto whole = [&](const std::string& post) { return contents["post:id=" + post]; };
    for (const auto& post : posts) contents["post:slug=" + post[1]] += whole(post[0]);
    for (const auto& author : authors) contents["post:author=" + author[1]] += whole(author[0]);
    for (const auto& tag : tags)
        for (const auto& post_tag : post_tags)
            if (post_tag[1] == tag[0]) contents["post:tag=" + tag[1]] += whole(post_tag[0]);

    contents["tag"] = all_lines(tags);
    for (const auto& tag : tags) contents["tag:id=" + tag[0]] = contents["tag:slug=" + tag[1]] = line(tag);
    contents["user"] = all_lines(users);
    for (const auto& user : users)
        contents["user:id=" + user[0]] = contents["user:slug=" + user[1]] = contents["user:name=" + user[2]] = line(user);
    contents["token"] = all_lines(tokens);
    for (const auto& token : tokens) {
        contents["token:hash=" + token[1]] += line(token);
        contents["token:user=" + token[2]] += line(token);
    }
    return contents;
}

std::set<std::string> differences(const Contents& before, const Contents& after) {
    std::set<std::string> tags;
    const auto compare = [&](const Contents& one, const Contents& other) {
        for (const auto& [tag, rows] : one) {
            const auto found = other.find(tag);
            if (rows != (found == other.end() ? "" : found->second)) tags.insert(tag);
        }
    };
    compare(before, after);
    compare(after, before);
    return tags;
}

std::set<std::string> tags_after(Connection& connection, std::int64_t seq) {
    std::set<std::string> tags;
    const std::array<Value, 1> values{seq};
    for (auto rows = connection.query("SELECT tag FROM change WHERE seq > ?", values); rows.next();) tags.emplace(rows.text(0));
    return tags;
}

std::int64_t seq_of(Connection& connection) { return connection.integer("SELECT seq FROM clock"); }

void create_schema(Connection& connection) {
    for (const auto& file : current_schema().migrations) connection.run_script(std::string(file.text));
    connection.run_script(std::string(current_schema().triggers));
}

constexpr auto kRows = R"(
    INSERT INTO user (id, name, slug, created_at) VALUES (1, 'u1', 's1', 0), (2, 'u2', 's2', 0), (3, 'u3', 's3', 0);
    INSERT INTO token (id, hash, user, created_at) VALUES (1, 'h1', 1, 0), (2, 'h2', 1, 0), (3, 'h3', 2, 0);
    INSERT INTO tag (id, name, slug) VALUES (1, 't1', 't1'), (2, 't2', 't2'), (3, 't3', 't3');
    INSERT INTO post (id, slug, title, body, source, source_path, created_at, updated_at) VALUES
        (1, 'a', 'A', '', '/x', 'a.md', 0, 0), (2, 'b', 'B', '', '/x', 'b.md', 0, 0), (3, 'c', 'C', '', NULL, NULL, 0, 0);
    INSERT INTO post_author (post, user, position) VALUES (1, 1, 0), (1, 2, 1), (2, 2, 0), (3, 3, 0);
    INSERT INTO post_tag (post, tag) VALUES (1, 1), (1, 2), (2, 2), (3, 3);
)";

// Small ranges, so that rows collide.
class RandomStatements {
public:
    explicit RandomStatements(unsigned seed) : random_(seed) {}

    std::string next() {
        const std::array<std::function<std::string()>, 4> kinds{[&] { return insert(); }, [&] { return update(); },
                                                                [&] { return update(); }, [&] { return remove(); }};
        return kinds[below(kinds.size())]();
    }

private:
    struct Column {
        std::string name;
        std::function<std::string()> value;
    };
    struct TableRule {
        std::string name;
        std::vector<Column> columns;
        std::string fixed_columns;
        std::string fixed_values;
        std::vector<std::string> keys;  // what may be named after ON CONFLICT
    };

    std::size_t below(std::size_t limit) { return random_() % limit; }
    std::string one_of(const std::vector<std::string>& words) { return words[below(words.size())]; }
    std::string number() { return std::to_string(1 + below(5)); }
    std::string maybe_number() { return below(3) == 0 ? "NULL" : number(); }
    std::string word(const std::string& start) { return "'" + start + number() + "'"; }

    TableRule table() {
        const auto id = [this] { return maybe_number(); };
        const auto reference = [this] { return number(); };
        const auto text = [this](std::string start) { return [this, start] { return word(start); }; };
        const TableRule rules[] = {
            {"post",
             {{"id", id},
              {"slug", text("s")},
              {"title", text("t")},
              {"source", [this] { return below(3) == 0 ? "''" : "'/x'"; }},
              {"source_path", text("p")}},
             ", body, created_at, updated_at",
             ", '', 0, 0",
             {"(id)", "(slug)", "(source, source_path)"}},
            {"post_author", {{"post", reference}, {"user", reference}, {"position", reference}}, "", "", {"(post, user)"}},
            {"post_tag", {{"post", reference}, {"tag", reference}}, "", "", {"(post, tag)"}},
            {"user", {{"id", id}, {"name", text("n")}, {"slug", text("s")}}, ", created_at", ", 0", {"(id)", "(name)", "(slug)"}},
            {"tag", {{"id", id}, {"name", text("n")}, {"slug", text("s")}}, "", "", {"(id)", "(name)", "(slug)"}},
            {"token",
             {{"id", id}, {"hash", text("h")}, {"user", reference}, {"label", text("l")}},
             ", created_at",
             ", 0",
             {"(id)", "(hash)"}},
        };
        return rules[below(std::size(rules))];
    }

    std::string assignments(const TableRule& rule) {
        std::string text;
        auto columns = rule.columns;
        std::ranges::shuffle(columns, random_);
        for (std::size_t i = 0, count = 1 + below(columns.size()); i < count; ++i) {
            const auto& column = columns[i];
            // The id has other names, which don't count as the column where a trigger names it.
            const auto name = column.name == "id" ? one_of({"id", "rowid", "_rowid_", "oid"}) : column.name;
            text += (i == 0 ? "" : ", ") + name + " = " + column.value();
        }
        return text;
    }

    std::string condition(const TableRule& rule) {
        const auto& column = rule.columns[below(rule.columns.size())];
        return below(4) == 0 ? "" : " WHERE " + column.name + one_of({" = ", " >= ", " IS NOT "}) + column.value();
    }

    std::string insert() {
        const auto rule = table();
        std::string names, rows;
        for (const auto& column : rule.columns) names += (names.empty() ? "" : ", ") + column.name;
        for (std::size_t i = 0, count = 1 + below(3); i < count; ++i) {
            std::string values;
            for (const auto& column : rule.columns) values += (values.empty() ? "" : ", ") + column.value();
            rows += (rows.empty() ? "(" : ", (") + values + rule.fixed_values + ")";
        }
        const auto verb = one_of({"INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL", "INSERT OR ROLLBACK"});
        auto text = verb + " INTO " + rule.name + " (" + names + rule.fixed_columns + ") VALUES " + rows;
        if (below(4) == 0) text += " ON CONFLICT " + one_of(rule.keys) + " DO UPDATE SET " + assignments(rule);
        if (below(8) == 0) text += " ON CONFLICT DO NOTHING";
        return text;
    }

    std::string update() {
        const auto rule = table();
        return one_of({"UPDATE ", "UPDATE OR REPLACE ", "UPDATE OR REPLACE ", "UPDATE OR IGNORE ", "UPDATE OR FAIL "}) + rule.name +
               " SET " + assignments(rule) + condition(rule);
    }

    std::string remove() {
        const auto rule = table();
        return "DELETE FROM " + rule.name + condition(rule);
    }

    std::mt19937 random_;
};

void expect_every_difference_in_the_clock(Connection& connection, const std::string& sql, int& changes) {
    const auto before = contents_of(connection);
    const auto seq = seq_of(connection);
    const auto nonce = connection.integer("SELECT nonce FROM clock");
    try {
        connection.run_script(sql);
    } catch (const DatabaseError&) {  // a constraint; with OR FAIL a part may be done
    }
    const auto noted = tags_after(connection, seq);
    for (const auto& tag : differences(before, contents_of(connection))) {
        if (!noted.contains(tag)) BOOST_ERROR("unnoticed: " + tag);
        ++changes;
    }
    BOOST_TEST(seq_of(connection) == connection.integer("SELECT coalesce(max(seq), 0) FROM change"));
    BOOST_TEST((connection.integer("SELECT nonce FROM clock") == nonce) == (seq_of(connection) == seq));
}

// The real shell, which has foreign keys and recursive triggers off.
struct Shell {
    TemporaryFolder folder;
    fs::path file = folder.path() / "blog.db";

    Shell() {
        migrate({file, folder.path() / "run", 5000ms});
        Connection(file, Connection::Mode::write, 5000ms).run_script(kRows);
    }

    void run(const std::string& sql) const {
        const auto command = "sqlite3 -bail '" + file.string() + "' \"" + sql + "\"";
        BOOST_REQUIRE(std::system(command.c_str()) == 0);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(triggers)

BOOST_AUTO_TEST_CASE(random_statements_change_nothing_unnoticed) {
    int changes = 0;
    for (const auto* foreign_keys : {"ON", "OFF"})
        for (const auto* recursive : {"OFF", "ON"})
            for (unsigned seed = 1; seed <= 12; ++seed)
                BOOST_TEST_CONTEXT("foreign_keys " << foreign_keys << ", recursive_triggers " << recursive << ", seed " << seed) {
                    Connection connection("", Connection::Mode::in_memory, 0ms);
                    create_schema(connection);
                    connection.run_script(kRows);
                    connection.run_script(std::string("PRAGMA foreign_keys = ") + foreign_keys);
                    connection.run_script(std::string("PRAGMA recursive_triggers = ") + recursive);
                    RandomStatements statements(seed);
                    for (int i = 0; i < 120; ++i) {
                        const auto sql = statements.next();
                        BOOST_TEST_CONTEXT(i << ": " << sql) { expect_every_difference_in_the_clock(connection, sql, changes); }
                    }
                }
    BOOST_TEST_MESSAGE(changes << " changed tags");
    BOOST_TEST(changes > 10'000);
}

BOOST_AUTO_TEST_CASE(what_a_shell_changes_is_noticed) {
    struct Case {
        std::string sql;
        std::set<std::string> must_have;
        std::set<std::string> must_not_have;
    };
    const std::string columns = "(id, slug, title, body, source, source_path, created_at, updated_at)";
    const Case cases[] = {
        {"REPLACE INTO post " + columns + " VALUES (1, 'x', 'X', '', NULL, NULL, 0, 0)",
         {"post", "post:id=1", "post:slug=a", "post:slug=x", "post:author=1", "post:author=2", "post:tag=t1", "post:tag=t2"},
         {"post:id=2", "post:author=3", "user", "tag"}},
        {"REPLACE INTO post " + columns + " VALUES (9, 'b', 'X', '', '/x', 'a.md', 0, 0)",  // removes two
         {"post:id=1", "post:id=2", "post:id=9", "post:slug=a", "post:slug=b", "post:author=1", "post:author=2", "post:tag=t1"},
         {"post:id=3"}},
        {"UPDATE OR REPLACE post SET slug = 'a' WHERE id = 3",
         {"post:id=1", "post:id=3", "post:slug=a", "post:slug=c", "post:author=1", "post:author=3", "post:tag=t1", "post:tag=t3"},
         {"post:id=2", "post:slug=b"}},
        {"UPDATE OR REPLACE post SET rowid = 1 WHERE id = 3",
         {"post:id=1", "post:id=3", "post:slug=a", "post:author=1", "post:tag=t1"},
         {"post:id=2"}},
        {"UPDATE OR REPLACE post SET source = '/x', source_path = 'b.md' WHERE id = 3", {"post:id=2", "post:slug=b", "post:tag=t2"}, {"post:id=1"}},
        {"UPDATE OR REPLACE post SET source = '/y', source_path = 'b.md' WHERE id = 3", {"post:id=3"}, {"post:id=2", "post:slug=b"}},
        {"UPDATE OR IGNORE post SET title = 'X', slug = 'x' WHERE id = 1", {"post:id=1", "post:slug=a", "post:slug=x"}, {"post:id=2"}},
        {"INSERT INTO post " + columns + " VALUES (1, 'x', '', '', NULL, NULL, 0, 0) ON CONFLICT (id) DO UPDATE SET slug = excluded.slug",
         {"post:id=1", "post:slug=a", "post:slug=x"},
         {"post:id=2"}},
        {"INSERT INTO post " + columns + " VALUES (NULL, 'new', '', '', NULL, NULL, 0, 0)",
         {"post", "post:id=4", "post:slug=new"},
         {"post:id=1"}},
        {"DELETE FROM post",
         {"post", "post:id=1", "post:id=2", "post:id=3", "post:author=1", "post:author=2", "post:author=3", "post:tag=t3"},
         {"user"}},
        {"DELETE FROM post WHERE id = 1; DELETE FROM post_author WHERE post = 1",
         {"post:author=1", "post:author=2", "post:tag=t1", "post:tag=t2"},
         {"post:id=3"}},
        {"PRAGMA foreign_keys = ON; DELETE FROM post WHERE id = 1", {"post:author=1", "post:author=2", "post:tag=t2"}, {"post:id=3"}},
        {"DELETE FROM post_author WHERE user = 2", {"post", "post:id=1", "post:id=2", "post:author=1", "post:author=2"}, {"post:author=3"}},
        {"UPDATE post_author SET user = 3 WHERE post = 2", {"post:id=2", "post:author=2", "post:author=3"}, {"post:id=3"}},
        {"UPDATE OR REPLACE post_tag SET post = 2 WHERE post = 1", {"post:id=1", "post:id=2", "post:tag=t1", "post:tag=t2"}, {"post:id=3"}},
        {"INSERT INTO post_tag VALUES (3, 1)", {"post:id=3", "post:tag=t1", "post:tag=t3", "post:author=3"}, {"post:id=1", "tag"}},
        {"UPDATE user SET name = 'New', slug = 'new' WHERE id = 1",
         {"user", "user:id=1", "user:name=u1", "user:name=New", "user:slug=s1", "user:slug=new"},
         {"user:id=2", "post"}},
        {"UPDATE OR REPLACE user SET name = 'u2' WHERE id = 1", {"user:id=1", "user:id=2", "user:slug=s2", "user:name=u1"}, {"user:id=3"}},
        {"REPLACE INTO user (name, slug, created_at) VALUES ('u1', 's2', 0)",
         {"user:id=1", "user:id=2", "user:id=4", "user:slug=s1", "user:name=u2"},
         {"user:id=3"}},
        {"PRAGMA foreign_keys = ON; DELETE FROM post_author; DELETE FROM user WHERE id = 1",
         {"user:id=1", "token", "token:hash=h1", "token:hash=h2", "token:user=1"},
         {"token:hash=h3"}},
        {"UPDATE post SET id = 9, slug = 'x', title = 'X', source = 's', source_path = 'x.md' WHERE id = 1",  // all at once hide nothing of what was
         {"post", "post:id=1", "post:id=9", "post:slug=a", "post:slug=x", "post:author=1", "post:author=2", "post:tag=t1", "post:tag=t2"},
         {"post:id=2"}},
        {"UPDATE post_author SET post = 3, user = 1, position = 7 WHERE post = 2",
         {"post", "post:id=2", "post:id=3", "post:author=1", "post:author=2", "post:author=3", "post:slug=b", "post:slug=c"},
         {"post:id=1"}},
        {"UPDATE post_tag SET post = 3, tag = 1 WHERE post = 2",
         {"post", "post:id=2", "post:id=3", "post:tag=t1", "post:tag=t2", "post:tag=t3", "post:slug=b", "post:slug=c"},
         {"post:id=1"}},
        {"UPDATE user SET id = 9, name = 'New', slug = 'new', active = 0 WHERE id = 1",
         {"user", "user:id=1", "user:id=9", "user:name=u1", "user:name=New", "user:slug=s1", "user:slug=new"},
         {"user:id=2"}},
        {"UPDATE tag SET id = 9, name = 'x', slug = 'x' WHERE id = 2",
         {"tag", "tag:id=2", "tag:id=9", "tag:slug=t2", "tag:slug=x", "post:tag=t2", "post:tag=x"},
         {"tag:id=1"}},
        {"UPDATE token SET id = 9, hash = 'new', user = 3, label = 'x' WHERE id = 1",
         {"token", "token:hash=h1", "token:hash=new", "token:user=1", "token:user=3"},
         {"token:hash=h2"}},
        {"UPDATE tag SET slug = 'x' WHERE id = 2",
         {"tag", "tag:id=2", "tag:slug=t2", "tag:slug=x", "post:tag=t2", "post:tag=x"},
         {"tag:id=1"}},
        {"REPLACE INTO token (hash, user, created_at) VALUES ('h1', 3, 0)",
         {"token", "token:hash=h1", "token:user=1", "token:user=3"},
         {"token:hash=h2"}},
        {"BEGIN; DELETE FROM post; ROLLBACK", {}, {"post"}},
        {"INSERT OR IGNORE INTO post_tag VALUES (1, 1)", {}, {"post"}},  // nothing happened
    };
    for (const auto& [sql, must_have, must_not_have] : cases) BOOST_TEST_CONTEXT(sql) {
            const Shell shell;
            Connection connection(shell.file, Connection::Mode::read, 5000ms);
            const auto seq = seq_of(connection);
            const auto before = contents_of(connection);
            shell.run(sql);
            const auto noted = tags_after(connection, seq);
            for (const auto& tag : must_have) BOOST_TEST(noted.contains(tag), tag);
            for (const auto& tag : must_not_have) BOOST_TEST(!noted.contains(tag), tag);
            for (const auto& tag : differences(before, contents_of(connection))) BOOST_TEST(noted.contains(tag), tag);
        }
}

BOOST_AUTO_TEST_CASE(a_lost_clock_stops_writes_instead_of_hiding_them) {
    Connection connection("", Connection::Mode::in_memory, 0ms);
    create_schema(connection);
    connection.run_script("DELETE FROM clock");
    BOOST_CHECK_THROW(connection.run_script(kRows), DatabaseError);
}

// Otherwise an import would get slower with every post that is there already.
BOOST_AUTO_TEST_CASE(triggers_find_their_rows_by_index) {
    Connection connection("", Connection::Mode::in_memory, 0ms);
    create_schema(connection);
    for (const auto* sql : {"SELECT label FROM label_of_post WHERE post = 1",
                            "SELECT label FROM label_of_post WHERE post IN (SELECT 1 UNION SELECT id FROM post WHERE slug = 'a' UNION "
                            "SELECT id FROM post WHERE source = 's' AND source_path = 'b')",
                            "SELECT 1 FROM clock WHERE EXISTS (SELECT 1 FROM change WHERE change.seq > clock.seq)"})
        BOOST_TEST_CONTEXT(sql)
    for (auto plan = connection.query(std::string("EXPLAIN QUERY PLAN ") + sql); plan.next();) {
        const std::string step(plan.text(3));
        const bool scans = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW" && step != "SCAN clock";
        BOOST_TEST(!scans, step);
    }
}

BOOST_AUTO_TEST_SUITE_END()
