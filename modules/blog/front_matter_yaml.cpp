#include <algorithm>
#include <stdexcept>

#include <yaml-cpp/yaml.h>

#include "blog/front_matter_formats.hpp"

namespace recto {
namespace {

class TooMuch : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

std::string key_of(const YAML::Node& node) { return node.IsScalar() ? node.Scalar() : std::string(); }

json::value to_json(const YAML::Node& node, std::size_t depth, int& values) {
    if (depth > kMaxFrontMatterDepth || ++values > kMaxFrontMatterValues)
        throw TooMuch("the front matter is nested too deep or has too many values");
    if (node.IsSequence()) {
        json::array list;
        for (const auto& item : node) list.push_back(to_json(item, depth + 1, values));
        return list;
    }
    if (node.IsMap()) {
        json::object object;
        for (const auto& item : node) object[key_of(item.first)] = to_json(item.second, depth + 1, values);
        return object;
    }
    if (node.IsScalar()) return json::string(node.Scalar());
    return nullptr;
}

std::vector<FrontMatterKey> keys_of(const YAML::Node& map, int line) {
    int values = 0;
    std::vector<FrontMatterKey> keys;
    for (const auto& item : map) keys.push_back({key_of(item.first), to_json(item.second, 1, values), line + item.first.Mark().line});
    return keys;
}

// yaml-cpp drops directives that no document follows.
bool has_directive(std::string_view text) { return text.starts_with('%') || text.find("\n%") != std::string_view::npos; }

}  // namespace

// All documents are parsed: what yaml-cpp takes for a second one would be lost.
FrontMatterKeys parse_yaml(std::string_view text, int line) try {
    if (has_directive(text)) return Error{std::to_string(line) + ": a line of the front matter begins with %"};
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.empty() || (documents.size() == 1 && documents[0].IsNull())) return std::vector<FrontMatterKey>();
    const auto first_line = std::to_string(line);
    if (documents.size() > 1) return Error{first_line + ": the front matter is more than one YAML document"};
    if (!documents[0].IsMap()) return Error{first_line + ": expected front matter of the form `key: value`"};
    return keys_of(documents[0], line);
} catch (const YAML::Exception& problem) {
    return Error{std::to_string(line + std::max(problem.mark.line, 0)) + ": " + problem.msg};
} catch (const TooMuch& problem) {
    return Error{std::to_string(line) + ": " + problem.what()};
}

}  // namespace recto
