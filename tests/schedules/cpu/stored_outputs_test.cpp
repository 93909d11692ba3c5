// Every recipe of an anchor with several outputs, with each subset of them stored: what only the
// others need is no part of the kernel.
#include <gtest/gtest.h>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "schedules/library.h"
#include "tests/schedules/cpu/winograd/winograd_support.h"

namespace emulsion::test {
namespace {

// The body of a group; returns its node with several outputs.
using Body = std::function<Value(GraphBuilder&)>;

// The group that stores, of the outputs of the node that `body` returns, those of the bits of
// `subset`, and before them the node's first operand where `stores_map` says so.
Group storing(int batch, unsigned subset, const Body& body, bool stores_map = false) {
    return make_group(batch, [&](GraphBuilder& b) {
        const Value node = body(b);
        std::vector<Value> results;
        if (stores_map) results.push_back(b.graph().node(node.node).inputs[0]);
        for (int k = 0; k < 8; k++) {
            if ((subset >> k) % 2 == 1) results.push_back({node.node, k});
        }
        return results;
    });
}

// Runs every subset of `outputs` outputs by every recipe of the library that can; returns how many
// kernels that were.
int check_subsets(int batch, int outputs, const Body& body, const RecipeCheck& check) {
    static const RecipeLibrary library = make_library();
    int count = 0;
    for (unsigned subset = 1; subset < 1U << outputs; subset++) {
        const Group group = storing(batch, subset, body);
        for (const auto& recipe : library) {
            if (!can_run(*recipe, group, *runnable_isas().back(), true)) continue;
            check_recipe(std::string(recipe->name()), group, check);
            count++;
        }
    }
    return count;
}

Body op_on(std::shared_ptr<const Op> op, std::vector<TensorType> types) {
    return [op, types](GraphBuilder& b) {
        std::vector<Value> operands;
        for (size_t i = 0; i < types.size(); i++)
            operands.push_back(add_operand(b, fmt::format("a{}", i), types[i]));
        return b.add(op, operands, "v0");
    };
}

RecipeCheck quick() {
    RecipeCheck check;
    check.tolerance = 2e-5;
    check.all_isas = check.all_tilings = false;
    return check;
}

TEST(StoredOutputs, SoftmaxCrossEntropy) {
    const TensorType labels = batched_type({}, ElementType::i32);
    for (int64_t classes : {10, 33}) {
        RecipeCheck check = quick();
        check.classes = classes;
        const int kernels = check_subsets(
            3, 2, op_on(std::make_shared<SoftmaxCrossEntropy>(), {batched_type({classes}), labels}),
            check);
        EXPECT_EQ(kernels, 6) << "by the recipes softmax and default";
    }
}

TEST(StoredOutputs, MaxPool) {
    RecipeCheck check = quick();
    check.fills["a0"] = Fill::separated;
    EXPECT_EQ(
        check_subsets(3, 2, op_on(std::make_shared<MaxPool>(), {batched_type({20, 6, 8})}), check),
        6);
}

TEST(StoredOutputs, Moments) {
    const TensorType map = batched_type({20, 6, 5}), strips = strip_type(map),
                     channels = plain_type({20});
    EXPECT_EQ(check_subsets(3, 3, op_on(std::make_shared<PartialMoments>(), {map}), quick()), 14);
    EXPECT_EQ(
        check_subsets(3, 2, op_on(std::make_shared<PartialDots>(), {map, map, channels}), quick()),
        6);
    auto merge = std::make_shared<MergeMoments>();
    merge->width = 5, merge->height = 6;
    RecipeCheck check = quick();
    check.fills["a2"] = Fill::positive;
    EXPECT_EQ(check_subsets(3, 2, op_on(merge, {strips, strips, strips}), check), 6);
}

TEST(StoredOutputs, BatchNorm) {
    const TensorType c = plain_type({20});
    RecipeCheck check = quick();
    check.fills["a4"] = Fill::positive;
    EXPECT_EQ(
        check_subsets(3, 3,
                      op_on(std::make_shared<BatchNorm>(), {batched_type({20, 3, 4}), c, c, c, c}),
                      check),
        7);
}

// An epilogue that reads one output while none is stored.
TEST(StoredOutputs, BehindAnEpilogue) {
    const TensorType labels = batched_type({}, ElementType::i32);
    for (int output : {0, 1}) {
        const Group group = make_group(3, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value v0 = b.add(
                std::make_shared<SoftmaxCrossEntropy>(),
                {add_operand(b, "a0", batched_type({10})), add_operand(b, "a1", labels)}, "v0");
            return {b.add(std::make_shared<Scale>(3), {{v0.node, output}}, "v1")};
        });
        RecipeCheck check = quick();
        check.classes = 10;
        check_recipe("softmax", group, check);
        check_recipe("default", group, check);
    }
}

// Sums over strips in the epilogue of a convolution.
TEST(StoredOutputs, StripSums) {
    const ConvCase c{16, 32, 7, 9};
    const auto convolve = [&](GraphBuilder& b) {
        return b.add(
            forward_op(c),
            {add_operand(b, "a0", input_type(c)), add_operand(b, "a1", transformed_type(c))}, "v0");
    };
    const Body moments = [&](GraphBuilder& b) {
        return b.add(std::make_shared<PartialMoments>(), {convolve(b)}, "v1");
    };
    const Body dots = [&](GraphBuilder& b) {
        return b.add(std::make_shared<PartialDots>(),
                     {convolve(b), add_operand(b, "a2", output_type(c)),
                      add_operand(b, "a3", plain_type({c.out}))},
                     "v1");
    };
    std::vector<Group> groups;
    for (unsigned subset = 1; subset < 4; subset++)
        groups.push_back(storing(c.batch, subset, dots, /*stores_map=*/true));
    for (unsigned subset = 1; subset < 8; subset += 2)
        groups.push_back(storing(c.batch, subset, moments, /*stores_map=*/true));
    check_groups(groups, {"winograd"});
    const Recipe& winograd = recipe_named("winograd");
    EXPECT_FALSE(winograd.applies(storing(c.batch, 3, dots), isa_avx512())) << "without a map";
    for (unsigned subset = 2; subset < 8; subset += 2) {  // without the values they deviate from
        EXPECT_FALSE(winograd.applies(storing(c.batch, subset, moments, true), isa_avx512()));
    }
}

}  // namespace
}  // namespace emulsion::test
