// The program `emulsion`: compiles a model file, or reads a .emu file, and does what the command
// line says.
#include <cstdio>
#include <exception>
#include <filesystem>

#include "compiler/support/diagnostic.h"
#include "dsl/command_line.h"
#include "dsl/model_program.h"

namespace {

int run(int argc, char** argv) {
    using namespace emulsion;
    ParsedCommandLine parsed = parse_command_line("emulsion", /*reads_file=*/true, argc, argv);
    if (!parsed.line) return parsed.exit_code;
    const CommandLine& line = *parsed.line;
    if (std::filesystem::path(line.file).extension() == ".emu")
        return run_command(line, read_network(line.file));
    return run_model_file(line.file, to_arguments(line));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const emulsion::Error& error) {
        fmt::print(stderr, "emulsion: {}\n", error.what());
    } catch (const std::exception& error) {
        fmt::print(stderr,
                   "emulsion: error[system]: {}\n  fix: free memory or disk space and try again\n",
                   error.what());
    }
    return 1;
}
