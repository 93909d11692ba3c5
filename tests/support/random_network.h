// Small random networks: convolutions, pooling, batch norm, residual sums and pointwise work in any
// order, some values read several times, a loss at the end. What holds for all of them is a
// property of a pass or a plan.
#pragma once

#include <cstdint>

#include "compiler/graph/network.h"

namespace emulsion::test {

// The same network for the same seed. Maps are f32[n,3,4,4] at first.
Network random_network(uint64_t seed);

}  // namespace emulsion::test
