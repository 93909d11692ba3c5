// No call allocates from the C library.
#include "tests/support/count_allocations.h"

#include <gtest/gtest.h>

#include "tests/runtime/abi_support.h"

#ifdef EMULSION_COUNTS_ALLOCATIONS
namespace emulsion::testing {
namespace {

TEST(AbiMalloc, CallsAllocateNothing) {
    const long at_start = allocation_count();
    FakeNetwork network(3);
    ASSERT_GT(allocation_count(), at_start) << "the replacement is not in effect";
    ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    const long before = allocation_count();
    for (int call = 0; call < 1000; call++) {
        if (network.step(1 + call % kBatch, 0.01f) != EMULSION_OK) break;
        if (network.run(1 + call % kBatch) != EMULSION_OK) break;
    }
    network.run(0);  // an error, with its message
    const long after = allocation_count();
    EXPECT_EQ(after, before);
    EXPECT_EQ(network.state()[1], 1001u);
}

}  // namespace
}  // namespace emulsion::testing
#endif
