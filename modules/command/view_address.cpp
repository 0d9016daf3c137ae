#include "command/view_address.hpp"

#include <algorithm>

#include "command/operator.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

// Without scheme and host, and without what only the browser sees.
std::string_view path_and_query(std::string_view text) {
    text = text.substr(0, text.find('#'));
    const auto scheme = text.find("://");
    if (text.starts_with('/') || scheme == std::string_view::npos) return text;
    const auto path = text.find('/', scheme + 3);
    return path == std::string_view::npos ? "/" : text.substr(path);
}

}  // namespace

std::vector<std::string> ViewAddress::ignored_parameters() const {
    std::vector<std::string> ignored;
    for (const auto& pair : split_list(query, '&')) {
        const auto name = pair.substr(0, pair.find('='));
        if (std::ranges::find(view->parameters, name, &QueryParameter::name) == view->parameters.end()) ignored.push_back(name);
    }
    return ignored;
}

bool is_address(std::string_view text) { return text.starts_with('/') || text.starts_with("http://") || text.starts_with("https://"); }

ViewAddress view_address_of(const std::string& text) {
    const auto address = path_and_query(text);
    const auto mark = std::min(address.find('?'), address.size());
    const auto* const view = find_view(address.substr(0, mark));
    if (view == nullptr) fail("no view has the path " + std::string(address.substr(0, mark)) + "; see `recto routes`");
    const std::string query(address.substr(std::min(mark + 1, address.size())));
    return {view, query, ViewRequest(*view, query).cache_key()};
}

}  // namespace recto
