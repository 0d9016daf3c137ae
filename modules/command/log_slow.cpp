#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <tuple>

#include "command/commands.hpp"
#include "command/log_lines.hpp"
#include "command/output.hpp"
#include "command/table.hpp"
#include "util/text.hpp"
#include "util/units.hpp"

namespace recto {
namespace {

constexpr std::size_t kDefaultTop = 20;
constexpr std::size_t kMaxHung = 10'000;
constexpr auto kMostMs = std::numeric_limits<std::int64_t>::max() / 1000;
constexpr std::string_view kSlow = "request.slow";
constexpr std::string_view kHung = "request.hung";

struct Phase {
    std::string name;
    std::int64_t us;
};

struct SlowRequest {
    TimePoint time{};
    std::string request = {};  // `GET blogs.by_author 200`
    std::int64_t us = 0;
    std::vector<Phase> phases = {};
    std::string queries = {};
    std::string txid = {};
    std::string mark = {};
};

std::optional<std::int64_t> number_in(const json::object& data, std::string_view key) {
    const auto* const value = data.if_contains(key);
    return value != nullptr && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
}

std::string text_in(const json::object& data, std::string_view key) {
    const auto* const value = data.if_contains(key);
    if (value == nullptr) return {};
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

std::vector<Phase> phases_in(const json::object& data) {
    std::vector<Phase> phases;
    const auto* const all = data.if_contains("phases");
    if (all == nullptr || !all->is_object()) return phases;
    for (const auto& [name, time] : all->get_object())
        if (time.is_int64()) phases.push_back({std::string(name), time.get_int64()});
    std::ranges::stable_sort(phases, std::greater(), &Phase::us);
    return phases;
}

std::string shown(std::int64_t us) {
    char text[32];
    if (us >= 1'000'000)
        std::snprintf(text, sizeof text, "%.2f s", static_cast<double>(us) / 1e6);
    else
        std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(us) / 1e3);
    return text;
}

std::string queries_in(const json::object& data) {
    auto queries = text_in(data, "queries");
    if (const auto us = number_in(data, "db_us"); us && !queries.empty()) queries += " in " + shown(*us);
    return queries;
}

// Whatever is absent from the event is absent from its row.
SlowRequest request_of(const LogLine& line) {
    SlowRequest request{.time = line.time.value_or(TimePoint{}), .txid = line.txid};
    if (!line.data.is_object()) return request;
    const auto& data = line.data.get_object();
    std::vector<std::string> words{text_in(data, "method"), text_in(data, "view"), text_in(data, "status")};
    std::erase(words, "");
    request.request = join(words, " ");
    request.us = number_in(data, "us").value_or(std::clamp(number_in(data, "ms").value_or(0), -kMostMs, kMostMs) * 1000);
    request.phases = phases_in(data);
    request.queries = queries_in(data);
    return request;
}

// Those that take the time.
std::string shown(const SlowRequest& request) {
    std::vector<std::string> parts;
    for (const auto& [name, us] : request.phases)
        if (us >= request.us / 100 && us > 0) parts.push_back(name + ' ' + shown(us));
    return join(parts, ", ");
}

std::string shown(TimePoint time) {
    const auto seconds = micros(time) / 1'000'000;
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[sizeof "10000-01-01 20:30:16"];  // parse_log_time() comes no further than an offset behind 9999
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text + ('.' + std::to_string(1000 + micros(time) / 1000 % 1000).substr(1)) + 'Z';
}

class Slowest {
public:
    Slowest(std::size_t count, TimePoint since) : count_(count), since_(since) {}

    // Most lines are of something else, and JSON costs.
    void take(std::string_view text) {
        if (text.find(kSlow) == std::string_view::npos && text.find(kHung) == std::string_view::npos) return;
        const auto line = parse_log_line(text);
        if (line.time && *line.time < since_) return;
        if (line.event == kSlow) add(request_of(line));
        if (line.event == kHung) add_hung(request_of(line));
    }

    // A request that hung and has ended is one row, with a mark.
    [[nodiscard]] std::vector<SlowRequest> requests() && {
        for (auto& request : slow_)
            if (hung_.erase(request.txid) > 0) request.mark = "HUNG";
        for (auto& [txid, request] : hung_) {
            request.mark = "HUNG, no end seen";
            slow_.push_back(std::move(request));
        }
        cut();
        return std::move(slow_);
    }

private:
    void add(SlowRequest request) {
        slow_.push_back(std::move(request));
        if (slow_.size() > 2 * count_ + 1000) cut();
    }

    void add_hung(SlowRequest request) {
        if (hung_.size() == kMaxHung) return;
        auto& known = hung_[request.txid];
        if (known.us <= request.us) known = std::move(request);
    }

    // Two handlers may have written the same.
    void cut() {
        const auto key = [](const SlowRequest& request) { return std::tie(request.us, request.time, request.txid); };
        std::ranges::sort(slow_, std::greater(), key);
        const auto doubled = std::ranges::unique(slow_, {}, key);
        slow_.erase(doubled.begin(), doubled.end());
        if (slow_.size() > count_) slow_.resize(count_);
    }

    std::size_t count_;
    TimePoint since_;
    std::vector<SlowRequest> slow_;
    std::map<std::string, SlowRequest> hung_;
};

TimePoint moment_before(const std::string& text) {
    const auto duration = parse_duration(text);
    if (!duration) fail("--since " + text + ": expected a duration such as 15min, 1h or 7d");
    return time_now() - *duration;
}

void slow(Operator& op, std::size_t count, const std::string& since) {
    const auto begin = since.empty() ? TimePoint{} : moment_before(since);
    Slowest slowest(count, begin);
    const auto files = read_all(file_handlers(op.config()), begin, [&](std::string_view line) { slowest.take(line); });

    const auto requests = std::move(slowest).requests();
    if (requests.empty()) {
        if (files.failed > 0) throw Stop{ExitCode::failed};
        if (files.read == 0 && since.empty()) fail("there is no log yet at " + op.config().log_file.string());
        print_line("no slow request in " + counted_files(files.read));
        return;
    }
    std::vector<TableRow> rows{{"TIME", "REQUEST", "TOTAL", "PHASES", "QUERIES", "TXID", ""}};
    for (const auto& request : requests)
        rows.push_back(
            {shown(request.time), request.request, shown(request.us), shown(request), request.queries, request.txid, request.mark});
    print_table(rows);
}

}  // namespace

void add_log_slow(CLI::App& log, Operator& op) {
    auto* const command = log.add_subcommand("slow", "Prints the slowest requests, and where their time went");
    auto* const top =
        command->add_option("--top", "How many")->default_str(std::to_string(kDefaultTop))->force_callback()->check(CLI::Range(1, 1000));
    const auto since = std::make_shared<std::string>();
    command->add_option("--since", *since, "Only the last 15min, 1h, 7d, ...");
    command->final_callback([&op, top, since] { slow(op, top->as<std::size_t>(), *since); });
}

}  // namespace recto
