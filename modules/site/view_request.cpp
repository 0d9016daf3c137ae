#include "site/view_request.hpp"

#include <algorithm>
#include <functional>

#include "site/negotiation.hpp"
#include "util/text.hpp"
#include "util/units.hpp"

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

// One spelling for all that mean the same.
std::string normalized(std::string value, ParameterType type) {
    if (type == ParameterType::text) return value;
    const auto number = parse_integer(value);
    return number ? std::to_string(*number) : value;
}

std::optional<std::string_view> find_header(ViewRequest::Headers headers, std::string_view name) {
    const auto found = std::ranges::find(headers, name, [](const auto& header) -> std::string_view { return header.first; });
    if (found == headers.end()) return {};
    return found->second;
}

// The value that belongs to `name`, where `names` and `values` stand side by side.
template <class Names, class Name>
std::optional<std::string_view> find_value(const Names& names, const std::vector<std::optional<std::string>>& values, Name name_of,
                                           std::string_view name) {
    const auto declared = std::ranges::find(names, name, name_of);
    if (declared == names.end()) return {};
    return values[static_cast<std::size_t>(declared - names.begin())];
}

void append(std::string& key, std::string_view name, const std::optional<std::string>& value) {
    key += '\n';
    key += name;
    if (!value) return;
    key += '=';
    key += std::to_string(value->size());
    key += ':';
    key += *value;
}

}  // namespace

ViewRequest::ViewRequest(const View& view, std::string_view query, Headers headers, std::optional<std::int64_t> user)
    : view_(view), parameters_(view.parameters.size()), headers_(view.headers.size()), cookies_(view.cookies.size()) {
    take_parameters(query);
    take_headers(headers);
    take_cookies(headers);
    if (view.audience == Audience::each_user) user_ = user;
}

void ViewRequest::take_parameters(std::string_view query) {
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));

        const auto equals = std::min(pair.find('='), pair.size());
        const auto declared = std::ranges::find(view_.parameters, percent_decode(pair.substr(0, equals)), &QueryParameter::name);
        if (declared == view_.parameters.end()) continue;
        const auto index = static_cast<std::size_t>(declared - view_.parameters.begin());
        parameters_[index] = normalized(percent_decode(pair.substr(std::min(equals + 1, pair.size()))), declared->type);
    }
}

void ViewRequest::take_headers(Headers headers) {
    for (std::size_t i = 0; i < headers_.size(); ++i) {
        const auto& declared = view_.headers[i];
        const auto value = find_header(headers, declared.name);
        if (!declared.choices.empty())
            headers_[i] = best_choice(value, declared.choices);
        else if (value)
            headers_[i] = *value;
    }
}

void ViewRequest::take_cookies(Headers headers) {
    if (cookies_.empty()) return;
    for (const auto& pair : split_list(find_header(headers, "cookie").value_or(""), ';')) {
        const auto equals = std::min(pair.find('='), pair.size());
        const auto declared = std::ranges::find(view_.cookies, trim(std::string_view(pair).substr(0, equals)));
        if (declared == view_.cookies.end()) continue;
        cookies_[static_cast<std::size_t>(declared - view_.cookies.begin())] = pair.substr(std::min(equals + 1, pair.size()));
    }
}

std::optional<std::string_view> ViewRequest::parameter(std::string_view name) const {
    return find_value(view_.parameters, parameters_, &QueryParameter::name, name);
}
std::optional<std::string_view> ViewRequest::header(std::string_view name) const {
    return find_value(view_.headers, headers_, &VaryHeader::name, name);
}
std::optional<std::string_view> ViewRequest::cookie(std::string_view name) const {
    return find_value(view_.cookies, cookies_, std::identity(), name);
}

std::string ViewRequest::cache_key() const {
    constexpr std::size_t kUsualKey = 128;
    std::string key;
    key.reserve(kUsualKey);
    key += "view:";
    key += view_.name;
    for (std::size_t i = 0; i < parameters_.size(); ++i) append(key, view_.parameters[i].name, parameters_[i]);
    for (std::size_t i = 0; i < headers_.size(); ++i) append(key, view_.headers[i].name, headers_[i]);
    for (std::size_t i = 0; i < cookies_.size(); ++i) append(key, view_.cookies[i], cookies_[i]);
    if (view_.audience == Audience::each_user) append(key, "user", user_ ? Value(std::to_string(*user_)) : Value());
    return key;
}

}  // namespace recto
