// Poolings on OpenCL: windows that overlap, leave the map, are long; channels in vectors and not.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/max_pool.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

struct PoolCase {
    std::vector<int64_t> window, stride, padding;
    bool ceil = false;
    int64_t height = 6, width = 7;
};

const std::vector<PoolCase> kCases = {
    {{2, 2}, {2, 2}, {0, 0, 0, 0}, false, 6, 8},
    {{3, 3}, {2, 2}, {1, 1, 1, 1}, false, 7, 6},
    {{2, 2}, {2, 2}, {0, 0, 0, 0}, true, 5, 7},
    {{7, 9}, {7, 9}, {0, 0, 0, 0}, false, 7, 9},
};

template <class T>
std::shared_ptr<T> pool_op(const PoolCase& c) {
    auto op = std::make_shared<T>();
    op->window = c.window;
    op->stride = c.stride;
    op->padding = c.padding;
    op->ceil = c.ceil;
    return op;
}

TEST(GpuPool, Forward) {
    RecipeCheck plain, check;
    plain.all_tilings = check.all_tilings = false;
    check.fills["a0"] = Fill::separated;
    for (const PoolCase& c : kCases) {
        for (int64_t channels : {5, 20}) {
            const TensorType type = batched_type({channels, c.height, c.width});
            check_recipe("gpu_pool", group_of(pool_op<MaxPool>(c), {type}, 3), check);
            check_recipe("gpu_pool", group_of(pool_op<AveragePool>(c), {type}, 3), plain);
        }
    }
}

TEST(GpuPool, FusedWork) {
    const Group group = make_group(3, [](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", batched_type({12, 6, 8}));
        const Value active = b.add(std::make_shared<Relu>(), {x}, "v0");
        const Value pooled = b.add(pool_op<AveragePool>(kCases[1]), {active}, "v1");
        return {b.add(std::make_shared<Relu>(), {pooled}, "v2")};
    });
    check_recipe("gpu_pool", group);
}

}  // namespace
}  // namespace emulsion::test
