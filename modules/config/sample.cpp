#include <algorithm>
#include <sstream>

#include "config/options.hpp"

namespace recto {
namespace {

constexpr std::string_view kHead =
    R"(# recto.ini - every option of Recto, with its default. It works as it stands; a line left out means its default.
#
# Shape    name = value, below its [section]. A comment has a line of its own and begins with # or ;. Values have no quotes.
# Units    Each value needs one. Durations: ms; s, sec, second, seconds; min, m, minute, minutes; h, hour, hours; d, day, days.
#          Sizes, in powers of 1024: B; KB, K; MB, M; GB, G. Rates: requests per period, such as 100/day, 5/second or 30/15minutes; a period
#          is a number, or nothing for 1, and s, sec, second, seconds, min, m, minute, minutes, h, hour, hours, d, day, days.
# Paths    relative ones start from [site] data.
# Order    the default, this file, then the environment: RECTO_CACHE__TIMEOUT=80ms is [cache] timeout. [view NAME] has no
#          variable. Another variable that begins with RECTO_ is a mistake.
# Check    `recto --config FILE check` names every mistake with its line; `recto --config FILE show-config` tells what holds and why.
)";

constexpr std::string_view kViewHead =
    R"(# [view NAME] sets the policy of one view; what it leaves out comes from the table of views. `recto routes` lists the names.)";

constexpr std::string_view kScopeHead = R"(# [scope NAME] says more of a scope of [throttle].)";

constexpr std::string_view kModelHead =
    R"(# [model APP.MODEL], [model APP.*] and [model *.*] say which queries of a model are cached beside the views: the first of the three that
# is there holds, whole. `recto cache explain auth.user` tells which.)";

constexpr std::string_view kHandlerHead = R"(# [handler NAME] is one more file for the lines of the loggers that name it.)";

constexpr std::string_view kLoggerHead =
    R"(# [logger NAME] is about a logger and those below it: recto is all of ours, recto.cache the cache. What it leaves out is as above it.)";

constexpr std::size_t kWidth = 120;

// The text as comment lines, broken at blanks.
void print_comment(std::ostream& out, std::string_view text, std::string_view sign = "# ") {
    while (!text.empty()) {
        auto end = text.size();
        if (end > kWidth) end = text.rfind(' ', kWidth);
        out << sign << text.substr(0, end) << '\n';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void print_option(std::ostream& out, const Option& option) {
    out << '\n';
    print_comment(out, option.help);
    print_comment(
        out, "Allowed: " + in_words(option.allowed) + ". Default: " + (option.initial.empty() ? "empty" : std::string(option.initial)));
    out << option.key() << " =" << (option.initial.empty() ? "" : " ") << option.initial << '\n';
}

void print_example(std::ostream& out, std::string_view head, std::string_view section, const auto& section_options) {
    out << '\n' << head << "\n#\n# [" << section << "]\n";
    for (const auto& option : section_options) {
        print_comment(out, std::string(option.help) + " Allowed: " + in_words(option.allowed) + '.', "# ; ");
        out << "# " << option.key << " = " << option.example << '\n';
    }
}

}  // namespace

std::string sample_ini() {
    std::ostringstream out;
    out << kHead;
    for (const auto& section : section_helps()) {
        out << "\n[" << section.name << "]\n";
        print_comment(out, section.help);
        for (const auto& option : options())
            if (option.section() == section.name) print_option(out, option);
    }
    print_example(out, kViewHead, "view blogs.by_author", view_options());
    print_example(out, kScopeHead, "scope anon", scope_options());
    print_example(out, kModelHead, "model auth.user", model_options());
    print_example(out, kHandlerHead, "handler slow", handler_options());
    print_example(out, kLoggerHead, "logger recto.request", logger_options());
    return out.str();
}

}  // namespace recto
