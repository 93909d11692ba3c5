// The cheapest recipe by the cost model.
#include "compiler/plan/choice.h"

namespace emulsion {

Choice choose_recipe(const RecipeLibrary& library, const Group& group, const Isa& isa,
                     const PlanOptions& options) {
    // One judge for all instruction sets: variants of a network then run the same recipes, so
    // their bits agree.
    const Isa& judge = isa_avx512();
    Choice best;
    for (const auto& recipe : library) {
        if (!can_run(*recipe, group, isa, options.exact)) continue;
        if (!recipe->applies(group, judge)) continue;
        const std::vector<Tiling> tilings = recipe->tilings(group, isa);
        EMU_CHECK(!tilings.empty(), "recipe {} has no tiling for {}", recipe->name(),
                  group.signature());
        const double cost =
            recipe->cost(group, recipe->tilings(group, judge)[0], judge, options.machine);
        if (cost < best.cost) best = {recipe.get(), tilings[0], cost};
    }
    return best;
}

}  // namespace emulsion
