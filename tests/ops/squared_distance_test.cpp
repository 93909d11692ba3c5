// Squares of distances from centers.
#include "compiler/ops/squared_distance.h"

#include <gtest/gtest.h>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

TensorType with_factors(TensorType type, std::vector<int64_t> factors) {
    type.factors = std::move(factors);
    return type;
}

OpCase shapes(int64_t in, int64_t out) { return {{batched_type({in}), plain_type({out, in})}, {}}; }

TEST(SquaredDistance, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<SquaredDistance>(), shapes(5, 3));
    check_op(std::make_shared<SquaredDistance>(), shapes(1, 1));
    check_op(std::make_shared<SquaredDistance>(), shapes(7, 17));
    check_op(std::make_shared<SquaredDistance>(), shapes(33, 16));
}

TEST(SquaredDistance, ReadsAFlattenedMapInItsOrder) {
    check_op(std::make_shared<SquaredDistance>(), {{with_factors(batched_type({12}), {3, 2, 2}),
                                                    with_factors(plain_type({17, 12}), {3, 2, 2})},
                                                   {}});
}

TEST(SquaredDistance, OfAPointFromTwoCenters) {
    EXPECT_EQ(run_op(SquaredDistance(),
                     {make_tensor(batched_type({2}), 1, {1, 2}),
                      make_tensor(plain_type({2, 2}), 1, {1, 2, 4, -2})},
                     1)[0]
                  .values,
              (Values{0, 25}));
}

TEST(SquaredDistance, CountsMultiplyAdds) {
    EXPECT_EQ(SquaredDistance().multiply_adds(shapes(84, 10).inputs), 84 * 10);
}

TEST(SquaredDistance, RefusesCentersOfOtherFeatures) {
    EXPECT_EQ(
        node_error(std::make_shared<SquaredDistance>(), {batched_type({5}), plain_type({3, 4})}),
        "net.cpp:7: error[channels]: squared_distance 'it': input has 5 features, but the "
        "centers have 4\n"
        "    operand 'a' f32[n,5] from net.cpp:1\n"
        "    operand 'b' f32[3,4] from net.cpp:2\n"
        "  fix: give the centers 5 features");
}

}  // namespace
}  // namespace emulsion::test
