#include "cache/model_rules.hpp"

namespace recto {

const ModelRules::Named* ModelRules::find(std::string_view model) const {
    const auto app = std::string(model.substr(0, model.find('.')));
    for (const auto& name : {std::string(model), app + ".*", std::string("*.*")})
        if (const auto found = rules_.find(name); found != rules_.end()) return &*found;
    return nullptr;
}

CachedOptions ModelRules::options(std::string_view model, ModelOp op, std::string name) const {
    const auto* const rule = find(model);
    const bool is_cached = rule != nullptr && rule->second.ops.contains(op);
    return {.name = std::move(name),
            .ttl = is_cached ? rule->second.timeout : std::chrono::milliseconds(0),
            .tags = {},
            .one_at_a_time = rule == nullptr || rule->second.lock};
}

}  // namespace recto
