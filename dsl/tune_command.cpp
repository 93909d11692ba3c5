// See tune_command.h.
#include "dsl/tune_command.h"

#include <CLI/CLI.hpp>
#include <cmath>

#include "dsl/build_records.h"
#include "dsl/tune_live.h"
#include "dsl/tune_page.h"
#include "dsl/tune_words.h"
#include "runtime/abi/instance.h"
#include "runtime/support/machine_speed.h"
#include "schedules/library.h"
#include "schedules/tune/cpu_workbench.h"
#include "schedules/tune/measured_machine.h"

namespace emulsion {

namespace {

constexpr double kDefaultMinutes = 10;
constexpr double kMostMinutes = 60.0 * 24 * 365;
constexpr int kMostTrials = 1'000'000'000;

Isa isa_to_tune(const BuildOptions& options) {
    const std::string& target = options.target;
    if (!options.devices.empty()) {
        fail("usage",
             fmt::format("--target names {}, but kernels of devices are not tuned yet",
                         options.devices[0]),
             fmt::format("write --target {}", target));
    }
    if (target == "portable") {
        fail("usage", "--target is portable, but one instruction set is tuned at a time",
             "choose one of native, x86-64, avx2, avx512");
    }
    const Isa& isa = target == "native" ? native_isa() : isa_named(target);
    if (can_run(isa.name)) return isa;
    fail("isa", fmt::format("this processor does not run {}, so nothing can be measured", isa.name),
         "tune on a machine that runs it, or choose --target native");
}

}  // namespace

void add_tune_options(CLI::App* command, CommandLine& line) {
    command->add_option("--minutes", line.tune.minutes,
                        "Minutes of measuring, with those of earlier runs on the journal (default: "
                        "10, or without end with --trials)");
    command->add_option("--trials", line.tune.trials,
                        "Candidates to measure, with those of earlier runs on the journal");
    command->add_option("--journal", line.tune.journal,
                        "Every measurement, to go on from (default: the model's name with "
                        ".journal)");
    command->add_option("--seed", line.tune.seed, "Of the order in which candidates are drawn")
        ->capture_default_str();
    command
        ->add_option_function<std::string>(
            "--mode", [&line](const std::string& word) { line.tune.training = word == "train"; },
            "Tune the kernels of one direction alone: train or infer (default: both)")
        ->check(CLI::IsMember({"train", "infer"}));
    command->add_option("--kernel", line.tune.only,
                        "Only the kernel of this name, else those whose names contain it, such as "
                        "conv2.dw");
    command->add_flag_callback(
        "--no-choices", [&line] { line.tune.choices = false; },
        "Tune kernels alone: what is above them, such as Winograd or fusion, stays as it is");
    command->add_flag(
        "--no-model", line.no_model,
        "Rank candidates by the recipes' own constants, not by those that were fitted "
        "on this class of machines (schedules/tuned/CLASS.model)");
    command->add_flag("--draw", line.tune.draws,
                      "Draw candidates at random alone, to compare the search with");
    command->add_option("--report", line.report,
                        "Write what was found as one page of HTML to this file");
    command->add_flag("--json", line.json, "Print a JSON object a line");
}

void check_tune_options(CLI::App* command, CommandLine& line) {
    TuneOptions& tune = line.tune;
    if (command->count("--minutes") > 0 &&
        !(tune.minutes > 0 && std::isfinite(tune.minutes) && tune.minutes <= kMostMinutes)) {
        fail("usage",
             fmt::format("--minutes is {}, but a tuner needs time to measure", tune.minutes),
             "give it some minutes, such as --minutes 10, or leave the option out");
    }
    if (command->count("--trials") > 0 && (tune.trials < 1 || tune.trials > kMostTrials)) {
        fail("usage", fmt::format("--trials is {}, but must be 1 to {}", tune.trials, kMostTrials),
             "give the number of candidates to measure, or leave the option out");
    }
    if (command->count("--minutes") == 0 && command->count("--trials") == 0)
        tune.minutes = kDefaultMinutes;
    const std::string record = line.records.empty() ? "" : line.records[0];
    for (const std::string& file : {line.file, tune.journal, record}) {
        if (line.report.empty() || file != line.report) continue;
        fail("usage", fmt::format("--report names '{}', which the run reads", file),
             "name a file of its own");
    }
    if (line.records.size() > 1) {
        fail("usage",
             fmt::format("--records names {} files, but tune writes one", line.records.size()),
             "tune with one of them; `emulsion records merge` puts files together");
    }
}

int run_tune(const CommandLine& line, const Network& network) {
    const Isa isa = isa_to_tune(line.options);
    TuneOptions tune = line.tune;
    tune.records = line.records.empty() ? network.name + ".records" : line.records[0];
    if (tune.journal.empty()) tune.journal = network.name + ".journal";
    std::vector<Diagnostic> faults;
    const RecipeLibrary recipes = make_library();
    if (!line.no_records) tune.known = shipped_records(faults).set;
    if (!line.no_model) tune.model = shipped_model(this_machine(), recipes, faults);
    print_mistakes(faults);
    const int processors = emulsion_cpu_count();
    tune.threads = line.options.threads > 0 ? line.options.threads : processors;
    CpuWorkbenchOptions bench;
    bench.threads = tune.threads;
    bench.jobs = line.options.jobs > 0 ? line.options.jobs : processors;
    bench.seed = tune.seed;
    CpuWorkbench workbench(recipes, isa, bench);
    const MachineSpeed machine = measure_speed(isa, tune.threads);
    std::unique_ptr<TuneReport> report = make_tune_report(line.json, machine);
    if (!line.json && shows_live()) report = make_live_report(std::move(report));
    if (!line.report.empty()) report = with_page(std::move(report), line.report, recipes, machine);
    BuildOptions build = line.options;
    build.machine = to_plan_for(this_machine());
    emulsion::tune(network, recipes, build, tune, workbench, *report);
    return 0;
}

}  // namespace emulsion
