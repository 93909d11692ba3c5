// Local rules that leave less to do, on any graph:
//   - conv2d_backward_data at stride 1 becomes conv2d of the gradient with rotate_filter(w), so it
//   runs as any
//     convolution does; at larger strides it reads the rotated filter too;
//   - where the stride is large and the channels are few, it becomes conv2d with phase_filter(w)
//     instead, whose channels, enough to fill vectors, depth_to_space turns into positions;
//   - pointwise work moves above `unflatten`: f(unflatten(a), b) becomes unflatten(f(a,
//   flatten(b))), so it can be the
//     epilogue of the dense layer's gradient; flatten(unflatten(x)) and unflatten(flatten(x))
//     vanish, and so do views that leave the type as it is;
//   - factor(unfactor(x)) becomes factor(x): features go from one map's order to another's at once.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph simplify(const Graph& graph);

}  // namespace emulsion
