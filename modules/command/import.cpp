#include "blog/import.hpp"

#include <cstdio>

#include "command/commands.hpp"

namespace recto {
namespace {

bool is_empty(const ImportReport& report) {
    return report.added + report.updated + report.unchanged == 0 && report.left.empty() && report.problems.empty();
}

void print(const ImportReport& report) {
    for (const auto& problem : report.problems) std::fprintf(stderr, "%s\n", problem.c_str());
    for (const auto& file : report.left)
        std::fprintf(stderr, "%s: edited in Recto since; left as it is (--force takes the file)\n", file.c_str());
    std::printf("added %d, updated %d, unchanged %d, left %zu, not read %zu\n", report.added, report.updated, report.unchanged,
                report.left.size(), report.problems.size());
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
