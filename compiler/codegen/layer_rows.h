// The layers of a network, one row each: what `summary` prints, and what the trainer's report
// shows.
#pragma once

#include <string>
#include <vector>

#include "compiler/graph/network.h"
#include "compiler/ops/window.h"

namespace emulsion {

// One layer: the nodes that share its name, parameters and states included.
struct LayerRow {
    std::string name;
    std::vector<std::string> inputs = {};  // layers whose values it reads, in order
    std::string op;  // of the node that does its work, "conv2d", or what users call all its nodes
    TensorType output;          // of its last node that another layer, the loss or an output reads
    int64_t parameters = 0;     // trained or frozen values
    int64_t multiply_adds = 0;  // of one sample
    std::vector<ReceptiveField> fields;  // of each axis of positions
    int64_t bytes = 0;                   // of all values the layer computes, for one sample
};

// Of a node, for one sample; of a convolution with a table of connections, those of its pairs.
int64_t multiply_adds(const Graph& graph, int index);

// Layers in the order of the graph, inputs first; losses and what only they need are left out.
std::vector<LayerRow> layer_rows(const Network& network);

}  // namespace emulsion
