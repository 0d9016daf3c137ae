// post_files.hpp - Markdown files as `recto import` reads them, made for a test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace recto {

struct PostFile {
    std::string title;
    std::vector<std::string> authors;
    std::string date;  // empty: none
    std::string body = "A body.\n";
    std::string more = {};  // lines for the front matter, such as `draft: true`
};

void write_post(const std::filesystem::path& folder, std::string_view name, const PostFile& post);  // as `folder/name.md`

// Text of about that many bytes that JSON has to escape in places, another one for each seed.
[[nodiscard]] std::string long_text(std::size_t bytes, unsigned seed);

}  // namespace recto
