// The program `emulsion`: compiles a model file, or reads a .emu file, and does what the command
// line says.
#include <filesystem>

#include "dsl/build_records.h"
#include "dsl/command_line.h"
#include "dsl/machine_command.h"
#include "dsl/model_program.h"
#include "dsl/ops_command.h"
#include "dsl/records_command.h"
#include "dsl/run_main.h"
#include "dsl/show_window.h"
#include "dsl/sweep_command.h"

namespace {

int run(int argc, char** argv) {
    using namespace emulsion;
    ParsedCommandLine parsed = parse_command_line("emulsion", /*reads_file=*/true, argc, argv);
    if (!parsed.line) return parsed.exit_code;
    CommandLine& line = *parsed.line;
    if (line.command == "records") return run_records(line);
    if (line.command == "ops") return run_ops(line);
    if (line.command == "machine") return run_machine(line);
    if (line.command == "show" && is_drawn_layer(line)) return run_show_described(line);
    if (line.command == "sweep") return run_sweep(line);
    add_files_beside_model(line);
    if (std::filesystem::path(line.file).extension() != ".emu") return run_model_file(line);
    line.dependencies = {line.file};
    return run_command(line, read_network(line.file));
}

}  // namespace

int main(int argc, char** argv) {
    return emulsion::run_main("emulsion", [&] { return run(argc, argv); });
}
