// Whether two kernels computed the same, up to rounding.
#pragma once

#include <string>
#include <vector>

#include "compiler/recipe/group.h"
#include "schedules/tune/guarded_block.h"

namespace emulsion {

// Why `actual` are not the results `expected` of the group, in words; empty where they are. Numbers
// may differ by `tolerance` times the largest of their tensor, and are no numbers where the
// expected ones are none; winners of windows may differ where two values are equal up to rounding,
// which is at most one in a hundred.
std::string difference(const Group& group, const std::vector<GuardedBlock>& actual,
                       const std::vector<GuardedBlock>& expected, double tolerance);

}  // namespace emulsion
