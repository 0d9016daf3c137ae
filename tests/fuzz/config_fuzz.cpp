// config_fuzz.cpp - any bytes as recto.ini: no crash, and what is accepted means the same when show-config's output is read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "tests/support/fuzzing.hpp"

namespace {

const recto::KnownView kFuzzViews[] = {{"blogs.by_author"}, {"blog"}, {"blog.detail"}, {"blog2"}};

std::string as_ini(const recto::LoadedConfig& loaded) {
    std::string text, section;
    for (const auto& option : loaded.options) {
        if (option.section != section) text += "[" + (section = option.section) + "]\n";
        text += option.name + " = " + option.value + "\n";
    }
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    const auto loaded = recto::parse_config(text, "recto.ini", {}, kFuzzViews);
    if (!loaded.mistakes.empty()) {
        recto::require(loaded.config == recto::Config{}, "something is applied in spite of mistakes");
        recto::require(std::ranges::all_of(loaded.mistakes, [](const auto& m) { return m.starts_with("recto.ini:"); }), "no line is named");
        return 0;
    }
    const auto again = recto::parse_config(as_ini(loaded), "again.ini", {}, kFuzzViews);
    recto::require(again.mistakes.empty(), "what was accepted is refused when it is read again");
    recto::require(again.config == loaded.config, "what was accepted means something else when it is read again");
    return 0;
}
