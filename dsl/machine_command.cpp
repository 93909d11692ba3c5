// See machine_command.h.
#include "dsl/machine_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "compiler/codegen/cache.h"
#include "compiler/support/diagnostic.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"
#include "schedules/tune/measured_machine.h"

namespace emulsion {

namespace {

// Empty where the user has no place for caches.
std::string kept_file() {
    const std::string folder = KernelCache().folder();
    return folder.empty() ? "" : folder + "/machines/" + to_string(this_machine()) + ".json";
}

std::optional<MeasuredMachine> find_kept(const std::string& file) {
    std::error_code error;
    if (file.empty() || !std::filesystem::exists(file, error)) return std::nullopt;
    try {
        const MeasuredMachine kept = read_machine_file(file);
        if (kept.machine_class == this_machine()) return kept;
        fmt::print(stderr, "note: '{}' is of another machine: measured anew\n", file);
    } catch (const Error& fault) {
        fmt::print(stderr, "note: {}: measured anew\n", fault.diagnostic().message);
    }
    return std::nullopt;
}

// Whether the file is there afterwards.
bool keep(const std::string& file, const MeasuredMachine& machine) {
    if (file.empty()) {
        fmt::print(stderr, "note: not kept: neither XDG_CACHE_HOME nor HOME names a folder\n");
        return false;
    }
    try {
        make_folder(folder_of(file));
        write_file(file, to_json(machine));
        return true;
    } catch (const RuntimeError& problem) {
        fmt::print(stderr, "note: not kept: '{}': {}\n", problem.where(), problem.problem());
        return false;
    }
}

void print_text(const MeasuredMachine& machine) {
    fmt::print("{}\n", to_string(machine.machine_class));
    if (machine.machine_class.l2_kib > 0)
        fmt::print("second cache    {} KiB\n", machine.machine_class.l2_kib);
    fmt::print("multiply-adds   {:.1f} GFLOP/s a core, all at work\n", machine.fma_gflops);
    fmt::print("memory          {:.1f} GB/s read by a core, all at work\n", machine.bandwidth_gbs);
}

}  // namespace

void add_machine_command(CLI::App& app, CommandLine& line) {
    CLI::App* machine = app.add_subcommand(
        "machine", "What this machine does at most, measured once; --machine plans for its file");
    machine->add_flag("--measure", line.measure, "Measure anew");
    machine->add_flag("--json", line.json, "Print the file that --machine takes");
    machine->callback([&line] { line.command = "machine"; });
}

int run_machine(const CommandLine& line) {
    const std::string file = kept_file();
    std::optional<MeasuredMachine> machine;
    if (!line.measure) machine = find_kept(file);
    const bool was_kept = machine.has_value();
    if (!was_kept) machine = measure_this_machine();
    const bool is_kept = was_kept || keep(file, *machine);
    if (line.json) {
        fmt::print("{}", to_json(*machine));
        return 0;
    }
    print_text(*machine);
    if (is_kept) fmt::print("kept in {}\n", file);
    return 0;
}

}  // namespace emulsion
