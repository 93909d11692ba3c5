// Which recipe runs a group: what grouping asks, and how the kernels of the groups then run.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "compiler/plan/plan.h"

namespace emulsion {

struct Choice {
    const Recipe* recipe = nullptr;  // null where none can run the group
    Tiling tiling;
    double cost = std::numeric_limits<double>::infinity();  // seconds, by the model; 0 of records
    std::string record;  // the origin of the record that decided, "" where the model did
    // Whether only a recipe that runs anything runs it (Recipe::is_last_resort).
    bool is_last_resort() const {
        return recipe != nullptr && recipe->is_last_resort() && record.empty();
    }
};

// The cheapest recipe of the library that can run the group on `isa`, at its default tiling.
Choice cheapest_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa,
                       const PlanOptions& options);

// What the group's record says (recipe/records.h), else the cheapest recipe. Adds a sentence to
// `notes` for each record that is left out.
Choice choose_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa,
                     const PlanOptions& options, std::vector<std::string>& notes);

}  // namespace emulsion
