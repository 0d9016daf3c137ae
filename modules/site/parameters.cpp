#include "site/parameters.hpp"

#include <algorithm>

namespace recto {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// A `%` that no two digits follow stands for itself.
std::string percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool has_digits = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
        if (has_digits) {
            out += static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

}  // namespace

Parameters::Parameters(const View& view, std::string_view query) : view_(view), values_(view.parameters.size()) {
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));

        const auto equals = std::min(pair.find('='), pair.size());
        const auto declared = std::ranges::find(view.parameters, percent_decode(pair.substr(0, equals)));
        if (declared == view.parameters.end()) continue;
        const auto index = static_cast<std::size_t>(declared - view.parameters.begin());
        values_[index] = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    }
}

std::optional<std::string_view> Parameters::find(std::string_view name) const {
    const auto declared = std::ranges::find(view_.parameters, name);
    if (declared == view_.parameters.end()) return {};
    return values_[static_cast<std::size_t>(declared - view_.parameters.begin())];
}

std::string Parameters::cache_key() const {
    std::string key = "view:";
    key += view_.name;
    for (std::size_t i = 0; i < values_.size(); ++i) {
        key += '\n';
        key += view_.parameters[i];
        if (!values_[i]) continue;
        key += '=';
        key += std::to_string(values_[i]->size());
        key += ':';
        key += *values_[i];
    }
    return key;
}

}  // namespace recto
