// blogs.hpp - what an answer of /api/blogs holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "util/json.hpp"

namespace recto {

[[nodiscard]] inline json::array blogs_in(std::string_view body) {
    auto answer = json::parse({body.data(), body.size()});
    return std::move(answer.at("blogs").as_array());
}

[[nodiscard]] inline std::vector<std::string> titles_in(std::string_view body) {
    std::vector<std::string> titles;
    for (const auto& post : blogs_in(body)) titles.emplace_back(post.at("title").as_string());
    return titles;
}

}  // namespace recto
