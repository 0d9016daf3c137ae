#include "fcgi/slow_request.hpp"

#include <algorithm>
#include <charconv>

#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;

std::string bounded(std::string_view value) {
    return value.size() <= kMaxLoggedValue ? std::string(value) : std::string(cut_utf8(value, kMaxLoggedValue)) + "…";
}

std::int64_t microseconds(PhaseTimes::Clock::duration time) { return std::chrono::duration_cast<std::chrono::microseconds>(time).count(); }

}  // namespace

json::object logged_parameters(const View& view, const ViewRequest& request) {
    json::object logged;
    for (const std::string_view name : view.parameters)
        if (const auto value = request.parameter(name)) logged[name] = bounded(*value);
    return logged;
}

std::optional<std::chrono::microseconds> time_waited(std::string_view sent, TimePoint read) {
    double seconds = 0;
    const auto [end, problem] = std::from_chars(sent.data(), sent.data() + sent.size(), seconds, std::chars_format::fixed);
    if (sent.empty() || problem != std::errc{} || end != sent.data() + sent.size()) return {};
    const auto waited = std::chrono::duration<double>(read.time_since_epoch()) - std::chrono::duration<double>(seconds);
    if (!(waited < 1h && waited > -1h)) return {};  // not a number either
    return std::max(std::chrono::duration_cast<std::chrono::microseconds>(waited), 0us);
}

json::value slow_request_data(const RequestContext& context, SlowRequestEvent event) {
    json::object phases;
    for (std::size_t i = 0; i < kPhaseNames.size(); ++i) phases[kPhaseNames[i]] = microseconds(context.times.spent(static_cast<Phase>(i)));

    json::object data;
    if (!context.view.empty()) data["view"] = context.view;
    if (!event.parameters.empty()) data["parameters"] = std::move(event.parameters);
    data["method"] = event.method;
    data["status"] = event.status;
    data["us"] = microseconds(context.times.total());
    if (event.waited) data["waited"] = event.waited->count();
    data["phases"] = std::move(phases);
    data["queries"] = context.queries;
    return data;
}

}  // namespace recto
