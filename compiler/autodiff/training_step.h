// The training step of a network as one graph: forward, loss, backward, statistics, update.
#pragma once

#include "compiler/graph/network.h"

namespace emulsion {

// Results: outputs "loss" and the measures beside it; a gradient for each trained
// parameter; updates of parameters, optimiser state and running statistics. Frozen parameters get
// neither gradient nor state, and cost no backward work; a batch norm whose weights are both frozen
// keeps its running statistics and normalises by them.
Graph training_step(const Network& network);

}  // namespace emulsion
