#include "util/context.hpp"

#include <utility>

namespace recto {
namespace {

thread_local const RequestContext* current = nullptr;

}  // namespace

const RequestContext* current_context() { return current; }

ContextScope::ContextScope(const RequestContext& context) : previous_(std::exchange(current, &context)) {}

ContextScope::~ContextScope() { current = previous_; }

}  // namespace recto
