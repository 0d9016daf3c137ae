#include <algorithm>
#include <sstream>
#include <stdexcept>

#include <yaml-cpp/eventhandler.h>
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

class NoEvents : public YAML::EventHandler {
    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

// Not by YAML::LoadAll: of a text such as `, a` it makes documents without end.
bool has_two_documents(const std::string& text) {
    std::istringstream in(text);
    YAML::Parser parser(in);
    NoEvents none;
    return parser.HandleNextDocument(none) && parser.HandleNextDocument(none);
}

}  // namespace

// What yaml-cpp takes for a second document would be lost.
FrontMatterKeys parse_yaml(std::string_view text, int line) try {
    const auto first_line = std::to_string(line);
    if (has_directive(text)) return Error{first_line + ": a line of the front matter begins with %"};
    const std::string yaml(text);
    if (has_two_documents(yaml)) return Error{first_line + ": the front matter is more than one YAML document"};
    const auto document = YAML::Load(yaml);
    if (document.IsNull()) return std::vector<FrontMatterKey>();
    if (!document.IsMap()) return Error{first_line + ": expected front matter of the form `key: value`"};
    return keys_of(document, line);
} catch (const YAML::Exception& problem) {
    return Error{std::to_string(line + std::max(problem.mark.line, 0)) + ": " + problem.msg};
} catch (const TooMuch& problem) {
    return Error{std::to_string(line) + ": " + problem.what()};
}

}  // namespace recto
