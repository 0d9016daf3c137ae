// models.hpp - the models whose queries [model NAME] governs, and the rules that hold for them.
//
// Threads:  immutable.
#pragma once

#include <string_view>
#include <vector>

#include "cache/model_rules.hpp"
#include "config/config.hpp"

namespace recto {

[[nodiscard]] std::vector<std::string_view> model_names();

// Ours, unless the operator has a rule of the same name.
[[nodiscard]] ModelRules model_rules(const Config& config);

[[nodiscard]] std::string_view to_text(ModelOp op);

}  // namespace recto
