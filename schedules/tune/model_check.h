// How well a cost model ranks what journals have measured.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compiler/recipe/recipe.h"
#include "schedules/tune/machine_class.h"

namespace emulsion {

// A timed candidate of a kernel, as the cost model sees it.
struct MeasuredCost {
    size_t kernel = 0;  // one number for those of one group, build, class, instruction set, threads
    const Recipe* recipe = nullptr;
    std::shared_ptr<const Group> group;
    Tiling tiling;
    const Isa* isa = nullptr;
    Machine machine;
    double us = 0;
    bool is_contended = false;
};

// Of all that the journals have measured on machines of the class, or of any, what this build
// knows. Throws Error[journal].
std::vector<MeasuredCost> read_costs(const std::vector<std::string>& journals,
                                     const RecipeLibrary& library,
                                     const MachineClass* machine = nullptr);

struct ModelRow {
    std::string recipe;  // empty: the candidates of all recipes together
    int kernels = 0;     // with three or more timed candidates of the recipe
    int candidates = 0;
    int contended = 0;  // of them timed beside other work
    // Spearman's rank correlation of the model's cost and the time among the candidates of one
    // kernel: the mean over the kernels, each as often as it has candidates, and the least.
    double correlation = 0, least = 0;
};

// A row for each recipe, by name, the last for all together; `model[i]` is the cost of measured[i].
std::vector<ModelRow> check_model(const std::vector<MeasuredCost>& measured,
                                  const std::vector<double>& model);
// The costs by the recipes themselves.
std::vector<double> own_costs(const std::vector<MeasuredCost>& measured);

}  // namespace emulsion
