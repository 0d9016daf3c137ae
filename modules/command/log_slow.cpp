#include <algorithm>
#include <charconv>
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
    std::string request = {};     // `GET blogs.by_author 200`
    std::string parameters = {};  // `author_id=12`
    std::int64_t us = 0;
    std::optional<std::int64_t> waited = {};  // us, before the worker read the request
    std::optional<std::int64_t> nginx = {};   // us, from the first byte nginx read of the client to the last it wrote
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

std::string shown(std::optional<std::int64_t> us) { return us ? shown(*us) : ""; }

std::string parameters_in(const json::object& data) {
    const auto* const all = data.if_contains("parameters");
    if (all == nullptr || !all->is_object()) return {};
    std::vector<std::string> parameters;
    for (const auto& [name, value] : all->get_object()) parameters.push_back(std::string(name) + '=' + text_in(all->get_object(), name));
    return join(parameters, "&");
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
    request.parameters = parameters_in(data);
    request.waited = number_in(data, "waited");
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

// nginx writes `"seconds":"1.250"`.
std::optional<std::int64_t> microseconds_in(const json::object& line) {
    const auto seconds = text_in(line, "seconds");
    double number = 0;
    const auto [end, problem] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), number);
    const bool is_time = problem == std::errc() && end == seconds.data() + seconds.size() && number >= 0 && number < 1e9;
    return is_time ? std::optional(static_cast<std::int64_t>(number * 1e6 + 0.5)) : std::nullopt;
}

// nginx's own line about each request, where it can be read. Its log is long, so a line is parsed only if an id of ours stands where the
// format has it.
void add_nginx_times(const Config& config, std::vector<SlowRequest>& requests, TimePoint since) {
    std::map<std::string, std::vector<SlowRequest*>, std::less<>> by_txid;
    for (auto& request : requests)
        if (!request.txid.empty()) by_txid[request.txid].push_back(&request);
    read_all({nginx_access_log(config)}, since, [&](std::string_view text) {
        constexpr std::string_view kId = "\"request_id\":\"";
        const auto begin = text.find(kId);
        if (begin == std::string_view::npos) return;
        const auto id = text.substr(begin + kId.size());
        const auto found = by_txid.find(id.substr(0, id.find('"')));
        if (found == by_txid.end()) return;
        const auto line = parse_log_line(text);
        if (!line.data.is_object() || line.txid != found->first) return;
        for (auto* const request : found->second) request->nginx = microseconds_in(line.data.get_object());
    });
}

TimePoint moment_before(const std::string& text) {
    const auto duration = parse_duration(text);
    if (!duration) fail("--since " + text + ": expected a duration such as 15min, 1h or 7d");
    return time_now() - *duration;
}

void slow(Operator& op, std::size_t count, const std::string& since) {
    const auto begin = since.empty() ? TimePoint{} : moment_before(since);
    Slowest slowest(count, begin);
    const auto files = read_all(file_handlers(op.config()), begin, [&](std::string_view line) { slowest.take(line); });

    auto requests = std::move(slowest).requests();
    if (requests.empty()) {
        if (files.read == 0 && since.empty()) fail("there is no log yet at " + op.config().log_file.string());
        print_line("no slow request in " + counted_files(files.read));
        return stop_if_incomplete(files.failed);
    }
    add_nginx_times(op.config(), requests, begin);
    std::vector<TableRow> rows{{"TIME", "REQUEST", "PARAMETERS", "TOTAL", "WAITED", "NGINX", "PHASES", "QUERIES", "TXID", ""}};
    for (const auto& request : requests)
        rows.push_back({shown(request.time), request.request, request.parameters, shown(request.us), shown(request.waited),
                        shown(request.nginx), shown(request), request.queries, request.txid, request.mark});
    print_table(rows);
    stop_if_incomplete(files.failed);
}

}  // namespace

void add_log_slow(CLI::App& log, Operator& op) {
    auto* const command =
        log.add_subcommand("slow", "Prints the slowest requests: what they asked for, where their time went, and how long nginx took");
    auto* const top =
        command->add_option("--top", "How many")->default_str(std::to_string(kDefaultTop))->force_callback()->check(CLI::Range(1, 1000));
    const auto since = std::make_shared<std::string>();
    command->add_option("--since", *since, "Only the last 15min, 1h, 7d, ...");
    command->final_callback([&op, top, since] { slow(op, top->as<std::size_t>(), *since); });
}

}  // namespace recto
