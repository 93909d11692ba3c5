// compile(): the main function of a model program.
#include <cstdio>
#include <filesystem>

#include "compiler/support/diagnostic.h"
#include "dsl/command_line.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "dsl/model_state.h"

namespace emulsion {

int compile(const Model& model, int argc, char** argv) {
    std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "model";
    try {
        ParsedCommandLine parsed = parse_command_line(program, /*reads_file=*/false, argc, argv);
        if (!parsed.line) return parsed.exit_code;
        FinishedModel finished = finish(model);
        if (finished.network) return run_command(*parsed.line, *finished.network);
        print_mistakes(finished.mistakes);
    } catch (const Error& error) {
        fmt::print(stderr, "{}: {}\n", program, error.what());
    } catch (const std::exception& error) {
        fmt::print(stderr,
                   "{}: error[system]: {}\n  fix: free memory or disk space and try again\n",
                   program, error.what());
    }
    return 1;
}

}  // namespace emulsion
