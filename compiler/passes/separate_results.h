// Gives every result a computed value of its own: where one value is handed out twice (two biases
// of one sum have the same gradient), or a source as it is, a copy is added. The plan can then give
// each result its own memory.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph separate_results(const Graph& graph);

}  // namespace emulsion
