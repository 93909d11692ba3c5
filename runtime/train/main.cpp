// What NET-train's main calls: libraries that belong together, options, a run.
#include "runtime/abi/program.h"
#include "runtime/support/text.h"
#include "runtime/train/program.h"

namespace emulsion {

namespace {

// Both libraries must be of one build of one network.
void check_libraries(const emulsion_info& train, const emulsion_info& infer) {
    const bool are_equal = std::string_view(train.signature) == infer.signature;
    if (are_equal && train.abi_version == EMULSION_ABI_VERSION) return;
    throw RuntimeError(
        train.network,
        concat("training library ", train.signature, " (interface ", train.abi_version,
               "), inference library ", infer.signature, " (interface ", infer.abi_version,
               "), program interface ", EMULSION_ABI_VERSION),
        "link the libraries and the program of one build");
}

int run_train(int argc, const char* const* argv, const emulsion_train_library& train,
              const emulsion_infer_library& infer, const char* description) {
    check_libraries(*train.info(), *infer.info());
    const NetworkDescription network = parse_description(description);
    TrainOptions options;
    if (parse_train_options(argc, argv, train, network, &options) == CommandLineResult::kShown) {
        return kExitDone;
    }
    return TrainProgram(train, infer, network, options).run();
}

}  // namespace

}  // namespace emulsion

int emulsion_train_main(int argc, char** argv, const emulsion_train_library* train,
                        const emulsion_infer_library* infer, const char* description) {
    return emulsion::guard_main(
        [&] { return emulsion::run_train(argc, argv, *train, *infer, description); });
}
