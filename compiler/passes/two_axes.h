// Convolutions and poolings of lines (C, L), and convolutions of volumes (C, D, H, W), become those
// of maps with two axes of positions, which recipes are made for.
//
//   - A line is the map (C, 1, L): the same memory, hence a view. What stands between two such
//   layers
//     (activations, norms, sums) is done on maps too, so that it joins their kernels.
//   - Of a volume, the taps in depth become channels: a map whose rows are those of all depths, one
//     after another, with as many rows of zeros between two depths as the filter may reach over,
//     and whose channels are, for each tap in depth, those of the volume at that tap's depth. One
//     convolution of that map by the folded filter sums all; rows that belong to no depth are
//     cropped off. The map is written once, KD times as large as the volume.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph two_axes(const Graph& graph);

}  // namespace emulsion
