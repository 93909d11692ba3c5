// See records_command.h.
#include "dsl/records_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "dsl/build_records.h"
#include "runtime/support/path.h"
#include "schedules/library.h"
#include "schedules/tune/model_fit.h"
#include "schedules/tune/records_lock.h"

namespace emulsion {

namespace {

// The ops of a group's signature: "conv2d+add+relu".
std::string ops_of(const std::string& signature) {
    std::string ops;
    for (size_t place = signature.find(" = "); place != std::string::npos;
         place = signature.find(" = ", place + 3)) {
        const size_t end = signature.find('(', place);
        if (end == std::string::npos) break;
        const std::string op = signature.substr(place + 3, end - place - 3);
        if (op == "input" || op == "scalar" || op == "constant") continue;
        ops += (ops.empty() ? "" : "+") + op;
    }
    return ops;
}

void list(const RecordSet& set) {
    for (const TunedRecord& r : set.records()) {
        if (r.is_choice()) {
            fmt::print("{:.3f}x {:9.1f} us a step  {} threads {}  {}  {}{}  {}\n", r.gain(),
                       r.tuned_us, r.isa, r.threads, to_string(r.machine), r.choice,
                       r.is_locked ? " (locked)" : "", r.signature);
            continue;
        }
        fmt::print("{:.3f}x {:9.1f} us  {}  {} threads {}  {} {}{}  {}\n", r.gain(), r.tuned_us,
                   r.isa, r.threads, to_string(r.machine), r.recipe, to_string(r.tiling),
                   r.is_locked ? " (locked)" : "", ops_of(r.signature));
    }
    fmt::print("{} records\n", set.size());
}

RecordSet read_all(const std::vector<std::string>& files, std::vector<Diagnostic>& faults) {
    RecordSet set;
    for (const std::string& file : files) set.merge(RecordSet::read(file, faults));
    return set;
}

int merge(const CommandLine& line, std::vector<Diagnostic>& faults) {
    const RecordSet others = read_all(line.files, faults);
    const RecordSet set =
        change_records(line.target_file, [&](RecordSet& records) { records.merge(others); });
    fmt::print("{}: {} records\n", line.target_file, set.size());
    return 0;
}

int prune_files(const CommandLine& line) {
    const RecipeLibrary library = make_library();
    for (const std::string& file : line.files) {
        const RecordsLock lock(file);
        std::vector<Diagnostic> faults;
        RecordSet set = RecordSet::read(file, faults);
        if (!faults.empty()) throw Error(faults[0]);
        for (const Diagnostic& dropped : prune(set, library))
            fmt::print("dropped {}:{}: {}\n", dropped.where.file, dropped.where.line,
                       dropped.message);
        set.save(file);
        fmt::print("{}: {} records\n", file, set.size());
    }
    return 0;
}

int export_class(const CommandLine& line, std::vector<Diagnostic>& faults) {
    const RecordSet all = read_all(line.files, faults);
    const MachineClass machine =
        line.machine.empty() ? this_machine() : machine_class_named(line.machine, all.machines());
    RecordSet chosen;
    for (TunedRecord& record : all.records()) {
        if (record.machine == machine) chosen.add(std::move(record));
    }
    if (line.target_file.empty()) {
        fmt::print("{}", print_records(chosen.records()));
    } else {
        chosen.save(line.target_file);
        fmt::print("{}: {} records of {}\n", line.target_file, chosen.size(), to_string(machine));
    }
    return 0;
}

int model(const CommandLine& line) {
    const RecipeLibrary library = make_library();
    const std::vector<MeasuredCost> measured = read_costs(line.files, library);
    const std::vector<ModelRow> rows = check_model(measured, own_costs(measured));
    if (!line.json)
        fmt::print("{:<26}  kernels  candidates  contended  rank correlation  least\n", "recipe");
    for (const ModelRow& row : rows) {
        if (line.json) {
            const nlohmann::ordered_json fields = {
                {"recipe", row.recipe},           {"kernels", row.kernels},
                {"candidates", row.candidates},   {"contended", row.contended},
                {"correlation", row.correlation}, {"least", row.least}};
            fmt::print("{}\n", fields.dump());
        } else {
            fmt::print("{:<26}  {:7}  {:10}  {:9}  {:16.3f}  {:5.2f}\n",
                       row.recipe.empty() ? "all, within a kernel" : row.recipe, row.kernels,
                       row.candidates, row.contended, row.correlation, row.least);
        }
    }
    if (!line.json && rows.empty()) fmt::print("no kernel has three timed candidates\n");
    return 0;
}

void print_fitted(const FittedRow& row, bool as_json) {
    const FittedCosts& costs = row.costs;
    if (as_json) {
        const nlohmann::ordered_json fields = {
            {"recipe", costs.recipe},         {"kernels", costs.kernels},
            {"candidates", costs.candidates}, {"contended", row.contended},
            {"before", costs.before},         {"after", costs.after},
            {"refusal", row.refusal},         {"constants", costs.constants}};
        fmt::print("{}\n", fields.dump());
        return;
    }
    fmt::print("{:<26}  {:7}  {:10}  {:9}  {:6.3f}  {:6.3f}  {}\n", costs.recipe, costs.kernels,
               costs.candidates, row.contended, costs.before, costs.after, row.refusal);
}

// Lines of recipes that get none stay as they are; lines that cannot be used are named and dropped.
int fit(const CommandLine& line) {
    const RecipeLibrary library = make_library();
    const MachineClass machine =
        line.machine.empty() ? this_machine() : parse_machine_class(line.machine);
    const std::string file =
        line.target_file.empty() ? shipped_model_file(machine) : line.target_file;
    std::vector<Diagnostic> faults;
    CostModel model;
    if (is_file(file)) model = CostModel::read(file, library, faults);
    const std::vector<FittedRow> rows = fit_model(read_costs(line.files, library, &machine));
    if (!line.json)
        fmt::print("{:<26}  kernels  candidates  contended  before   after\n", "recipe");
    size_t fitted = 0;
    for (const FittedRow& row : rows) {
        print_fitted(row, line.json);
        if (!row.refusal.empty()) continue;
        model.put(row.costs);
        fitted++;
    }
    if (fitted == 0) {
        fail("model",
             fmt::format("no recipe gets constants from what was measured on {}",
                         to_string(machine)),
             "tune more kernels, while nothing else takes the processors");
    }
    model.save(file);
    for (const Diagnostic& fault : faults)
        fmt::print(stderr, "{}\n  the line is no longer in the file\n", to_string(fault));
    if (!line.json) fmt::print("{}: {} recipes, {} of them fitted\n", file, model.size(), fitted);
    return 0;
}

}  // namespace

void add_records_command(CLI::App& app, CommandLine& line) {
    CLI::App* records = app.add_subcommand("records", "Look at files of tuned records, merge them");
    records->require_subcommand(1);
    records->callback([&line] { line.command = "records"; });
    const auto add = [&](const std::string& name, const std::string& help) {
        CLI::App* action = records->add_subcommand(name, help);
        action->add_option("FILE", line.files, "Files of records")->required();
        action->callback([&line, name] { line.action = name; });
        return action;
    };
    add("list", "A line for each record: gain, time, where it holds, schedule, ops");
    add("show", "The whole text, merged and sorted");
    add("merge",
        "Put the records of the files into one: of two that exclude each other a locked "
        "one stays, else the one that gained more")
        ->add_option("-o,--output", line.target_file, "The file to merge into")
        ->required();
    add("prune", "Remove from the files what this build cannot use or what gains nothing");
    CLI::App* exports = add("export", "The records of one machine class");
    exports->add_option("-o,--output", line.target_file, "The file to write (default: print)");
    CLI::App* check = records->add_subcommand(
        "model", "How well the cost model ranks what a journal has measured, by recipe");
    check->add_option("--journal", line.files, "What tune wrote; may be repeated")
        ->required()
        ->allow_extra_args(false);
    check->add_flag("--json", line.json, "Print a JSON object a line");
    check->add_flag("--fit", line.fits,
                    "Fit the model's constants to it, for the tuner on machines of this class; the "
                    "correlation after that is of kernels that are held back");
    check->add_option("-o,--output", line.target_file,
                      "Of --fit: the file (default: that of the class among the shipped records)");
    check->add_option("--machine", line.machine,
                      "Of --fit: the class (default: that of this machine)");
    check->callback([&line] { line.action = "model"; });
    exports->add_option("--machine", line.machine, "The class (default: that of this machine)");
}

int run_records(const CommandLine& line) {
    std::vector<Diagnostic> faults;
    if (line.action == "list") list(read_all(line.files, faults));
    if (line.action == "show")
        fmt::print("{}", print_records(read_all(line.files, faults).records()));
    if (line.action == "model") return line.fits ? fit(line) : model(line);
    if (line.action == "merge") merge(line, faults);
    if (line.action == "prune") prune_files(line);
    if (line.action == "export") export_class(line, faults);
    print_mistakes(faults);
    return faults.empty() ? 0 : 1;
}

}  // namespace emulsion
