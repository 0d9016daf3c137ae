// next_schema.hpp - this program's schema and one more migration: what a later version would bring.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "store/schema.hpp"

namespace recto {

struct NextSchema {
    explicit NextSchema(std::string_view sql) : files(current_schema().migrations.begin(), current_schema().migrations.end()) {
        char text[32];
        std::snprintf(text, sizeof text, "%03d_more", static_cast<int>(current_schema().number() + 1));
        name = text;
        files.push_back({name, sql});
        schema = {files, current_schema().triggers};
    }
    NextSchema(const NextSchema&) = delete;
    NextSchema& operator=(const NextSchema&) = delete;

    std::string name;
    std::vector<SqlFile> files;
    Schema schema{};
};

}  // namespace recto
