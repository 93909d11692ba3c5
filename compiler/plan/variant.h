// Plans one instruction set: groups, recipes, buffers, calls and offsets.
#pragma once

#include "compiler/plan/plan.h"

namespace emulsion {

// `plan` holds the tensors and ports already; `graphs` has one graph for each of the options'
// batches.
VariantPlan plan_variant(const std::vector<Graph>& graphs, const Plan& plan,
                         const RecipeLibrary& library, const PlanOptions& options, const Isa& isa);

}  // namespace emulsion
