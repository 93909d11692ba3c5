// The schedule library: every recipe that the compiler may choose from.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

// In order of preference at equal cost.
RecipeLibrary make_library();

}  // namespace emulsion
