// The list of loggers against the code that uses them.
#define BOOST_TEST_MODULE loggers
#include "log/loggers.hpp"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <string>

#include <boost/test/unit_test.hpp>

#include "util/file.hpp"
#include "util/text.hpp"

using namespace recto;
namespace fs = std::filesystem;

namespace {

// In lines that log, or name a constant for it.
std::set<std::string> loggers_in(const fs::path& source) {
    static const std::regex logger("\"(recto\\.[a-z._]+)\"");
    std::set<std::string> found;
    for (const auto& line : split_list(read_file(source), '\n')) {
        if (line.find("log_") == line.npos && line.find("ogger") == line.npos && line.find("Level::") == line.npos) continue;
        for (std::sregex_iterator match(line.begin(), line.end(), logger), end; match != end; ++match) found.insert((*match)[1]);
    }
    return found;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_logger_of_the_source_is_in_the_list) {
    std::set<std::string> used;
    for (const auto* folder : {"modules", "fcgi"})
        for (const auto& entry : fs::recursive_directory_iterator(folder))
            if (entry.path().extension() == ".cpp") used.merge(loggers_in(entry.path()));
    BOOST_TEST(used.contains("recto.cache"));
    BOOST_TEST(used.contains("recto.clock"));
    for (const auto& logger : used)
        BOOST_TEST((std::ranges::find(kKnownLoggers, logger, &KnownLogger::name) != kKnownLoggers.end()), logger);
}
