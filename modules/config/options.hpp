// options.hpp - the table of options: what recto.ini may say, told once.
//
// From a row come the parsing, the range check, the sentence about a mistake, the line of `recto show-config` and the paragraph of
// etc/recto.ini. A new option is a field of Config and a row in options.cpp.
//
// Errors:   apply() answers with what was expected, `expected 1ms to 5s, such as 50ms`, and leaves the field as it was.
// Threads:  immutable.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.hpp"

namespace recto {

// What may stand in Option::allowed: a range `1ms..5s`, words `info|error`, both `1s..30d|off`, or one of these.
inline constexpr std::string_view kAnyPath = "a path";
inline constexpr std::string_view kTimeZone = "a time zone of the IANA database";
inline constexpr std::string_view kAbsolutePath = "an absolute path";
inline constexpr std::string_view kLogFile = "a path, with no % in it but one %i in the name";
inline constexpr std::string_view kSocketPath = "a path of at most 107 bytes";
inline constexpr std::string_view kServerList = "unix:/path (at most 107 bytes) or host:port, separated by commas";
inline constexpr std::string_view kKeyPrefix = "1 to 32 letters, digits and signs without blanks";
inline constexpr std::string_view kScopeList = "scopes of [throttle], separated by commas, or none";
inline constexpr std::string_view kOpList = "get, fetch, count, aggregate, exists or all, separated by commas, or none";
inline constexpr std::string_view kHandlerList = "file, stderr or names of [handler NAME], separated by commas, or none";
inline constexpr std::string_view kLineFormat = "verbose, json, ecs or a pattern with {message}";
inline constexpr std::string_view kUserName = "empty, or up to 255 bytes of printable characters";
inline constexpr std::string_view kPassword = "empty, or up to 1024 bytes of printable characters";
inline constexpr std::string_view kRequestRate = "a rate of 0 to 100000 requests, or off";
inline constexpr std::string_view kNetworkList = "addresses and networks such as 10.0.0.0/8, separated by commas, or none";
inline constexpr std::string_view kNameList = "names of users, separated by commas, or none";

// The units that a message lists. All that are read (util/units.hpp) stand in the head of etc/recto.ini.
inline constexpr std::string_view kDurationWords = "ms, s, min, h, d";
inline constexpr std::string_view kSizeWords = "B, KB, MB, GB";

inline constexpr std::size_t kMaxSocketPath = 107;                             // sockaddr_un's 108 and its NUL
inline constexpr std::size_t kMaxNameBytes = 49;                               // inih cuts longer sections
inline constexpr std::string_view kRepresentations = "ring32|ring16|windows";  // one, or two separated by a comma
inline constexpr std::size_t kMaxScopeBytes = 43;                              // for [scope NAME]

struct ScopeField {};  // the field is Config::throttle_scopes, under the name of the row

template <class T>
using ConfigField = T Config::*;

struct Option {
    std::string_view name;  // `cache.timeout` is `timeout` in [cache]
    std::variant<ConfigField<std::filesystem::path>, ConfigField<std::string>, ConfigField<int>, ConfigField<Size>,
                 ConfigField<std::chrono::milliseconds>, ConfigField<std::vector<std::string>>, ScopeField>
        field;
    std::string_view initial;  // the default, as an operator writes it
    std::string_view allowed;
    std::string_view help;
    bool secret = false;

    [[nodiscard]] std::string_view section() const { return name.substr(0, name.find('.')); }
    [[nodiscard]] std::string_view key() const { return name.substr(name.find('.') + 1); }
    [[nodiscard]] std::string variable() const;  // RECTO_CACHE__TIMEOUT
    [[nodiscard]] std::string shown(std::string_view value) const { return secret && !value.empty() ? "********" : std::string(value); }
};

// What [view NAME], [scope NAME], [model NAME], [handler NAME] and [logger NAME] may say. It has no default here, the tables of views and
// models and [log] have.
template <class Section>
struct SectionOption {
    template <class T>
    using Field = std::optional<T> Section::*;

    std::string_view key;
    std::variant<Field<std::chrono::milliseconds>, Field<std::vector<std::string>>, Field<std::string>, Field<int>, Field<Size>,
                 Field<std::filesystem::path>>
        field;
    std::string_view example;
    std::string_view allowed;
    std::string_view help;
};
using ViewOption = SectionOption<ViewSection>;
using ScopeOption = SectionOption<ScopeSection>;
using ModelOption = SectionOption<ModelSection>;
using HandlerOption = SectionOption<HandlerSection>;
using LoggerOption = SectionOption<LoggerSection>;

struct SectionHelp {
    std::string_view name;
    std::string_view help;
};

[[nodiscard]] std::span<const Option> options();  // those of a section stand together
[[nodiscard]] std::span<const ViewOption> view_options();
[[nodiscard]] std::span<const ScopeOption> scope_options();
[[nodiscard]] std::span<const ModelOption> model_options();
[[nodiscard]] std::span<const HandlerOption> handler_options();
[[nodiscard]] std::span<const LoggerOption> logger_options();
[[nodiscard]] std::span<const SectionHelp> section_helps();  // one for each section, in the order of options()

// Nothing when the value fits, else the sentence `expected …`.
[[nodiscard]] std::optional<std::string> apply(const Option& option, std::string_view value, Config& config);
[[nodiscard]] std::optional<std::string> apply(const ViewOption& option, std::string_view value, ViewSection& view);
[[nodiscard]] std::optional<std::string> apply(const ScopeOption& option, std::string_view value, ScopeSection& scope);
[[nodiscard]] std::optional<std::string> apply(const ModelOption& option, std::string_view value, ModelSection& model);
[[nodiscard]] std::optional<std::string> apply(const HandlerOption& option, std::string_view value, HandlerSection& handler);
[[nodiscard]] std::optional<std::string> apply(const LoggerOption& option, std::string_view value, LoggerSection& logger);
[[nodiscard]] std::optional<std::string> apply_scope(std::string_view name, std::string_view value, Config& config);

// `1ms..5s|off` as a sentence says it: `1ms to 5s or off`.
[[nodiscard]] std::string in_words(std::string_view allowed);

}  // namespace recto
