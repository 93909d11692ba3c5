// Plans of random networks: make_plan proves each of them (plan/verify_plan.h), whatever is fused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/plan/plan_support.h"
#include "tests/support/random_network.h"

namespace emulsion::test {
namespace {

TEST(RandomNetworks, PlansAreSound) {
    int fused = 0, apart = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        Network network = random_network(seed);
        for (bool training : {true, false}) {
            SCOPED_TRACE(fmt::format("seed {} training {}\n{}", seed, training, print(network)));
            std::vector<int> batches = training ? std::vector<int>{6} : std::vector<int>{1, 4};
            fused += call_count(plan_network(network, {training, batches, true, {isa_avx2()}}));
            if (training) {
                plan_network(network, {true, batches, true, {isa_avx2()}, true});
            }
            apart += call_count(plan_network(network, {training, batches, false, {isa_avx2()}}));
            if (::testing::Test::HasFailure()) return;
        }
    }
    EXPECT_LT(fused * 10, apart * 8);  // fusion does something
}

}  // namespace
}  // namespace emulsion::test
