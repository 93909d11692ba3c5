// Gives a batch norm whose gamma and beta are both frozen its inference form in training too: one
// scale and shift by the running statistics, which then stay as they are. So a frozen layer
// computes in training what it computes in inference, costs no statistics, and lets no gradient
// work through where nothing below it is trained.
//
// Dropout is no weight: it drops in a frozen layer as in any other.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

class Rewriter;

Graph freeze_batch_norm(const Graph& graph);

// Adds batch_norm_fold for the batch_norm node `index` of the old graph: its scale; its shift is
// output 1 of the same node.
Value add_running_scale(Rewriter& rewriter, int index);

}  // namespace emulsion
