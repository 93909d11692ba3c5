// See show_command.h.
#include "dsl/show_command.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "dsl/build_records.h"
#include "dsl/show_window.h"
#include "schedules/library.h"

namespace emulsion {

namespace {

using Words = std::vector<std::string>;

const Words kStages = {"graph", "optimized", "plan", "choices", "loops",
                       "stmt",  "llvm",      "asm",  "roofline"};
const Words kOptimized = {"optimized", "plan", "choices", "loops", "stmt", "llvm", "asm"};
const Words kPlanned = {"plan", "choices", "loops", "stmt", "llvm", "asm"};
const Words kPlannedOrRoofline = {"plan", "choices", "loops", "stmt", "llvm", "asm", "roofline"};
const Words kOptimizedOrRoofline = {"optimized", "plan", "choices", "loops",
                                    "stmt",      "llvm", "asm",     "roofline"};

// The stages in which an option has a part.
struct Part {
    const char* option;
    const Words& stages;
    bool stands_in_profile = false;
};
const Words kCompiled = {"llvm"}, kRoofline = {"roofline"}, kNone;
const Part kParts[] = {
    {"--output", kNone},
    {"--batch", kOptimized, true},
    {"--infer-batch", kOptimized, true},
    {"--threads", kPlanned, true},
    {"--target", kPlanned, true},
    {"--exact", kOptimizedOrRoofline},
    {"--update", kOptimizedOrRoofline},
    {"--memory-budget", kPlannedOrRoofline},
    {"--records", kPlannedOrRoofline},
    {"--no-records", kPlannedOrRoofline},
    {"--machine", kPlannedOrRoofline},
    {"--jobs", kCompiled},
    {"--no-cache", kCompiled},
    {"--checked", kCompiled},
};

bool contains(const Words& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

void add_show_options(CLI::App* app, CommandLine& line) {
    app->add_option("--emit", line.stage, fmt::format("The stage: {}", fmt::join(kStages, ", ")))
        ->capture_default_str();
    app->add_option("--profile", line.profile,
                    "For roofline: what NET-train --profile=FILE or NET-infer --profile=FILE "
                    "has written");
}

void check_show_options(CLI::App* command, const CommandLine& line) {
    if (!contains(kStages, line.stage)) {
        fail("usage", fmt::format("'{}' is no stage", line.stage),
             fmt::format("choose one of {}", fmt::join(kStages, ", ")));
    }
    const bool is_roofline = line.stage == "roofline";
    if (!is_roofline && !line.profile.empty()) {
        fail("usage", fmt::format("--profile belongs to the stage roofline, not to {}", line.stage),
             "add --emit=roofline, or leave --profile out");
    }
    if (is_roofline && line.profile.empty()) {
        fail("usage", "--emit=roofline needs a profile",
             "write one with NET-train --profile=FILE or NET-infer --profile=FILE, then add "
             "--profile=FILE");
    }
    for (const Part& part : kParts) {
        if (contains(part.stages, line.stage) ||
            command->get_option_no_throw(part.option) == nullptr ||
            command->count(part.option) == 0)
            continue;
        if (is_roofline && part.stands_in_profile)
            fail("usage", fmt::format("{} stands in the profile already", part.option),
                 "leave it out");
        fail("usage", fmt::format("{} has no part in the stage {}", part.option, line.stage),
             "name another stage with --emit, or leave it out");
    }
}

bool has_part(const CommandLine& line, std::string_view option) {
    if (line.command != "show") return true;
    for (const Part& part : kParts) {
        if (part.option == option) return contains(part.stages, line.stage);
    }
    return true;
}

int run_show(const CommandLine& line, const Network& network) {
    if (!line.shown.layer.empty()) return run_show_layer(line, network);
    const BuildRecords records = has_part(line, "--records") ? records_of(line) : BuildRecords();
    BuildOptions options = line.options;
    options.records = records.source.get();
    options.choices = records.source.get();
    options.machine = records.machine;
    const RecipeLibrary recipes = make_library();
    fmt::print("{}", line.stage == "roofline"
                         ? show_roofline(network, recipes, line.profile, options)
                         : show(network, recipes, line.stage, options));
    return 0;
}

}  // namespace emulsion
