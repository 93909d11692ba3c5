// compile(): the main function of a model program.
#include <filesystem>

#include "dsl/command_line.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "dsl/model_program.h"
#include "dsl/model_state.h"
#include "dsl/run_main.h"

namespace emulsion {

int compile(const Model& model, int argc, char** argv) {
    report_compile_called();
    std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "model";
    return run_main(program, [&] {
        ParsedCommandLine parsed = parse_command_line(program, /*reads_file=*/false, argc, argv);
        if (!parsed.line) return parsed.exit_code;
        FinishedModel finished = finish(model);
        if (finished.network) return run_command(*parsed.line, *finished.network);
        print_mistakes(finished.mistakes);
        return 1;
    });
}

}  // namespace emulsion
