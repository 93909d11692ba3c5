// Operands that an op takes: of an op's rule of shapes nothing is known but what it refuses, so
// some are tried.
#pragma once

#include <string_view>
#include <vector>

#include "compiler/recipe/recipe.h"

namespace emulsion {

// Groups of the op alone, as the plan forms them, of small shapes: one with its default attributes
// where it takes any operands then, else with some in their place, and one more of 16 groups where
// it has groups. Empty where nothing tried is taken.
std::vector<Group> samples_of_op(std::string_view kind);

// The names of the recipes that run one of these groups, of processors or of devices, in the
// library's order; a last resort only where it is all there is.
std::vector<std::string_view> recipes_for(const std::vector<Group>& groups,
                                          const RecipeLibrary& library, bool for_devices);

}  // namespace emulsion
