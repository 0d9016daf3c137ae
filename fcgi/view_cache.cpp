#include "fcgi/view_cache.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "fcgi/answers.hpp"
#include "site/negotiation.hpp"
#include "util/bytes.hpp"
#include "util/crypto.hpp"
#include "util/gzip.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kFormat = "recto view 2\n";

// --- Cache-Control

bool is_token_char(char c) {
    constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || kSigns.find(c) != std::string_view::npos;
}

std::string_view take_token(std::string_view& text) {
    const auto end = std::ranges::find_if_not(text, is_token_char);
    const auto token = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(token.size());
    return token;
}

// Nothing without its closing quote. What a backslash quotes is of no interest here.
std::optional<std::string_view> take_quoted(std::string_view& text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            const auto inside = text.substr(1, i - 1);
            text.remove_prefix(i + 1);
            return inside;
        }
    }
    return {};
}

std::optional<std::string_view> take_argument(std::string_view& text) {
    if (!text.starts_with('=')) return "";
    text.remove_prefix(1);
    if (text.starts_with('"')) return take_quoted(text);
    const auto token = take_token(text);
    return token.empty() ? std::nullopt : std::optional(token);
}

// More than 2^31 seconds count as that many (RFC 9111 section 1.2.2).
std::optional<seconds> parse_delta_seconds(std::string_view digits) {
    constexpr seconds::rep kMost = 2147483648;
    if (digits.empty() || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return {};
    seconds::rep number = 0;
    const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), number).ec;
    return seconds(error == std::errc{} ? std::min(number, kMost) : kMost);
}

bool note_time(std::optional<seconds>& time, std::string_view argument) {
    const auto parsed = parse_delta_seconds(argument);
    if (parsed) time = std::min(*parsed, time.value_or(*parsed));
    return parsed.has_value();
}

bool note_directive(CacheControl& control, std::string_view name, std::string_view argument) {
    const auto directive = lower_ascii(name);
    if (directive == "max-age") return note_time(control.max_age, argument);
    if (directive == "s-maxage") return note_time(control.s_maxage, argument);
    control.no_store = control.no_store || directive == "no-store";
    control.is_private = control.is_private || directive == "private";
    control.no_cache = control.no_cache || directive == "no-cache";
    return true;
}

// --- what may be stored

template <class Visit>
void for_each_header(const Response& response, std::string_view name, const Visit& visit) {
    for (const auto& [header, value] : response.headers)
        if (lower_ascii(header) == name) visit(value);
}

std::string joined_headers(const Response& response, std::string_view name) {
    std::vector<std::string> values;
    for_each_header(response, name, [&](const std::string& value) { values.push_back(value); });
    return join(values, ", ");
}

// Who asks is in the key, or nothing is stored for who says it.
bool depends_on_who_asks(const View& view) { return view.audience == Audience::anonymous || view.audience == Audience::each_user; }

// A name that the key doesn't hold would show one client's answer to another; `*` is such a name.
bool varies_as_declared(const Response& response, const View& view) {
    return std::ranges::all_of(split_list(joined_headers(response, "vary")), [&](const std::string& part) {
        const auto name = lower_ascii(part);
        const bool is_declared = std::ranges::find(view.headers, name, &VaryHeader::name) != view.headers.end();
        return is_declared || name == "accept-encoding" || (name == "cookie" && !view.cookies.empty()) ||
               (name == "authorization" && depends_on_who_asks(view));
    });
}

bool is_of_short_life(int status) { return status == 301 || status == 308 || status == 404 || status == 410; }
bool is_storable(int status) { return status == 200 || is_of_short_life(status); }

// What nobody has could be asked for under endless names: memcached is not for that.
Cache::Reach reach_of(int status) { return status == 404 || status == 410 ? Cache::Reach::process : Cache::Reach::host; }

milliseconds ttl_of(const CacheControl& control, int status, const StoragePolicy& policy) {
    if (policy.ttl_is_set && status == 200) return policy.ttl;
    if (control.s_maxage) return *control.s_maxage;
    if (control.max_age) return *control.max_age;
    return status == 200 ? policy.ttl : policy.short_ttl;
}

// --- what is stored

// One form of an answer.
struct Form {
    std::string_view etag;
    std::string_view lines;         // the headers, as they go out
    std::string_view lines_of_304;  // those of them that a 304 has
    std::string_view body;
};

struct StoredAnswer {
    int status = 0;
    std::string_view last_modified;
    Form plain, gzip;  // gzip without a body: there is none
};

void write_form(ByteWriter& out, std::string_view etag, std::string_view lines, std::string_view lines_of_304, std::string_view body) {
    for (const auto text : {etag, lines, lines_of_304, body}) out.text(text);
}

Form read_form(ByteReader& in) {
    Form form;
    for (auto* const text : {&form.etag, &form.lines, &form.lines_of_304, &form.body}) *text = in.text();
    return form;
}

// What follows them must begin a line of its own.
bool is_lines(std::string_view text) { return text.empty() || text.ends_with("\r\n"); }

bool is_sendable(const StoredAnswer& answer) {
    const bool is_whole = std::ranges::all_of(std::array{&answer.plain, &answer.gzip},
                                              [](const Form* form) { return is_lines(form->lines) && is_lines(form->lines_of_304); });
    return is_whole && is_storable(answer.status);
}

std::optional<StoredAnswer> read_stored(std::string_view bytes) {
    if (!bytes.starts_with(kFormat)) return {};
    ByteReader in(bytes.substr(kFormat.size()));
    StoredAnswer answer;
    answer.status = in.number<std::uint16_t>();
    answer.last_modified = in.text();
    answer.plain = read_form(in);
    answer.gzip = read_form(in);
    if (!in.at_end() || !is_sendable(answer)) return {};
    return answer;
}

bool is_text(const Response& response) {
    const auto* const type = response.header("Content-Type");
    if (type == nullptr || response.header("Content-Encoding") != nullptr) return false;
    const auto lower = lower_ascii(*type);
    const auto has = [&](std::string_view part) { return lower.find(part) != std::string::npos; };
    return lower.starts_with("text/") || has("json") || has("xml") || has("javascript");
}

std::string vary_of(const Response& response, const View& view) {
    auto names = split_list(lower_ascii(joined_headers(response, "vary")));
    for (const auto& header : view.headers) names.emplace_back(header.name);
    if (!view.cookies.empty()) names.emplace_back("cookie");
    if (depends_on_who_asks(view)) names.emplace_back("authorization");
    names.emplace_back("accept-encoding");  // also of what is too small for gzip
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());
    return join(names, ", ");
}

void set_vary(Response& response, const View& view) {
    auto vary = vary_of(response, view);
    std::erase_if(response.headers, [](const auto& header) { return lower_ascii(header.first) == "vary"; });
    response.set("Vary", std::move(vary));
}

void pack_form(ByteWriter& out, Response response, const std::string& etag, std::string_view body) {
    response.set("ETag", etag);
    response.set("Content-Length", std::to_string(body.size()));
    std::string lines, lines_of_304;
    for (const auto& [name, value] : response.headers) {
        append_header(lines, name, value);
        if (belongs_to_304(name)) append_header(lines_of_304, name, value);
    }
    write_form(out, etag, lines, lines_of_304, body);
}

// 304 and 412 are for those who would get 200 (RFC 9110 section 13.2.1).
ConditionResult conditions_of(const StoredAnswer& answer, const Form& form, const Request& request) {
    if (answer.status != 200) return ConditionResult::met;
    return judge_conditions(request, {.etag = form.etag, .last_modified = answer.last_modified});
}

}  // namespace

std::optional<CacheControl> parse_cache_control(std::string_view text) {
    CacheControl control;
    for (text = trim(text); !text.empty(); text = trim(text)) {
        if (text.starts_with(',')) {
            text.remove_prefix(1);
            continue;
        }
        const auto name = take_token(text);
        const auto argument = take_argument(text);
        if (name.empty() || !argument || !note_directive(control, name, *argument)) return {};
        text = trim(text);
        if (!text.empty() && !text.starts_with(',')) return {};
    }
    return control;
}

std::optional<Storage> storage_of(const Response& response, const View& view, const StoragePolicy& policy) {
    if (!is_storable(response.status)) return {};
    if (response.header("Set-Cookie") != nullptr || !varies_as_declared(response, view)) return {};
    const auto control = parse_cache_control(joined_headers(response, "cache-control"));
    if (!control || control->no_store || control->is_private || control->no_cache) return {};
    const auto ttl = ttl_of(*control, response.status, policy);
    if (ttl <= 0ms) return {};
    return Storage{ttl, reach_of(response.status)};
}

void tell_caches(Response& response, const View* view) {
    if (response.header("Cache-Control") == nullptr) response.set("Cache-Control", "no-cache");
    if (view != nullptr) set_vary(response, *view);
}

std::string pack(const Response& response, const View& view) {
    const auto gzip = is_text(response) ? gzip_if_worth_it(response.body()) : std::string();
    auto plain_form = response;
    tell_caches(plain_form, &view);
    auto gzip_form = plain_form;
    gzip_form.set("Content-Encoding", "gzip");

    const auto* const last_modified = response.header("Last-Modified");
    const auto hash = hex(hash128(response.body()));
    std::string bytes(kFormat);
    ByteWriter out(bytes);
    out.number(static_cast<std::uint16_t>(response.status));
    out.text(last_modified == nullptr ? "" : *last_modified);
    pack_form(out, std::move(plain_form), '"' + hash + '"', response.body());
    pack_form(out, std::move(gzip_form), '"' + hash + "-gzip\"", gzip);
    return bytes;
}

std::optional<Response> unpack(const CacheHit& entry, const Request& request) {
    const auto answer = read_stored(entry->bytes);
    if (!answer) return {};
    const bool as_gzip = !answer->gzip.body.empty() && accepts_gzip(request.header("accept-encoding"));
    const auto& form = as_gzip ? answer->gzip : answer->plain;
    const auto conditions = conditions_of(*answer, form, request);
    if (conditions == ConditionResult::failed) return precondition_failed();
    const bool is_known = conditions == ConditionResult::not_modified;
    Response response;
    response.status = is_known ? 304 : answer->status;
    response.share(is_known ? form.lines_of_304 : form.lines, is_known ? std::string_view() : form.body, entry);
    return response;
}

std::string cache_status_of(const CacheLookup& lookup, TimePoint now) {
    const auto ttl = std::chrono::ceil<seconds>(lookup.entry->expires - now).count();
    auto status = "recto; hit; ttl=" + std::to_string(ttl);
    if (lookup.state == CacheLookup::State::unverified || lookup.state == CacheLookup::State::kept_for_errors)
        return status + "; detail=stale-if-error";
    if (lookup.state == CacheLookup::State::expired) return status + "; detail=stale-while-revalidate";
    return status;
}

std::string age_of(const CacheEntry& entry, TimePoint now) {
    return std::to_string(std::max(std::chrono::floor<seconds>(now - entry.created), 0s).count());
}

}  // namespace recto
