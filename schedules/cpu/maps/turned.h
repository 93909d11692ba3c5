// Schedules of pointwise groups whose results lie in another order than what they read: they are
// walked so that a line of memory is used up while it is near.
#pragma once

#include <Halide.h>

#include "compiler/recipe/group.h"

namespace emulsion {

// Schedules `func`, the only result of the group, in tasks of about `task_elements`. False, with
// nothing done, where the group has no order that it knows a walk for.
bool schedule_turned(Halide::Func func, const Group& group, int task_elements);

}  // namespace emulsion
