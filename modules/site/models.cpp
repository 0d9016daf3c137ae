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

// Each request with a token asks who it is; what a page shows is cached as a page. But what the operator says of `auth.*` or `*.*` he
// says of users too: a rule that stands nowhere must not go before it.
ModelRules model_rules(const Config& config) {
    std::map<std::string, ModelRule, std::less<>> rules;
    for (const auto& [name, section] : config.models) rules.emplace(name, rule_of(section));
    if (ModelRules(rules).find("auth.user") == nullptr) rules.emplace("auth.user", ModelRule{.ops = {ModelOp::get}, .timeout = 15min});
    rules.emplace("*.*", ModelRule{});
    return ModelRules(std::move(rules));
}

std::string_view to_text(ModelOp op) { return std::ranges::find(kOps, op, &std::pair<ModelOp, std::string_view>::first)->second; }

}  // namespace recto
