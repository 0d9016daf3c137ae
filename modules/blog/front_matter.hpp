// front_matter.hpp - what stands on top of a Markdown file: its keys, in YAML, TOML or JSON, and the text behind them.
//
// YAML stands between lines of `---` (the last one may be `...`), TOML between lines of `+++`, JSON is one object at the beginning.
// `---toml` and `---json` name the language, as gray-matter does. Blank lines and a byte order mark may come before. Nothing is dropped:
// what isn't front matter is body, or the file is refused.
//
// Errors:   a Result with line and reason, `7: what was wrong`.
// Threads:  pure functions.
// Limits:   64 KiB of front matter, without control characters; nested at most 16 deep, 10,000 values (aliases counted each time they are
//           used).
// Source:   Jekyll's document.rb, Hugo's pageparser, gray-matter for where it ends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "util/json.hpp"
#include "util/result.hpp"

namespace recto {

struct FrontMatterKey {
    std::string name;
    json::value value;  // scalars of YAML and dates of TOML are texts
    int line = 1;       // of the file
};

struct FrontMatter {
    std::vector<FrontMatterKey> keys;  // as they stand there; YAML may have one twice
    std::string_view body;             // into the text that was given
};

[[nodiscard]] Result<FrontMatter> parse_front_matter(std::string_view text);

}  // namespace recto
