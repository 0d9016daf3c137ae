#include "blog/date.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "util/text.hpp"

namespace recto {
namespace {

using std::chrono::microseconds;
using std::chrono::minutes;

constexpr std::size_t kMaxText = 100;
// What RFC 3339 can say in four digits.
constexpr std::chrono::sys_days kFirstDate{std::chrono::year(1) / 1 / 1};
constexpr std::chrono::sys_days kEndOfDates{std::chrono::year(10'000) / 1 / 1};

constexpr std::array<std::string_view, 12> kMonths{"january", "february", "march",     "april",   "may",      "june",
                                                   "july",    "august",   "september", "october", "november", "december"};
constexpr std::array<std::string_view, 7> kDays{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

struct Wrong {
    std::string what;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads a text from its beginning; each `take` gives nothing, and moves nothing, when something else stands there.
class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    bool take(std::string_view word) {
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    bool take_any_of(std::string_view signs) {
        if (rest_.empty() || signs.find(rest_.front()) == std::string_view::npos) return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::string_view take_digits() { return take_while(is_digit); }
    std::string_view take_letters() { return take_while(is_letter); }
    bool skip_blanks() {
        return !take_while([](char c) { return c == ' ' || c == '\t'; }).empty();
    }

    [[nodiscard]] std::string_view rest() const { return rest_; }
    [[nodiscard]] bool at_digit() const { return !rest_.empty() && is_digit(rest_.front()); }

private:
    template <class Is>
    std::string_view take_while(Is is) {
        const auto end = std::ranges::find_if_not(rest_, is);
        const auto length = static_cast<std::size_t>(end - rest_.begin());
        const auto taken = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return taken;
    }

    std::string_view rest_;
};

int number_of(std::string_view digits) {
    int number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return number;
}

std::string quoted(std::string_view text) { return text.empty() ? "nothing" : '"' + std::string(text) + '"'; }

// A whole name or at least its first three letters.
template <std::size_t N>
std::optional<int> index_of_name(const std::array<std::string_view, N>& names, std::string_view word) {
    const auto lower = lower_ascii(word);
    const auto found = std::ranges::find_if(names, [&](std::string_view name) { return lower.size() >= 3 && name.starts_with(lower); });
    if (found == names.end()) return {};
    return static_cast<int>(found - names.begin());
}

int in_range(std::string_view digits, std::size_t max_digits, int least, int most, const char* what) {
    const int number = number_of(digits);
    if (digits.empty() || digits.size() > max_digits) throw Wrong{std::string("expected the ") + what + ", found " + quoted(digits)};
    if (number < least || number > most) throw Wrong{std::string("there is no ") + what + ' ' + std::string(digits)};
    return number;
}

class Parser {
public:
    Parser(std::string_view text, const TimeZone& zone) : in_(text), zone_(zone) {}

    TimePoint date() {
        skip_weekday();
        if (const auto moment = since_1970()) return *moment;
        day();
        time();
        zone();
        in_.skip_blanks();
        if (year_is_last_) year_at_the_end();
        if (!in_.rest().empty() && in_.rest().front() != '(') throw Wrong{"expected the end of the date, found " + quoted(in_.rest())};
        return moment();
    }

private:
    void skip_weekday() {
        auto ahead = in_;
        const auto word = ahead.take_letters();
        if (!index_of_name(kDays, word)) return;
        ahead.take_any_of(".");
        ahead.take_any_of(",");
        if (ahead.skip_blanks()) in_ = ahead;
    }

    std::optional<TimePoint> since_1970() {
        auto ahead = in_;
        const auto digits = ahead.take_digits();
        if (!ahead.rest().empty() || (digits.size() != 10 && digits.size() != 13)) return {};
        std::int64_t count = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), count);
        if (digits.size() == 10) return TimePoint(std::chrono::seconds(count));
        return TimePoint(std::chrono::milliseconds(count));
    }

    void day() {
        if (!in_.at_digit()) return month_name_first();
        const auto first = in_.take_digits();
        if (first.size() == 4) return year_first(first);
        if (first.size() == 8 || first.size() == 14) return without_signs(first);
        if (first.size() <= 2) return day_or_month_first(first);
        throw Wrong{"expected a year of four digits, found " + quoted(first)};
    }

    void set(std::string_view year, std::string_view month, std::string_view day) {
        year_ = in_range(year, 4, 1, 9999, "year");
        month_ = in_range(month, 2, 1, 12, "month");
        day_ = in_range(day, 2, 1, 31, "day");
    }

    void year_first(std::string_view year) {
        const auto sign = in_.rest().substr(0, 1);
        if (!in_.take_any_of("-/.")) throw Wrong{"expected a month after the year, found " + quoted(in_.rest())};
        const auto month = in_.take_digits();
        if (!in_.take(sign)) throw Wrong{"expected a day after the month, found " + quoted(in_.rest())};
        set(year, month, in_.take_digits());
    }

    void without_signs(std::string_view digits) {
        set(digits.substr(0, 4), digits.substr(4, 2), digits.substr(6, 2));
        if (digits.size() == 14) time_ = clock(digits.substr(8, 2), digits.substr(10, 2), digits.substr(12, 2));
    }

    void day_or_month_first(std::string_view first) {
        ordinal();
        const auto sign = in_.rest().substr(0, 1);
        const bool signs = in_.take_any_of("-/.");
        if (!signs) in_.skip_blanks();
        if (signs) in_.skip_blanks();  // `17. March 2015`
        if (const auto word = in_.take_letters(); !word.empty()) return day_month_year(first, word);
        const auto second = in_.take_digits();
        if (!signs || second.empty() || !in_.take(sign)) throw Wrong{"expected a month after " + quoted(first)};
        const auto year = in_.take_digits();
        if (year.size() != 4) throw Wrong{"expected a year of four digits, found " + quoted(year)};
        if (sign == "." || number_of(first) > 12 || number_of(first) == number_of(second)) return set(year, second, first);
        if (number_of(second) > 12) return set(year, first, second);
        throw Wrong{"which of " + std::string(first) + " and " + std::string(second) + " is the day isn't certain"};
    }

    void day_month_year(std::string_view day, std::string_view month) {
        month_ = month_of(month);
        day_ = in_range(day, 2, 1, 31, "day");
        in_.take_any_of(".");
        in_.take_any_of(",-/ ");
        in_.skip_blanks();
        year(in_.take_digits());
    }

    void month_name_first() {
        const auto word = in_.take_letters();
        if (word.empty()) throw Wrong{"expected a year, a month or a day, found " + quoted(in_.rest())};
        month_ = month_of(word);
        in_.take_any_of(".");
        in_.take_any_of("-/ ");
        in_.skip_blanks();
        day_ = in_range(in_.take_digits(), 2, 1, 31, "day");
        ordinal();
        const bool comma = in_.take(",");
        in_.take_any_of("-/ ");
        in_.skip_blanks();
        year_is_last_ = !comma && in_.rest().find(':') <= 2;
        if (year_is_last_)
            blank_taken_ = true;
        else
            year(in_.take_digits());
    }

    static int month_of(std::string_view word) {
        const auto month = index_of_name(kMonths, lower_ascii(word) == "sept" ? "sep" : word);
        if (!month) throw Wrong{"there is no month " + std::string(word)};
        return *month + 1;
    }

    void ordinal() {
        auto ahead = in_;
        const auto letters = lower_ascii(ahead.take_letters());
        if (letters == "st" || letters == "nd" || letters == "rd" || letters == "th") in_ = ahead;
    }

    // RFC 5322 section 4.3: two digits from 50 on are of the last century.
    void year(std::string_view digits) {
        year_ = in_range(digits, 4, digits.size() == 2 ? 0 : 1, 9999, "year");
        if (digits.size() == 2)
            year_ += year_ < 50 ? 2000 : 1900;
        else if (digits.size() != 4)
            throw Wrong{"expected a year of four digits, found " + quoted(digits)};
    }

    void year_at_the_end() {
        year(in_.take_digits());
        in_.skip_blanks();
    }

    static microseconds clock(std::string_view hours, std::string_view mins, std::string_view seconds) {
        return std::chrono::hours(in_range(hours, 2, 0, 23, "hour")) + minutes(in_range(mins, 2, 0, 59, "minute")) +
               std::chrono::seconds(in_range(seconds, 2, 0, 60, "second"));
    }

    bool a_time_follows() {
        if (blank_taken_) return true;
        if (in_.take_any_of("Tt")) return true;
        auto ahead = in_;
        ahead.take_any_of(",");
        if (!ahead.skip_blanks()) return false;
        if (lower_ascii(ahead.rest().substr(0, 3)) == "at ") ahead.take_letters(), ahead.skip_blanks();
        if (!ahead.at_digit()) return false;
        in_ = ahead;
        return true;
    }

    // `14:00`, `9:00:00`, `12:47:37.738`, `2:00 PM`; `140000` behind a `T`.
    void time() {
        const bool compact = in_.rest().starts_with('T');
        if (!a_time_follows()) return;
        const auto hours = in_.take_digits();
        if (compact && (hours.size() == 4 || hours.size() == 6))
            time_ = clock(hours.substr(0, 2), hours.substr(2, 2), hours.size() == 6 ? hours.substr(4) : "0");
        else
            time_ = with_colons(hours);
        time_ += fraction();
        half_of_day();
    }

    microseconds with_colons(std::string_view hours) {
        if (hours.empty() || hours.size() > 2 || !in_.take(":"))
            throw Wrong{"expected a time such as 14:00, found " + quoted(std::string(hours) + std::string(in_.rest()))};
        const auto mins = in_.take_digits();
        if (mins.size() != 2) throw Wrong{"expected two digits of minutes, found " + quoted(mins)};
        if (!in_.take(":")) return clock(hours, mins, "0");
        const auto seconds = in_.take_digits();
        if (seconds.size() != 2) throw Wrong{"expected two digits of seconds, found " + quoted(seconds)};
        return clock(hours, mins, seconds);
    }

    microseconds fraction() {
        if (!in_.take_any_of(".,")) return {};
        std::string digits(in_.take_digits());
        if (digits.empty()) throw Wrong{"expected digits after the point of the seconds"};
        digits.resize(6, '0');
        return microseconds(number_of(digits));
    }

    void half_of_day() {
        auto ahead = in_;
        ahead.skip_blanks();
        const auto word = lower_ascii(ahead.take_letters());
        if (word != "am" && word != "pm") return;
        const auto hour = std::chrono::floor<std::chrono::hours>(time_).count();
        if (hour < 1 || hour > 12) throw Wrong{"there is no hour " + std::to_string(hour) + ' ' + word};
        time_ += std::chrono::hours((word == "pm" ? 12 : 0) - (hour == 12 ? 12 : 0));
        in_ = ahead;
    }

    void zone() {
        in_.skip_blanks();
        if (in_.rest().empty() || in_.rest().front() == '(' || (year_is_last_ && in_.at_digit())) return;
        if (in_.rest().front() == '+' || in_.rest().front() == '-') return void(offset_ = signed_offset());
        const auto end = std::min(in_.rest().find_first_of(" \t("), in_.rest().size());
        const auto name = in_.rest().substr(0, end);
        if (is_utc(name)) return named(name);
        if (const auto found = TimeZone::find(name)) {
            zone_ = *found;
            in_.take(name);
            return;
        }
        named(name);
    }

    static bool is_utc(std::string_view name) {
        const auto upper = lower_ascii(name);
        return upper == "z" || upper == "utc" || upper == "gmt" || upper == "ut";
    }

    // RFC 822's names, and `GMT+0100`.
    void named(std::string_view whole) {
        constexpr std::array<std::pair<std::string_view, int>, 8> kAmerican{
            {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}}};
        const auto word = in_.take_letters();
        const auto american = std::ranges::find(kAmerican, word, &std::pair<std::string_view, int>::first);
        if (american != kAmerican.end()) return void(offset_ = std::chrono::hours(american->second));
        if (!is_utc(word)) throw Wrong{"there is no time zone " + std::string(whole)};
        offset_ = minutes(0);
        if (!in_.rest().empty() && (in_.rest().front() == '+' || in_.rest().front() == '-')) offset_ = signed_offset();
    }

    // How far local time is ahead of UTC: `-4`, `+02:00`, `-0400`, `+530`.
    minutes signed_offset() {
        const auto written = in_.rest();
        const int sign = in_.take("-") ? -1 : 1;
        if (sign == 1) in_.take("+");
        const auto digits = in_.take_digits();
        const bool together = digits.size() > 2;
        const auto mins = together ? digits.substr(digits.size() - 2) : in_.take(":") ? in_.take_digits() : std::string_view("00");
        const auto hours = together ? digits.substr(0, digits.size() - 2) : digits;
        const bool good = !hours.empty() && hours.size() <= 2 && mins.size() == 2 && number_of(hours) <= 23 && number_of(mins) <= 59;
        if (!good) throw Wrong{"expected an offset of at most 23:59, found " + quoted(written)};
        return sign * (std::chrono::hours(number_of(hours)) + minutes(number_of(mins)));
    }

    TimePoint moment() const {
        const auto day = std::chrono::year(year_) / month_ / day_;
        if (!day.ok()) throw Wrong{"that month has no day " + std::to_string(day_)};
        const auto since_midnight = std::chrono::sys_days(day) + time_;
        const auto moment = offset_ ? TimePoint(since_midnight - *offset_) : zone_.to_utc(LocalTime(since_midnight.time_since_epoch()));
        if (moment < kFirstDate || moment >= kEndOfDates) throw Wrong{"the year isn't of 1 to 9999 in UTC"};
        return moment;
    }

    Scanner in_;
    TimeZone zone_;
    int year_ = 0, month_ = 0, day_ = 0;
    microseconds time_{0};
    std::optional<minutes> offset_;
    bool year_is_last_ = false;  // `Tue Mar 17 14:00:00 UTC 2015`
    bool blank_taken_ = false;
};

}  // namespace

Result<TimePoint> parse_date(std::string_view text, const TimeZone& zone) {
    text = trim(text);
    if (text.empty()) return Error{"it is empty"};
    if (text.size() > kMaxText) return Error{"it is longer than 100 bytes"};
    try {
        return Parser(text, zone).date();
    } catch (const Wrong& wrong) {
        return Error{wrong.what};
    }
}

}  // namespace recto
