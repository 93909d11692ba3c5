// compile(): the main function of a model program.
#include <filesystem>

#include "dsl/command_line.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "dsl/model_program.h"
#include "dsl/model_state.h"
#include "dsl/run_main.h"
#include "dsl/settings_state.h"

namespace emulsion {

namespace {

int compile_with(const Model& model, const internal::SettingsState& settings) {
    report_compile_called();
    const int argc = settings.argc;
    std::string program =
        argc > 0 ? std::filesystem::path(settings.argv[0]).filename().string() : "model";
    return run_main(program, [&] {
        ParsedCommandLine parsed =
            parse_command_line(program, /*reads_file=*/false, argc, settings.argv);
        if (!parsed.line) return parsed.exit_code;
        FinishedModel finished = finish(model);
        std::vector<Diagnostic> mistakes = mistakes_of(settings);
        mistakes.insert(mistakes.end(), finished.mistakes.begin(), finished.mistakes.end());
        if (!mistakes.empty()) {
            print_mistakes(mistakes);
            return 1;
        }
        parsed.line->settings = settings_text(settings);
        return run_command(*parsed.line, *finished.network);
    });
}

}  // namespace

int compile(const Model& model, int argc, char** argv) {
    return compile_with(model, Settings(argc, argv).state());
}

int compile(const Model& model, const Settings& settings) {
    return compile_with(model, settings.state());
}

}  // namespace emulsion
