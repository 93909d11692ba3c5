// Store or recompute: which nodes every reader computes for itself.
#pragma once

#include <string>
#include <vector>

#include "compiler/plan/grouping.h"

namespace emulsion {

// True for nodes that are never stored; each decision in words is added to `decisions`.
std::vector<bool> choose_recomputed(const Graph& graph, const PlanOptions& options, int batch,
                                    std::vector<std::string>& decisions);

}  // namespace emulsion
