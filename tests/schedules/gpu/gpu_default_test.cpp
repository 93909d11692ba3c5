// Ops that gpu_default alone runs on devices, and whose plain definition has more than arithmetic:
// its code compiles there, and agrees with the reference.
#include <gtest/gtest.h>

#include <string>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/connect_filter.h"
#include "compiler/ops/group_norm.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

TEST(GpuDefault, CountsConnectionsInTheirWords) {
    ConnectFilter connect;
    connect.filters = 3;
    connect.channels = 37;  // two words of 32
    int64_t pairs = 0;
    for (int64_t i = 0; i < connect.filters * connect.channels; i++) {
        connect.table.push_back(i % connect.channels == 0 || i % 5 == 2 ? 1 : 0);
        pairs += connect.table.back();
    }
    check_recipe("gpu_default", group_of(std::make_shared<ConnectFilter>(connect),
                                         {plain_type({pairs, 1, 3, 2})}, 2));
}

// The mean once for an element of the result, not once for each square around it.
TEST(GpuDefault, ComputesOnceWhatAllStepsOfASumRead) {
    const TensorType channels = plain_type({16});
    PlannedKernel kernel{
        group_of(std::make_shared<GroupNorm>(), {batched_type({16, 8, 8}), channels, channels}, 2),
        "gpu_default", 1, Tiling()};
    const std::string loops = show_kernel(kernel, isa_opencl(), make_library(), "loops");
    const size_t begin = loops.find("produce stored2"), sum = loops.find("produce v0__sum", begin),
                 squares = loops.find("produce v0__squares", begin);
    ASSERT_NE(squares, std::string::npos) << loops;
    EXPECT_LT(sum, squares) << loops;
}

}  // namespace
}  // namespace emulsion::test
