#include "blog/import.hpp"

#include <algorithm>

#include <unistd.h>

#include "command/commands.hpp"
#include "command/output.hpp"
#include "command/progress.hpp"
#include "util/text.hpp"

namespace recto {
namespace {

constexpr std::size_t kMaxSourceBytes = 4096;
constexpr std::size_t kMaxShownKey = 60;

bool is_empty(const ImportReport& report) {
    return report.added + report.updated + report.unchanged == 0 && report.left.empty() && report.problems.empty();
}

std::string in_words(const std::map<std::string, int>& others) {
    std::string text;
    for (const auto& [extension, files] : others) text += (text.empty() ? "" : ", ") + std::to_string(files) + " of " + extension;
    return text;
}

void complain_of_counts(const ImportReport& report) {
    std::vector<std::pair<std::string, int>> reasons(report.reasons.begin(), report.reasons.end());
    std::ranges::stable_sort(reasons, std::greater(), &std::pair<std::string, int>::second);
    for (const auto& [reason, files] : reasons) complain("files, " + reason + ": " + std::to_string(files));
}

// What is to be looked at goes to standard error, counts by reason at its end; standard output has the one line of totals.
void print(const ImportReport& report, bool dry_run) {
    if (!report.moved_from.empty()) complain("this source was known as " + report.moved_from + "; it is now " + report.source);
    for (const auto& problem : report.problems) complain(problem);
    for (const auto& note : report.notes) complain(note);
    for (const auto& file : report.left) complain(file + ": edited in Recto since; left as it is (--force takes the file)");
    for (const auto& [key, use] : report.unused)
        complain("key without a meaning here, kept: " + std::string(cut_utf8(key, kMaxShownKey)) + " (files: " + std::to_string(use.files) +
                 ", such as " + use.example + ")");
    if (!report.others.empty()) complain("left out, not Markdown: " + in_words(report.others));
    complain_of_counts(report);
    print_line((dry_run ? "dry run, nothing is written: added " : "added ") + std::to_string(report.added) + ", updated " +
               std::to_string(report.updated) + ", unchanged " + std::to_string(report.unchanged) + ", left " +
               std::to_string(report.left.size()) + ", not read " + std::to_string(report.problems.size()));
}

void tell_progress(std::size_t done, std::size_t all) {
    show_progress(done == all ? std::string() : std::to_string(done) + " of " + std::to_string(all) + " files");
}

std::string bad_zone(const std::string& name) {
    return TimeZone::find(name) ? "" : "expected a time zone of the IANA database, such as Europe/Berlin, found " + printable(name);
}

std::string bad_source(const std::string& name) {
    return is_name(name, kMaxSourceBytes) ? "" : "expected a name of UTF-8 without control characters and blanks at its ends";
}

struct Given {
    std::string folder, source, time_zone;
    bool force = false, dry_run = false;
};

// Root became the owner of the site's files, who reads less.
ImportReport import_as_owner(Operator& op, const ImportOptions& options) {
    const bool was_root = ::geteuid() == 0;
    auto& store = op.site().store;
    try {
        return import_folder(store, options, time_now());
    } catch (const DatabaseError&) {
        throw;
    } catch (const std::runtime_error& problem) {
        if (!was_root || ::geteuid() == 0) throw;
        fail(std::string(problem.what()) + " (the owner of " + op.config().data.string() +
             ", whose rights `recto` uses instead of root's, so that the workers can read what it writes)");
    }
}

void import(Operator& op, const Given& given) {
    const auto& zone = given.time_zone.empty() ? op.config().site_time_zone : given.time_zone;
    const auto report = import_as_owner(op, {.folder = given.folder,
                                             .source = given.source,
                                             .time_zone = TimeZone::find(zone).value(),
                                             .force = given.force,
                                             .dry_run = given.dry_run,
                                             .progress = tell_progress});
    if (is_empty(report)) {
        if (!report.others.empty()) complain("left out, not Markdown: " + in_words(report.others));
        fail("no file in " + given.folder + " ends in .md or .markdown (or .mkd, .mkdn, .mdown, .mdwn, .mdx)");
    }
    if (!given.dry_run)
        log_event("post.import",
                  {{"source", report.source}, {"added", report.added}, {"updated", report.updated}, {"problems", report.problems.size()}});
    print(report, given.dry_run);
    if (!report.problems.empty()) throw Stop{ExitCode::failed};
}

}  // namespace

void add_import(CLI::App& program, Operator& op) {
    auto* const command = program.add_subcommand(
        "import", "Takes in a folder of Markdown files with front matter (YAML, TOML or JSON); again changes nothing");
    const auto given = std::make_shared<Given>();
    command->add_option("DIR", given->folder, "The folder")->required()->check(bad_path);
    command->add_option("--source", given->source, "What the folder is known as; else its real path")->check(bad_source);
    command->add_option("--time-zone", given->time_zone, "Of dates that name none; else [site] time_zone")->check(bad_zone);
    command->add_flag("--force", given->force, "Also over posts that were edited in Recto since");
    command->add_flag("--dry-run", given->dry_run, "Writes nothing; prints what would be done");
    command->final_callback([&op, given] { import(op, *given); });
}

}  // namespace recto
