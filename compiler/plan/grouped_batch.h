// What the parts of the planner share.
#pragma once

#include <map>
#include <vector>

#include "compiler/plan/grouping.h"

namespace emulsion {

struct Place {
    MemoryClass memory = MemoryClass::workspace;
    int64_t offset = 0;
    int64_t pitch = 0;  // PlannedBuffer::pitch
};

// The groups of one compiled batch, in order, and their bodies.
struct GroupedBatch {
    const Graph& graph;
    int batch = 1;
    Grouping grouping;
    std::vector<GroupBody> bodies;
    std::map<Value, Place> fixed;      // values with a place of their own
    std::map<Value, int> definitions;  // of values, by PreparedWeights

    Stage stage(size_t group) const { return grouping.groups[group].stage; }
};

}  // namespace emulsion
