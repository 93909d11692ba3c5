// Plans one instruction set: groups, recipes, buffers, calls and offsets.
#pragma once

#include "compiler/plan/plan.h"

namespace emulsion {

// `plan` holds the tensors and ports already.
VariantPlan plan_variant(const Graph& graph, const Plan& plan, const RecipeLibrary& library,
                         const PlanOptions& options, const Isa& isa);

}  // namespace emulsion
