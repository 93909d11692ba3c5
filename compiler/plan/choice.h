// Which recipe runs a group: the one answer that grouping and the plan's kernels share.
#pragma once

#include <limits>

#include "compiler/plan/plan.h"

namespace emulsion {

struct Choice {
    const Recipe* recipe = nullptr;  // null where none can run the group
    Tiling tiling;
    double cost = std::numeric_limits<double>::infinity();  // seconds
    // Whether only a recipe that runs anything runs it (Recipe::is_last_resort).
    bool is_last_resort() const { return recipe != nullptr && recipe->is_last_resort(); }
};

// The cheapest recipe of the library that can run the group on `isa`, at its default tiling.
Choice choose_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa,
                     const PlanOptions& options);

}  // namespace emulsion
