// skip.hpp - a test case that can't be tried on this machine says so; tests/run counts it apart and tells the reason.
//
//     if (::geteuid() == 0) return skip("root may read every file");
#pragma once

#include <cstdio>
#include <string>

#include <boost/test/unit_test.hpp>

namespace recto {

// The rest of the case is left out: return after it. At most once in a case.
inline void skip(const std::string& reason) {
    const auto name = boost::unit_test::framework::current_test_case().full_name();
    std::printf("\n# SKIP %s: %s\n", name.c_str(), reason.c_str());  // Boost's own lines may lack their end
    std::fflush(stdout);
    BOOST_TEST(true);  // a case without a check would be warned of
}

}  // namespace recto
