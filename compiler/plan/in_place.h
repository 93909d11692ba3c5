// Which results a kernel may write over an operand.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

// Whether the group's kernel, by this recipe, may write its result r over operand i, of the same
// type: it reads each element of it before it stores that element, and never again.
bool may_overwrite(const Group& group, const Recipe& recipe, size_t r, size_t i);

}  // namespace emulsion
