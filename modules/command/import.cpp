#include "blog/import.hpp"

#include "command/commands.hpp"
#include "command/output.hpp"

namespace recto {
namespace {

bool is_empty(const ImportReport& report) {
    return report.added + report.updated + report.unchanged == 0 && report.left.empty() && report.problems.empty();
}

void print(const ImportReport& report) {
    for (const auto& problem : report.problems) complain(problem);
    for (const auto& file : report.left) complain(file + ": edited in Recto since; left as it is (--force takes the file)");
    print_line("added " + std::to_string(report.added) + ", updated " + std::to_string(report.updated) + ", unchanged " +
               std::to_string(report.unchanged) + ", left " + std::to_string(report.left.size()) + ", not read " +
               std::to_string(report.problems.size()));
}

}  // namespace

void add_import(CLI::App& program, Operator& op) {
    auto* const command =
        program.add_subcommand("import", "Takes in a folder of Markdown files with YAML front matter; again changes nothing");
    auto* const folder = command->add_option("DIR", "The folder")->required()->check(bad_path);
    const auto force = std::make_shared<bool>(false);
    command->add_flag("--force", *force, "Also over posts that were edited in Recto since");
    command->final_callback([&op, folder, force] {
        const auto report = import_folder(op.site().store, folder->as<std::string>(), *force, time_now());
        if (is_empty(report)) fail("no file in " + folder->as<std::string>() + " ends in .md or .markdown");
        log_event("post.import", {{"added", report.added}, {"updated", report.updated}, {"problems", report.problems.size()}});
        print(report);
        if (!report.problems.empty()) throw Stop{ExitCode::failed};
    });
}

}  // namespace recto
