// Small random networks, written through the DSL as a user writes them: every layer, branches,
// weights that several layers share, frozen parts, several inputs, indices and edges among them,
// heads and losses, shapes with tails and of 1, four optimisers. What holds for all of them is a
// property of a pass, a plan or a library.
#pragma once

#include <cstdint>

#include "compiler/graph/network.h"

namespace emulsion::test {

// The same network for the same seed. Values of one sample are at most some thousands, and so few
// multiply-adds that the reference evaluates it in milliseconds.
Network random_network(uint64_t seed);

// The same of lines (C, L), with an odd seed, and of volumes (C, D, H, W): convolutions, transposed
// and local ones, poolings, norms, and what moves and joins values.
Network random_axes_network(uint64_t seed);

// From this seed on, random_network() is a random_axes_network() of what the seed is beyond it.
inline constexpr uint64_t kOtherAxes = 1000000;

}  // namespace emulsion::test
