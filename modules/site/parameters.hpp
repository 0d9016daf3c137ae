// parameters.hpp - the query parameters a view declares, and the cache key they make.
//
// Threads:  plain values.
// Source:   application/x-www-form-urlencoded as in the URL Standard (`+` is a space, %XX a byte); of a parameter given twice the last
//           one counts, as in Django's QueryDict.get.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "site/views.hpp"

namespace recto {

class Parameters {
public:
    // Takes what the view declares from the query and drops the rest.
    Parameters(const View& view, std::string_view query);

    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;

    // The same for all queries that mean the same to the view; each value with its length, absent and empty told apart.
    [[nodiscard]] std::string cache_key() const;

private:
    const View& view_;
    std::vector<std::optional<std::string>> values_;  // in the order of view_.parameters
};

}  // namespace recto
