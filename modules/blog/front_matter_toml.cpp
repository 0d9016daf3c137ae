#include <cmath>
#include <sstream>
#include <stdexcept>

// toml++ 3.3 states with assert what input can break: `[a.]` in places. Such a text is refused instead.
namespace recto {
namespace {
struct UnexpectedToml {};
void refuse_unexpected_toml() { throw UnexpectedToml(); }
}  // namespace
}  // namespace recto
#undef NDEBUG  // with it toml++ would assume that they hold
#define TOML_HEADER_ONLY 1
#define TOML_ASSERT(holds) ((holds) ? static_cast<void>(0) : ::recto::refuse_unexpected_toml())
#include <toml++/toml.h>

#include "blog/front_matter_formats.hpp"

namespace recto {
namespace {

struct TooMuch {};

template <class Scalar>
std::string printed(const Scalar& scalar) {
    std::ostringstream out;
    out << scalar;
    return out.str();
}

json::value to_json(const toml::node& node, std::size_t depth, int& values) {
    if (depth > kMaxFrontMatterDepth || ++values > kMaxFrontMatterValues) throw TooMuch();
    if (const auto* const array = node.as_array()) {
        json::array list;
        for (const auto& item : *array) list.push_back(to_json(item, depth + 1, values));
        return list;
    }
    if (const auto* const table = node.as_table()) {
        json::object object;
        for (const auto& [key, value] : *table) object[std::string(key.str())] = to_json(value, depth + 1, values);
        return object;
    }
    if (const auto* const text = node.as_string()) return json::string(text->get());
    if (const auto* const number = node.as_integer()) return number->get();
    // JSON has neither nan nor inf.
    if (const auto* const number = node.as_floating_point())
        return std::isfinite(number->get()) ? json::value(number->get()) : json::value(json::string(printed(number->get())));
    if (const auto* const yes = node.as_boolean()) return yes->get();
    if (const auto* const date = node.as_date()) return json::string(printed(date->get()));
    if (const auto* const time = node.as_time()) return json::string(printed(time->get()));
    if (const auto* const moment = node.as_date_time()) return json::string(printed(moment->get()));
    return nullptr;
}

}  // namespace

FrontMatterKeys parse_toml(std::string_view text, int line) try {
    const auto table = toml::parse(text);
    int values = 0;
    std::vector<FrontMatterKey> keys;
    for (const auto& [key, value] : table)
        keys.push_back({std::string(key.str()), to_json(value, 1, values), line + static_cast<int>(key.source().begin.line) - 1});
    return keys;
} catch (const toml::parse_error& problem) {
    return Error{std::to_string(line + static_cast<int>(problem.source().begin.line) - 1) + ": " + std::string(problem.description())};
} catch (const UnexpectedToml&) {
    return Error{std::to_string(line) + ": not TOML"};
} catch (const TooMuch&) {
    return Error{std::to_string(line) + ": the front matter is nested too deep or has too many values"};
}

}  // namespace recto
