// Store or recompute: which nodes every reader computes for itself.
#pragma once

#include <string>
#include <vector>

#include "compiler/plan/grouping.h"

namespace emulsion {

// True for nodes that are never stored, `joined` ones left out; each decision in words is added to
// `decisions`.
std::vector<bool> choose_recomputed(const Graph& graph, const PlanOptions& options, int batch,
                                    const std::vector<bool>& joined,
                                    std::vector<std::string>& decisions);

}  // namespace emulsion
