// Which results a kernel may write over an operand.
#pragma once

#include "compiler/plan/grouping.h"

namespace emulsion {

// Whether the group's kernel, by this recipe, may write its result r over operand i, of the same
// type: it reads each element of it before it stores that element, and never again.
bool may_overwrite(const Group& group, const Recipe& recipe, size_t r, size_t i);

// Whether the kernel of a group, by this recipe, may write the graph's updates where the tensors
// lie that it reads.
bool may_update(const Graph& graph, const GroupBody& body, const Recipe& recipe);

// Whether a result of the group may be the update of an operand.
bool may_hold_update(const Group& group);

// Whether one of a group's results may lie where an operand does that is some channels of a larger
// map: both are such channels.
bool may_lie_over_part(const Group& group);

}  // namespace emulsion
