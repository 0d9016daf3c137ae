#include "tests/support/post_files.hpp"

#include <array>
#include <random>

#include "util/file.hpp"
#include "util/text.hpp"

namespace recto {

void write_post(const std::filesystem::path& folder, std::string_view name, const PostFile& post) {
    std::filesystem::create_directories(folder);
    std::string text = "---\ntitle: " + post.title + "\nauthors: [" + join(post.authors, ", ") + "]\n";
    if (!post.date.empty()) text += "date: " + post.date + '\n';
    replace_file(folder / (std::string(name) + ".md"), text + post.more + "---\n" + post.body);
}

std::string long_text(std::size_t bytes, unsigned seed) {
    static constexpr std::array<std::string_view, 8> kWords{"words", "\"quoted\"", "back\\slash", "naïve",
                                                            "日本",  "a\ttab",     "line\n",      "<b>&amp;</b>"};
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < bytes) text += std::string(kWords[random() % kWords.size()]) + std::to_string(random()) + ' ';
    return text + '\n';
}

}  // namespace recto
