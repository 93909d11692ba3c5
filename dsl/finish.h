// From what the user's program wrote to the network the compiler takes.
#pragma once

#include <optional>
#include <vector>

#include "compiler/graph/network.h"
#include "dsl/emulsion.h"

namespace emulsion {

struct FinishedModel {
    std::optional<Network> network;  // empty where there are mistakes
    std::vector<Diagnostic>
        mistakes;  // in the order of the program, then those of the model as a whole
};

// Adds up the losses, applies freezing and decay patterns, drops what neither loss nor output
// needs, and checks the whole. The model itself stays as it is.
FinishedModel finish(const Model& model);

}  // namespace emulsion
