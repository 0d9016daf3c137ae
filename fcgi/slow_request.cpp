#include "fcgi/slow_request.hpp"

namespace recto {
namespace {

std::int64_t microseconds(PhaseTimes::Clock::duration time) { return std::chrono::duration_cast<std::chrono::microseconds>(time).count(); }

}  // namespace

json::value slow_request_data(const RequestContext& context, std::string_view method, int status) {
    json::object phases;
    for (std::size_t i = 0; i < kPhaseNames.size(); ++i) phases[kPhaseNames[i]] = microseconds(context.times.spent(static_cast<Phase>(i)));

    json::object data;
    if (!context.view.empty()) data["view"] = context.view;
    data["method"] = method;
    data["status"] = status;
    data["us"] = microseconds(context.times.total());
    data["phases"] = std::move(phases);
    data["queries"] = context.queries;
    return data;
}

}  // namespace recto
