// levels.hpp - the levels of loggers that an operator changed while the workers run, in memory that all of them share.
//
// Errors:   open() and set() throw std::runtime_error or std::system_error; the others nothing.
// Threads:  safe to call from any thread of any process.
// Limits:   64 loggers, names of up to kMaxName bytes. They hold until the machine starts anew.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "log/log.hpp"
#include "util/shared_file.hpp"

namespace recto {

class LogLevels {
public:
    static constexpr std::size_t kMaxName = 46;

    [[nodiscard]] static LogLevels open(const std::filesystem::path& runtime_dir);

    // What is changed there; nothing, when nobody has opened them yet. Makes no file.
    [[nodiscard]] static std::map<std::string, Level> changed_in(const std::filesystem::path& runtime_dir);

    void set(std::string_view logger, std::optional<Level> level);  // empty: as configured
    [[nodiscard]] std::map<std::string, Level> all() const;

    // Another number after each change.
    [[nodiscard]] std::uint64_t generation() const { return table_->generation.load(std::memory_order_relaxed); }

private:
    struct Entry {
        char logger[kMaxName + 1];
        std::uint8_t level;  // one more than it is; 0: unused
    };
    struct Table {
        std::uint64_t magic;
        std::atomic<std::uint64_t> generation;
        Entry entries[64];
    };

    LogLevels(std::filesystem::path lock, SharedFile file);

    std::filesystem::path lock_;
    SharedFile file_;
    Table* table_;
};

}  // namespace recto
