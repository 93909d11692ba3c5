// emulsion_prefetch: it reads nothing that is not there, and adds nothing.
#include <gtest/gtest.h>

#include <bit>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

TEST(AbiPrefetch, AddsPositiveZeroWhereverTheLinesAre) {
    Block block(4096);
    emulsion_descriptor descriptor = {};
    descriptor.host = block.get();
    for (int32_t part :
         {0, 1, 6, 7, 100, 1 << 30}) {  // of 64 lines in 7 parts: the last ones lie beyond the end
        const float sum = emulsion_prefetch(&descriptor, part, 64, 7);
        EXPECT_EQ(std::bit_cast<uint32_t>(sum), 0u) << part;
    }
}

}  // namespace
}  // namespace emulsion::testing
