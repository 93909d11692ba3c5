// How well the cost model ranks what a journal has measured.
#pragma once

#include <string>
#include <vector>

#include "compiler/recipe/recipe.h"

namespace emulsion {

struct ModelRow {
    std::string recipe;  // empty: the candidates of all recipes together
    int kernels = 0;     // with three or more timed candidates of the recipe
    int candidates = 0;
    int contended = 0;  // of them timed beside other work
    // Spearman's rank correlation of the model's cost and the time among the candidates of one
    // kernel: the mean over the kernels, each as often as it has candidates, and the least.
    double correlation = 0, least = 0;
};

// A row for each recipe, by name, the last for all together. Candidates that this build does not
// know are left out. Throws Error[journal].
std::vector<ModelRow> check_model(const std::string& journal, const RecipeLibrary& library);

}  // namespace emulsion
