// view_address.hpp - a page's address as the operator types or copies it, as the view and the key it stands for.
//
// Errors:   fail() with a sentence for an address that no view has.
// Threads:  plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "site/view_request.hpp"

namespace recto {

struct ViewAddress {
    const View* view;
    std::string query;
    std::string key;  // of the cache: as a visitor without cookies who is not logged in would ask

    [[nodiscard]] std::vector<std::string> ignored_parameters() const;
};

[[nodiscard]] bool is_address(std::string_view text);  // `/path…` or `http…://…`
[[nodiscard]] ViewAddress view_address_of(const std::string& text);

}  // namespace recto
