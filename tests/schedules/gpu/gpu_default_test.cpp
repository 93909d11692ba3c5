// Ops that gpu_default alone runs on devices, and whose plain definition has more than arithmetic:
// its code compiles there, and agrees with the reference.
#include <gtest/gtest.h>

#include "compiler/ops/connect_filter.h"
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

}  // namespace
}  // namespace emulsion::test
