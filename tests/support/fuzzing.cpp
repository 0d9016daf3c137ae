#include "tests/support/fuzzing.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "util/file.hpp"

namespace recto {
namespace {

std::vector<std::string> files_of(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
    std::ranges::sort(paths);  // a folder has no order of its own
    std::vector<std::string> texts;
    for (const auto& path : paths) texts.push_back(read_file(path));
    if (texts.empty()) throw std::runtime_error("no seeds in " + folder.string());
    return texts;
}

// Lengths are what parsers trust, so most changes make one wrong or move what it counts.
class Mutations {
public:
    std::string of(std::string text, const std::string& other) {
        for (auto changes = 1 + below(4); changes > 0; --changes) change(text, other);
        return text;
    }

    std::size_t below(std::size_t limit) { return random_() % limit; }

private:
    void change(std::string& text, const std::string& other) {
        const auto place = below(text.size() + 1);
        const auto length = std::min(below(40), text.size() - place);
        switch (below(6)) {
            case 0:
                return void(text.insert(place, 1 + below(9), static_cast<char>(below(256))));
            case 1:
                return void(text.erase(place, length));
            case 2:
                return void(text.insert(place, text.substr(place, length)));
            case 3:
                return void(text.replace(place, length, other.substr(std::min(place, other.size()), length)));
            case 4:
                if (place < text.size()) text[place] = static_cast<char>(below(256));
                return;
            default:
                if (place < text.size()) text[place] = static_cast<char>(text[place] ^ (1 << below(8)));
        }
    }

    std::mt19937 random_{20261127};  // NOLINT: the same ones in each run
};

}  // namespace

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "fuzzing: %s\n", what);
    std::abort();
}

std::size_t replay(FuzzTarget target, const std::filesystem::path& seeds, int rounds) {
    const auto run = [&](const std::string& text) { target(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()); };
    const auto texts = files_of(seeds);
    for (const auto& text : texts) run(text);
    Mutations mutations;
    for (int i = 0; i < rounds; ++i) run(mutations.of(texts[mutations.below(texts.size())], texts[mutations.below(texts.size())]));
    return texts.size() + static_cast<std::size_t>(rounds);
}

}  // namespace recto
