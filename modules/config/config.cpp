#include "config/config.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <climits>
#include <system_error>

#include "config/ini.hpp"
#include "config/options.hpp"
#include "log/files.hpp"
#include "util/file.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::string_view kViewPrefix = "view ";
constexpr std::string_view kScopePrefix = "scope ";
constexpr std::string_view kModelPrefix = "model ";
constexpr std::string_view kHandlerPrefix = "handler ";
constexpr std::string_view kLoggerPrefix = "logger ";
constexpr std::uint32_t kMaxShortLimit = 65'534;  // of ring16 and windows
constexpr std::string_view kScopeVariables = "RECTO_THROTTLE__";

// A value somebody set, and how to speak of it.
struct Setting {
    std::string value;
    std::string origin;   // `recto.ini:12`
    std::string subject;  // how a mistake about it begins: `recto.ini:12: [cache] timeout = 50sm`
    int line = 0;
};

const Option* find_option(std::string_view section, std::string_view key) {
    for (const auto& option : options())
        if (option.section() == section && option.key() == key) return &option;
    return nullptr;
}

bool is_section(std::string_view name) {
    return std::ranges::any_of(section_helps(), [&](const auto& section) { return section.name == name; });
}

std::vector<std::string_view> keys_of(std::string_view section) {
    std::vector<std::string_view> keys;
    for (const auto& option : options())
        if (option.section() == section) keys.push_back(option.key());
    return keys;
}

std::vector<std::string_view> keys_of_options(const auto& section_options) {
    std::vector<std::string_view> keys;
    for (const auto& option : section_options) keys.push_back(option.key);
    return keys;
}

// With `app.*` of each and `*.*`.
std::vector<std::string> patterns_of(std::span<const std::string_view> models) {
    std::vector<std::string> patterns(models.begin(), models.end());
    for (const auto model : models) patterns.push_back(std::string(model.substr(0, model.find('.'))) + ".*");
    patterns.emplace_back("*.*");
    std::ranges::sort(patterns);
    patterns.erase(std::ranges::unique(patterns).begin(), patterns.end());
    return patterns;
}

std::vector<std::string_view> scope_names(const Config& config) {
    std::vector<std::string_view> names;
    for (const auto& [name, rate] : config.throttle_scopes) names.emplace_back(name);
    return names;
}

std::vector<std::string_view> names_of(std::span<const KnownView> views) {
    std::vector<std::string_view> names;
    for (const auto& view : views) names.push_back(view.name);
    return names;
}

std::string list_of(std::span<const std::string_view> words) {
    const std::vector<std::string> copies(words.begin(), words.end());
    return join(copies, ", ");
}

// `, did you mean timeout?` when a name is near.
std::string suggestion(std::string_view word, std::span<const std::string_view> known) {
    const auto near = nearest(word, known);
    return near.empty() ? "" : ", did you mean " + std::string(near) + "?";
}

std::string unknown(std::string_view word, std::span<const std::string_view> known) {
    const auto near = suggestion(word, known);
    return near + (near.empty() ? "; known: " : " Known: ") + list_of(known);
}

bool is_log_name(std::string_view name) {
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'; };
    return !name.empty() && std::ranges::all_of(name, allowed);
}

// What no value may be, wherever it comes from.
std::optional<std::string> bad_value(std::string_view value) {
    if (value.starts_with('"') || value.starts_with('\'')) return "values stand without quotes";
    return {};
}

// ` ; why` would become a part of a path without a word; a comment has its own line.
bool has_comment(std::string_view value) {
    for (std::size_t i = 1; i < value.size(); ++i)
        if ((value[i] == ';' || value[i] == '#') && (value[i - 1] == ' ' || value[i - 1] == '\t')) return true;
    return value.starts_with(';') || value.starts_with('#');
}

// A value in a message. A name we don't know may be a slip of the hand for that of a secret; in [throttle] it is a scope.
std::string shown(const Option* option, std::string_view section, std::string_view name, std::string_view value) {
    std::vector<std::string_view> secrets;
    for (const auto& one : options())
        if (one.secret) secrets.push_back(one.key());
    const bool is_known = option != nullptr || section == "throttle";
    const bool secret = is_known ? option != nullptr && option->secret : may_be_secret(name) || !nearest(name, secrets).empty();
    return secret && !value.empty() ? "********" : excerpt(value);
}

bool is_ours(std::string_view name) { return lower_ascii(name).starts_with("recto_"); }

// Names that begin like ours: the number of a worker (log/instance.hpp), and what Kubernetes gives the containers beside a service that is
// called recto, such as RECTO_SERVICE_HOST and RECTO_PORT_80_TCP.
bool is_of_others(std::string_view name) {
    return name == "RECTO_INSTANCE" || name == "RECTO_PORT" || name.starts_with("RECTO_PORT_") || name.starts_with("RECTO_SERVICE_HOST") ||
           name.starts_with("RECTO_SERVICE_PORT");
}

class Loader {
public:
    Loader(std::string_view file_name, std::span<const KnownView> views, std::span<const std::string_view> models)
        : file_name_(file_name), views_(views), models_(patterns_of(models)) {
        for (const auto& option : options()) {
            [[maybe_unused]] const auto mistake = apply(option, option.initial, config_);
            assert(!mistake);
        }
    }

    void read(const IniText& ini) {
        for (const auto& mistake : ini.mistakes) tell(mistake.line, at(mistake.line) + ": " + mistake.sentence);
        for (const auto& section : ini.sections) read(section);
    }

    void read(const Environment& environment) {
        for (const auto& [name, value] : environment)
            if (is_ours(name) && !is_of_others(name)) read_variable(name, value);
    }

    LoadedConfig finish() && {
        resolve_paths();
        check_log();
        for (const auto& [name, handler] : config_.handlers) check_handler(name, handler);
        check_log_files();
        check_handler_names(setting_of(*find_option("log", "handlers")), config_.log_handlers);
        for (const auto& [name, logger] : config_.loggers)
            if (logger.handlers) check_handler_names(settings_.at(std::string(kLoggerPrefix) + name + ".handlers"), *logger.handlers);
        check_cache_user();
        check_scope_count();
        for (const auto& [name, line] : section_lines_)
            if (name.starts_with(kScopePrefix)) check_scope(name, line);
        for (const auto& [name, view] : config_.views) check_scopes(name, view);
        for (const auto& view : views_) check_cost(view);
        list_options();

        std::ranges::stable_sort(mistakes_, {}, &IniMistake::line);
        for (const auto& mistake : mistakes_) loaded_.mistakes.push_back(printable(mistake.sentence));
        if (loaded_.mistakes.empty()) loaded_.config = std::move(config_);
        return std::move(loaded_);
    }

private:
    // The file.

    void read(const IniSection& section) {
        const auto subject = at(section.line) + ": [" + excerpt(section.name) + "]";
        const auto [first, is_new] = section_lines_.emplace(section.name, section.line);
        if (!is_new) tell(section.line, subject + ": this section is already at line " + std::to_string(first->second));

        if (section.name.starts_with(kViewPrefix) || section.name == "view") return read_view(section, subject);
        if (section.name.starts_with(kScopePrefix) || section.name == "scope") return read_scope(section, subject);
        if (section.name.starts_with(kModelPrefix) || section.name == "model") return read_model(section, subject);
        if (section.name.starts_with(kHandlerPrefix) || section.name == "handler") return read_handler(section, subject);
        if (section.name.starts_with(kLoggerPrefix) || section.name == "logger") return read_logger(section, subject);
        if (!is_section(section.name)) return tell(section.line, subject + ": unknown section" + known_sections(section.name));
        for (const auto& entry : section.entries) read_entry(section, entry);
    }

    void read_view(const IniSection& section, const std::string& subject) {
        const auto name = name_in(section, kViewPrefix);
        if (name.empty()) return tell(section.line, subject + ": expected the name of a view, such as [view blogs.by_author]");
        if (std::ranges::find(views_, name, &KnownView::name) == views_.end())
            return tell(section.line, subject + ": unknown view" + unknown(name, names_of(views_)));
        read_named(section, view_options(), config_.views, std::string(name));
    }

    // Whether [throttle] has it is known at the end.
    void read_scope(const IniSection& section, const std::string& subject) {
        const auto name = name_in(section, kScopePrefix);
        if (name.empty()) return tell(section.line, subject + ": expected a name of [throttle], such as [scope anon]");
        read_named(section, scope_options(), config_.scopes, std::string(name));
    }

    void read_model(const IniSection& section, const std::string& subject) {
        const auto name = name_in(section, kModelPrefix);
        const std::vector<std::string_view> known(models_.begin(), models_.end());
        if (name.empty())
            return tell(section.line, subject + ": expected the name of a model, such as [model auth.user] or [model auth.*]");
        if (std::ranges::find(known, name) == known.end()) return tell(section.line, subject + ": unknown model" + unknown(name, known));
        read_named(section, model_options(), config_.models, std::string(name));
    }

    void read_handler(const IniSection& section, const std::string& subject) {
        const auto name = name_in(section, kHandlerPrefix);
        if (!is_log_name(name)) return tell(section.line, subject + ": expected a name of a-z, 0-9 and _ . -, such as [handler slow]");
        if (name == "file" || name == "stderr") return tell(section.line, subject + ": this handler is set in [log]");
        config_.handlers[std::string(name)];
        read_named(section, handler_options(), config_.handlers, std::string(name));
    }

    void read_logger(const IniSection& section, const std::string& subject) {
        const auto name = name_in(section, kLoggerPrefix);
        if (!is_log_name(name))
            return tell(section.line, subject + ": expected a name of a-z, 0-9 and _ . -, such as [logger recto.cache]");
        read_named(section, logger_options(), config_.loggers, std::string(name));
    }

    static std::string_view name_in(const IniSection& section, std::string_view prefix) {
        return std::string_view(section.name).substr(std::min(section.name.size(), prefix.size()));
    }

    template <class Section>
    void read_named(const IniSection& section, std::span<const SectionOption<Section>> known, std::map<std::string, Section>& sections,
                    const std::string& name) {
        for (const auto& entry : section.entries) {
            const auto* setting = remember(section, entry);
            if (setting == nullptr) continue;
            const auto option = std::ranges::find(known, std::string_view(entry.name), &SectionOption<Section>::key);
            if (option == known.end())
                tell(*setting, "unknown name" + unknown(entry.name, keys_of_options(known)));
            else
                check(*setting, apply(*option, entry.value, sections[name]));
        }
    }

    void read_entry(const IniSection& section, const IniEntry& entry) {
        const auto* option = find_option(section.name, entry.name);
        const auto* setting = remember(section, entry);
        if (setting == nullptr) return;
        if (option != nullptr) return check(*setting, apply(*option, entry.value, config_));
        if (section.name == "throttle") return check(*setting, add_scope(entry.name, entry.value));
        tell(*setting, "unknown name" + unknown(entry.name, keys_of(section.name)));
    }

    // Nothing when the entry is wrong already.
    const Setting* remember(const IniSection& section, const IniEntry& entry) {
        Setting setting{entry.value, at(entry.line), "", entry.line};
        const auto* option = find_option(section.name, entry.name);
        setting.subject =
            setting.origin + ": [" + section.name + "] " + entry.name + " = " + shown(option, section.name, entry.name, entry.value);

        const auto [first, is_new] = settings_.emplace(section.name + '.' + entry.name, setting);
        if (!is_new) return refuse(setting, "is set already at line " + std::to_string(first->second.line));
        if (has_comment(entry.value)) return refuse(setting, "a comment needs a line of its own");
        if (const auto problem = bad_value(entry.value)) return refuse(setting, *problem);
        return &first->second;
    }

    std::string known_sections(std::string_view name) {
        std::vector<std::string_view> names;
        for (const auto& section : section_helps()) names.push_back(section.name);
        names.emplace_back("view NAME");
        names.emplace_back("scope NAME");
        names.emplace_back("model NAME");
        names.emplace_back("handler NAME");
        names.emplace_back("logger NAME");
        const auto near =
            nearest(name.substr(0, name.find(' ')), std::vector<std::string_view>{"view", "scope", "model", "handler", "logger"});
        return near.empty() ? unknown(name, names) : ", did you mean " + std::string(near) + " NAME? Known: " + list_of(names);
    }

    // A scope may have any name, so a mistyped `clients` looks like one; its value tells.
    std::optional<std::string> add_scope(std::string_view name, std::string_view value) {
        auto problem = apply_scope(name, value, config_);
        if (problem && parse_integer(value)) *problem += suggestion(name, keys_of("throttle"));
        return problem;
    }

    // The environment.

    void read_variable(const std::string& name, const std::string& value) {
        const auto option = std::ranges::find(options(), name, &Option::variable);
        const bool known = option != options().end();
        const auto* const meant = known ? &*option : meant_by(name);
        Setting setting{value, name, name + '=' + shown_variable(meant, name, value), INT_MAX};
        if (const auto problem = bad_bytes(value)) return tell(INT_MAX, name + ": the value has " + *problem);
        if (const auto problem = bad_value(value); problem && !(known && option->secret)) return tell(setting, *problem);

        if (known) return override_with(std::string(option->name), setting, apply(*option, value, config_));
        if (name.starts_with(kScopeVariables) && !name.substr(kScopeVariables.size()).starts_with('_')) {
            const auto scope = lower_ascii(std::string_view(name).substr(kScopeVariables.size()));
            return override_with("throttle." + scope, setting, add_scope(scope, value));
        }
        if (name.starts_with("RECTO_VIEW")) return tell(setting, "a view is set in the file only, in [view NAME]");
        if (name.starts_with("RECTO_SCOPE"))
            return tell(setting, "a scope's rate is RECTO_THROTTLE__NAME; [scope NAME] is set in the file only");
        if (name.starts_with("RECTO_HANDLER") || name.starts_with("RECTO_LOGGER"))
            return tell(setting, "handlers and loggers are set in the file only, in [handler NAME] and [logger NAME]");
        if (name.starts_with("RECTO_MODEL")) return tell(setting, "a model is set in the file only, in [model NAME]");
        if (name == "RECTO_CONFIG") return tell(setting, "unknown variable; the file is named by --config");
        if (meant != nullptr) return tell(setting, "unknown variable, did you mean " + meant->variable() + "?");
        tell(setting, "unknown variable" + (scope_meant_by(name).empty() ? near_variable(name) : scope_meant_by(name)));
    }

    // The option whose variable differs in capitals and signs alone, or whose name is the whole of the variable: RECTO_THROTTLE_ANON,
    // recto_throttle__anon, RECTO_ANON.
    static const Option* meant_by(std::string_view name) {
        const auto letters = letters_of(name);
        const Option* meant = nullptr;
        for (const auto& option : options()) {
            if (letters == letters_of(option.variable())) return &option;
            if (letters != "recto" + letters_of(option.key())) continue;
            if (meant != nullptr) return nullptr;  // a key of several sections
            meant = &option;
        }
        return meant;
    }

    static std::string letters_of(std::string_view name) {
        auto letters = lower_ascii(name);
        std::erase_if(letters, [](char c) { return c == '_' || c == '.' || c == '-'; });
        return letters;
    }

    // A scope may have any name: RECTO_THROTTLE_MINE means RECTO_THROTTLE__MINE, unless a name that we know is near.
    static std::string scope_meant_by(std::string_view name) {
        const auto scopes = lower_ascii(kScopeVariables.substr(0, kScopeVariables.size() - 1));
        auto scope = lower_ascii(name);
        if (!scope.starts_with(scopes) || !near_variable(name).empty()) return {};
        scope.erase(0, scopes.size());
        scope.erase(0, scope.find_first_not_of('_'));
        for (auto& c : scope)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        return scope.empty() ? "" : ", did you mean " + std::string(kScopeVariables) + scope + "?";
    }

    static std::string shown_variable(const Option* option, const std::string& name, const std::string& value) {
        const auto lower = lower_ascii(name);
        const auto sign = lower.find("__");
        const auto key = lower.substr(sign == std::string::npos ? std::string_view("recto_").size() : sign + 2);
        return shown(option, lower.starts_with("recto_throttle_") ? "throttle" : "", key, value);
    }

    void override_with(const std::string& name, const Setting& setting, const std::optional<std::string>& problem) {
        settings_.insert_or_assign(name, setting);
        check(setting, problem);
    }

    static std::string near_variable(std::string_view name) {
        std::vector<std::string> variables;
        for (const auto& option : options()) variables.push_back(option.variable());
        return suggestion(name, std::vector<std::string_view>(variables.begin(), variables.end()));
    }

    // The whole.

    void resolve_paths() {
        for (const auto& option : options()) {
            const auto* field = std::get_if<ConfigField<std::filesystem::path>>(&option.field);
            if (field == nullptr) continue;
            config_.*(*field) = config_.data / config_.*(*field);
            if (option.allowed == kSocketPath) check_socket(option, config_.*(*field));
        }
        for (auto& [name, handler] : config_.handlers)
            if (handler.file) handler.file = config_.data / *handler.file;
    }

    void check_socket(const Option& option, const std::filesystem::path& path) {
        const auto length = path.string().size();
        if (length <= kMaxSocketPath) return;
        tell(setting_of(option),
             "the path of a unix socket has at most 107 bytes, " + excerpt(path.string()) + " has " + std::to_string(length));
    }

    // Otherwise a file would hold a few lines only, and rotation would be most of the work.
    void check_log() {
        const Size least{4 * config_.log_max_record.bytes};
        if (config_.log_max_bytes >= least) return;
        tell(setting_of(*find_option("log", "max_bytes")),
             "expected at least 4 times max_record (" + to_text(config_.log_max_record) + "): " + to_text(least));
    }

    void check_handler(const std::string& name, const HandlerSection& handler) {
        const auto section = std::string(kHandlerPrefix) + name;
        const auto line = section_lines_.at(section);
        const auto begin = at(line) + ": [" + section + "]";
        const auto is_wrong_already = [&] { return settings_.contains(section + ".file"); };
        if (!handler.file && !is_wrong_already()) return tell(line, begin + ": needs a file");
        const auto max_record = handler.max_record.value_or(config_.log_max_record);
        if (handler.max_bytes.value_or(config_.log_max_bytes).bytes < 4 * max_record.bytes)
            tell(line, begin + ": expected max_bytes of at least 4 times max_record (" + to_text(max_record) + ")");
    }

    // Each handler would rotate it by limits of its own; of a database lines and a rotation would leave nothing.
    void check_log_files() {
        struct Use {
            std::filesystem::path file;
            std::string section;
            Setting setting;
        };
        std::vector<Use> uses{{config_.log_file, "[log]", setting_of(*find_option("log", "file"))}};
        for (const auto& [name, handler] : config_.handlers) {
            const auto section = std::string(kHandlerPrefix) + name;
            if (handler.file) uses.push_back({*handler.file, "[" + section + "]", settings_.at(section + ".file")});
        }
        const Use store{config_.store_file, "[store]", setting_of(*find_option("store", "file"))};

        std::map<std::filesystem::path, std::string> owners{{store.file.lexically_normal(), store.section}};
        for (const auto& use : uses) {
            const auto [first, is_new] = owners.emplace(use.file.lexically_normal(), use.section);
            if (!is_new) tell(use.setting, "is the file of " + first->second + " already");
        }
        const auto check_against = [&](const Use& use, const Use& log) {
            const auto name = log.file.filename().string();
            if (is_name_of(log.file, use.file))
                tell(use.setting, "is a name of the files of " + log.section + ", which are " + name + ", " + name + ".1 and so on");
        };
        for (const auto& log : uses) {
            check_against(store, log);
            for (const auto& use : uses)
                if (&use != &log) check_against(use, log);
        }
    }

    void check_handler_names(const Setting& setting, const std::vector<std::string>& names) {
        std::vector<std::string_view> known{"file", "stderr"};
        for (const auto& [name, handler] : config_.handlers) known.push_back(name);
        for (const auto& name : names)
            if (std::ranges::find(known, name) == known.end()) tell(setting, "there is no handler " + name + unknown(name, known));
    }

    // libmemcached would leave the log-in out on a unix socket without a word.
    void check_cache_user() {
        const auto& user = setting_of(*find_option("cache", "user"));
        const auto& password = setting_of(*find_option("cache", "password"));
        if (user.value.empty() && !password.value.empty()) return tell(password, "needs [cache] user too");
        if (user.value.empty()) return;
        if (password.value.empty()) return tell(user, "needs [cache] password too");
        for (const auto& server : config_.cache_servers)
            if (server.starts_with("unix:")) tell(user, "a user is for servers on TCP, and " + excerpt(server) + " is a socket");
    }

    void check_scopes(const std::string& view_name, const ViewSection& view) {
        if (!view.throttle) return;
        const auto& setting = settings_.at(std::string(kViewPrefix) + view_name + ".throttle");
        std::vector<std::string> seen;
        for (const auto& scope : *view.throttle) {
            if (!config_.throttle_scopes.contains(scope))
                tell(setting, "[throttle] has no scope " + scope + unknown(scope, scope_names(config_)));
            // Its requests would count as guesses: at the limit no token from their address would be looked at.
            if (scope == "wrong_tokens") tell(setting, "wrong_tokens counts answers with 401, no view can name it");
            if (std::ranges::find(seen, scope) != seen.end()) tell(setting, scope + " is there twice");
            seen.push_back(scope);
        }
    }

    void check_scope_count() {
        const auto count = config_.throttle_scopes.size();
        if (count <= kMaxScopes) return;
        const auto section = section_lines_.find("throttle");
        const auto line = section == section_lines_.end() ? INT_MAX : section->second;
        tell(line, (line == INT_MAX ? "" : at(line) + ": ") + "[throttle] has " + std::to_string(count) + " scopes, expected at most " +
                       std::to_string(kMaxScopes));
    }

    void check_scope(const std::string& section, int line) {
        const auto name = section.substr(kScopePrefix.size());
        const auto found = config_.throttle_scopes.find(name);
        if (name.empty()) return;
        if (found == config_.throttle_scopes.end())
            return tell(line,
                        at(line) + ": [" + excerpt(section) + "]: [throttle] has no such scope" + unknown(name, scope_names(config_)));
        const auto scope = config_.scopes.find(name);
        if (scope == config_.scopes.end() || !found->second || found->second->limit <= kMaxShortLimit) return;
        const auto words = split_list(scope->second.repr.value_or("ring32"));
        if (std::ranges::all_of(words, [](const auto& word) { return word == "ring32"; })) return;
        tell(settings_.at(section + ".repr"), "is for limits up to " + std::to_string(kMaxShortLimit) + ", and that of " + name + " is " +
                                                  std::to_string(found->second->limit) + "; expected ring32");
    }

    // Such a request could never be accepted. A limit of 0 says that itself.
    void check_cost(const KnownView& view) {
        const auto found = config_.views.find(std::string(view.name));
        if (found == config_.views.end() || !found->second.cost) return;
        const auto& setting = settings_.at(std::string(kViewPrefix) + found->first + ".cost");
        for (const auto& name : found->second.throttle.value_or(view.throttle)) {
            const auto scope = config_.throttle_scopes.find(name);
            if (scope == config_.throttle_scopes.end() || !scope->second || scope->second->limit == 0) continue;
            if (static_cast<std::uint32_t>(*found->second.cost) > scope->second->limit)
                tell(setting, "more than the whole limit of " + name + ", " + to_text(*scope->second));
        }
    }

    void list_options() {
        for (const auto& section : section_helps()) {
            for (const auto& option : options())
                if (option.section() == section.name) list_option(option);
            if (section.name == "throttle") list_own_scopes();
        }
        for (const auto& [name, scope] : config_.scopes)
            for (const auto key : keys_of_options(scope_options())) list_if_set(std::string(kScopePrefix) + name, key);
        for (const auto& [name, view] : config_.views)
            for (const auto key : keys_of_options(view_options())) list_if_set(std::string(kViewPrefix) + name, key);
        for (const auto& [name, model] : config_.models)
            for (const auto key : keys_of_options(model_options())) list_if_set(std::string(kModelPrefix) + name, key);
        for (const auto& [name, handler] : config_.handlers)
            for (const auto key : keys_of_options(handler_options())) list_if_set(std::string(kHandlerPrefix) + name, key);
        for (const auto& [name, logger] : config_.loggers)
            for (const auto key : keys_of_options(logger_options())) list_if_set(std::string(kLoggerPrefix) + name, key);
    }

    void list_option(const Option& option) {
        const auto setting = setting_of(option);
        loaded_.options.push_back({std::string(option.section()), std::string(option.key()), option.shown(setting.value), setting.origin});
    }

    void list_own_scopes() {
        for (const auto& [name, rate] : config_.throttle_scopes)
            if (find_option("throttle", name) == nullptr) list_if_set("throttle", name);
    }

    void list_if_set(const std::string& section, std::string_view key) {
        const auto found = settings_.find(section + '.' + std::string(key));
        if (found != settings_.end()) loaded_.options.push_back({section, std::string(key), found->second.value, found->second.origin});
    }

    Setting setting_of(const Option& option) const {
        const auto found = settings_.find(std::string(option.name));
        if (found != settings_.end()) return found->second;
        const auto subject = "default [" + std::string(option.section()) + "] " + std::string(option.key()) + " = ";
        return {std::string(option.initial), "default", subject + std::string(option.initial)};
    }

    // Mistakes.

    std::string at(int line) const { return file_name_ + ':' + std::to_string(line); }

    void tell(int line, std::string sentence) { mistakes_.push_back({line, std::move(sentence)}); }
    void tell(const Setting& setting, const std::string& what) { tell(setting.line, setting.subject + ": " + what); }

    void check(const Setting& setting, const std::optional<std::string>& problem) {
        if (problem) tell(setting, *problem);
    }

    const Setting* refuse(const Setting& setting, const std::string& what) {
        tell(setting, what);
        return nullptr;
    }

    std::string file_name_;
    std::span<const KnownView> views_;
    std::vector<std::string> models_;  // names and patterns
    Config config_;
    std::map<std::string, int> section_lines_;
    std::map<std::string, Setting> settings_;  // by `cache.timeout`, `view blogs.by_author.cache`
    std::vector<IniMistake> mistakes_;
    LoadedConfig loaded_;
};

}  // namespace

Environment process_environment() {
    Environment result;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
        const std::string_view text(*variable);
        const auto equals = text.find('=');
        if (equals != std::string_view::npos && is_ours(text.substr(0, equals)))
            result.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return result;
}

LoadedConfig parse_config(std::string_view text, std::string_view file_name, const Environment& environment,
                          std::span<const KnownView> views, std::span<const std::string_view> models) {
    Loader loader(file_name, views, models);
    loader.read(read_ini(text));
    loader.read(environment);
    return std::move(loader).finish();
}

LoadedConfig load_config(const std::filesystem::path& file, const Environment& environment, std::span<const KnownView> views,
                         std::span<const std::string_view> models) {
    try {
        return parse_config(read_file(file), file.string(), environment, views, models);
    } catch (const std::system_error& problem) {
        LoadedConfig nothing;
        nothing.mistakes.push_back(printable(problem.what()));
        return nothing;
    }
}

}  // namespace recto
