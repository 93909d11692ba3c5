// Fits the workspace of a training step into a budget: which wholes of the forward pass are kept
// for the backward one, and which are made again (plan/rerun.h).
#pragma once

#include <vector>

#include "compiler/plan/workspace.h"

namespace emulsion {

// The order of runs that costs the fewest seconds more, of those found that need at most `bytes`;
// where none does, the one that needs the fewest bytes. `seconds` has what a run of each group
// takes. The same arguments give the same order, and the fewest bytes are always reached when they
// are asked for.
RunOrder order_within(const GroupedBatch& grouped, const Workspace& workspace,
                      const std::vector<double>& seconds, int64_t alignment, int64_t bytes);

}  // namespace emulsion
