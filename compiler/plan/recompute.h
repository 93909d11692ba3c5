// Store or recompute: which nodes every reader computes for itself.
#pragma once

#include <string>
#include <vector>

#include "compiler/plan/grouping.h"

namespace emulsion {

// True for nodes that are never stored, `joined` ones left out; what records say comes first. Each
// decision is kept in `choices`, and added to `decisions` in words.
std::vector<bool> choose_recomputed(const Graph& graph, const PlanOptions& options, int batch,
                                    const std::vector<bool>& joined, Choices& choices,
                                    std::vector<std::string>& decisions);

}  // namespace emulsion
