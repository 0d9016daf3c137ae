#include "util/context.hpp"

#include <utility>

namespace recto {
namespace {

thread_local RequestContext* current = nullptr;

}  // namespace

Phase PhaseTimes::enter(Phase next) noexcept {
    const auto now = Clock::now();
    spent_[static_cast<std::size_t>(current_)] += now - since_;
    since_ = now;
    return std::exchange(current_, next);
}

const RequestContext* current_context() { return current; }

ContextScope::ContextScope(RequestContext& context) : previous_(std::exchange(current, &context)) {}

ContextScope::~ContextScope() { current = previous_; }

PhaseScope::PhaseScope(Phase phase) noexcept : context_(current) {
    if (context_ != nullptr) previous_ = context_->times.enter(phase);
}

PhaseScope::~PhaseScope() {
    if (context_ != nullptr) context_->times.enter(previous_);
}

void count_query() noexcept {
    if (current != nullptr) ++current->queries;
}

}  // namespace recto
