#include "site/negotiation.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace recto {
namespace {

bool same(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

// Up to the separator, which is dropped; all of it if there is none.
std::string_view take_item(std::string_view& list, char separator) {
    const auto end = std::min(list.find(separator), list.size());
    const auto item = trim(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    return item;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// In thousandths: `0.25` is 250, `1.000` is 1000. What is no weight is 0.
int parse_weight(std::string_view text) {
    if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5 || (text.size() > 1 && text[1] != '.')) return 0;
    int weight = (text[0] - '0') * 1000;
    int unit = 100;
    for (std::size_t i = 2; i < text.size(); ++i, unit /= 10) {
        if (!is_digit(text[i])) return 0;
        weight += (text[i] - '0') * unit;
    }
    return std::min(weight, 1000);
}

// Of an item's parameters only the weight counts.
int weight_of(std::string_view parameters) {
    while (!parameters.empty()) {
        const auto parameter = take_item(parameters, ';');
        if (parameter.size() > 2 && same(parameter.substr(0, 2), "q=")) return parse_weight(parameter.substr(2));
    }
    return 1000;
}

template <class Visit>
void for_each_weighted(std::string_view list, const Visit& visit) {
    while (!list.empty()) {
        auto item = take_item(list, ',');
        const auto name = take_item(item, ';');
        if (!name.empty()) visit(name, weight_of(item));
    }
}

bool is_range_of(std::string_view range, std::string_view choice) {
    return same(range, choice) ||
           (range.size() > choice.size() && range[choice.size()] == '-' && same(range.substr(0, choice.size()), choice));
}

}  // namespace

bool accepts_gzip(std::optional<std::string_view> accept_encoding) {
    std::optional<int> gzip, any;
    for_each_weighted(accept_encoding.value_or(""), [&](std::string_view coding, int weight) {
        if (same(coding, "gzip") || same(coding, "x-gzip")) gzip = std::max(gzip.value_or(0), weight);
        if (coding == "*") any = weight;
    });
    return gzip.value_or(any.value_or(0)) > 0;
}

std::string_view best_choice(std::optional<std::string_view> accept, std::span<const std::string_view> choices) {
    std::string_view best = choices.front();
    int best_weight = 0;
    for_each_weighted(accept.value_or(""), [&](std::string_view range, int weight) {
        const auto found = std::ranges::find_if(choices, [&](std::string_view choice) { return is_range_of(range, choice); });
        if (found == choices.end() || weight <= best_weight) return;
        best = *found;
        best_weight = weight;
    });
    return best;
}

}  // namespace recto
