// config_fuzz.cpp - any bytes as recto.ini: no crash, and what is accepted means the same when show-config's output is read again.
//
// The unit test runs it on 20,000 mutations of the sample. With libFuzzer, for as long as you like:
//   sources="tests/fuzz/config_fuzz.cpp $(ls modules/config/*.cpp modules/util/*.cpp)"
//   clang++-16 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Imodules $sources -linih -lsodium -lboost_json -o build/config_fuzz
//   mkdir -p build/config_corpus && build/config_fuzz -max_len=16384 build/config_corpus etc
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/config.hpp"

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

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "config_fuzz: %s\n", what);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    const auto loaded = recto::parse_config(text, "recto.ini", {}, kFuzzViews);
    if (!loaded.mistakes.empty()) {
        require(loaded.config == recto::Config{}, "something is applied in spite of mistakes");
        require(std::ranges::all_of(loaded.mistakes, [](const auto& m) { return m.starts_with("recto.ini:"); }), "no line is named");
        return 0;
    }
    const auto again = recto::parse_config(as_ini(loaded), "again.ini", {}, kFuzzViews);
    require(again.mistakes.empty(), "what was accepted is refused when it is read again");
    require(again.config == loaded.config, "what was accepted means something else when it is read again");
    return 0;
}
