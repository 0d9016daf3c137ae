// The limits as clients meet them: through real nginx, over several workers, at full speed.
#define BOOST_TEST_MODULE throttle_service
#include <boost/test/unit_test.hpp>

#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/support/journal.hpp"
#include "tests/support/service.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

HttpHeaders with_token(const std::string& token) { return {{"Authorization", "Token " + token}}; }

std::string field(const HttpAnswer& answer, const std::string& name) { return answer.header(name).value_or(""); }

std::string token_of(const Service& service, const std::string& user) {
    (void)done(service.recto({"user", "add", user}));
    return std::string(trim(done(service.recto({"token", "create", user}))));
}

std::vector<int> statuses(HttpClient& client, const std::string& target, int count, const HttpHeaders& headers = {}) {
    std::vector<int> all;
    for (int i = 0; i < count; ++i) all.push_back(client.get(target, headers).status);
    return all;
}

}  // namespace

}  // namespace recto
