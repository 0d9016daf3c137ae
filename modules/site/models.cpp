#include "site/models.hpp"

#include <algorithm>
#include <array>

namespace recto {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::pair<ModelOp, std::string_view>, 5> kOps{{{ModelOp::get, "get"},
                                                                    {ModelOp::fetch, "fetch"},
                                                                    {ModelOp::count, "count"},
                                                                    {ModelOp::aggregate, "aggregate"},
                                                                    {ModelOp::exists, "exists"}}};

// Each request with a token asks who it is; what a page shows is cached as a page.
std::map<std::string, ModelRule, std::less<>> default_rules() {
    return {{"auth.user", {.ops = {ModelOp::get}, .timeout = 15min}}, {"*.*", {}}};
}

ModelRule rule_of(const ModelSection& section) {
    ModelRule rule;
    for (const auto& word : section.ops.value_or(std::vector<std::string>{}))
        for (const auto& [op, name] : kOps)
            if (word == name || word == "all") rule.ops.insert(op);
    rule.timeout = section.timeout.value_or(rule.timeout);
    rule.lock = section.lock.value_or("on") == "on";
    return rule;
}

}  // namespace

std::vector<std::string_view> model_names() { return {"auth.user", "auth.token", "blog.post"}; }

ModelRules model_rules(const Config& config) {
    auto rules = default_rules();
    for (const auto& [name, section] : config.models) rules.insert_or_assign(name, rule_of(section));
    return ModelRules(std::move(rules));
}

std::string_view to_text(ModelOp op) { return std::ranges::find(kOps, op, &std::pair<ModelOp, std::string_view>::first)->second; }

}  // namespace recto
