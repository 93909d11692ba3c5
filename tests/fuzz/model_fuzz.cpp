// .emu files: the text, the checks of a whole network, and its training and inference forms. What
// is accepted prints and parses to itself.
#include "compiler/autodiff/training_step.h"
#include "compiler/graph/network.h"
#include "compiler/passes/expand_batch_norm.h"
#include "compiler/passes/inference_form.h"
#include "compiler/passes/pool_first.h"
#include "compiler/passes/simplify.h"
#include "tests/fuzz/fuzz_support.h"

using namespace emulsion;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text = fuzz::text_of({data, size});
    fuzz::read([&] {
        const Network network = parse_network(text, "fuzz.emu");
        const std::string printed = print(network);
        fuzz::require(print(parse_network(printed, "printed.emu")) == printed,
                      "the printed network parses to another one");
        verify_network(network);
        verify(simplify(expand_batch_norm(training_step(network))));
        verify(simplify(inference_form(network)));
        verify(pool_first(network.graph));
    });
    return 0;
}
