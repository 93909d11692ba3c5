// Ops that no other test of this folder names, by the first recipe of processors that takes them,
// on a small sample of their operands: equal to the reference, with the same bits on all
// instruction sets.
#include <gtest/gtest.h>

#include "compiler/support/synonyms.h"
#include "dsl/op_sample.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

constexpr std::string_view kNamedNowhere =
    "absolute_error_backward add_map channel_shuffle clip_backward crop crop_backward "
    "depth_to_space flip fold_frames fold_frames_backward hinge_backward huber_backward "
    "local_dense local_dense_backward_data "
    "local_dense_backward_weights max_pool_winners maximum_backward pad pad_backward "
    "prelu_backward resize resize_backward slice slice_backward space_to_depth transpose";

TEST(OtherOps, RunByTheirFirstRecipe) {
    const RecipeLibrary library = make_library();
    for (std::string_view kind : words_of(kNamedNowhere)) {
        SCOPED_TRACE(kind);
        const std::vector<Group> groups = samples_of_op(kind);
        ASSERT_FALSE(groups.empty());
        const std::vector<std::string_view> recipes =
            recipes_for({groups[0]}, library, /*for_devices=*/false);
        ASSERT_FALSE(recipes.empty());
        const Graph& body = groups[0].body;
        RecipeCheck check;
        check.all_tilings = false;
        for (const Node& node : body.nodes()) {
            if (node.op->op_class() != OpClass::source) continue;
            const bool is_number = node.types[0].element == ElementType::f32;
            check.fills[node.name] = is_number ? Fill::positive : Fill::labels;
        }
        check_recipe(std::string(recipes[0]), groups[0], check);
    }
}

}  // namespace
}  // namespace emulsion::test
