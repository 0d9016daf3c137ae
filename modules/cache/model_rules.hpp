// model_rules.hpp - which queries of a model are cached, and for how long: cacheops' rules without their traps.
//
// For a model `app.model` the rule of that name holds, else that of `app.*`, else that of `*.*`: the first that is there, whole; without
// one nothing is cached. What is cached is judged by the change clock like everything else, so a rule decides only what is worth
// keeping.
//
// Threads:  immutable after construction.
// Source:   the semantics of django-cacheops 7 (conf.py, query.py); unlike there an unknown word is a mistake of the configuration.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "cache/cached.hpp"

namespace recto {

// get: one row; fetch: a list of rows; exists: whether there is one.
enum class ModelOp { get, fetch, count, aggregate, exists };

struct ModelRule {
    std::set<ModelOp> ops = {};  // empty: none
    std::chrono::milliseconds timeout = std::chrono::minutes(10);
    bool lock = true;  // of many who ask the same at once one asks the database
};

class ModelRules {
public:
    explicit ModelRules(std::map<std::string, ModelRule, std::less<>> rules) : rules_(std::move(rules)) {}

    // The rule and the name it stands under; null: none.
    using Named = std::pair<const std::string, ModelRule>;
    [[nodiscard]] const Named* find(std::string_view model) const;

    // How a query of the model is cached; with ttl 0 if it isn't.
    [[nodiscard]] CachedOptions options(std::string_view model, ModelOp op, std::string name) const;

private:
    std::map<std::string, ModelRule, std::less<>> rules_;
};

// A query as its model's rule has it.
template <class Signature>
CachedFunction<Signature> cached_query(Cache& cache, const ModelRules& rules, std::string_view model, ModelOp op, std::string name,
                                       std::function<Signature> function) {
    return {CachedResults(cache, rules.options(model, op, std::move(name))), std::move(function)};
}

}  // namespace recto
