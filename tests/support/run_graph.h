// Runs graphs through the ops' plain lowerings: Halide compiles each node for this machine and
// realises it on buffers in memory layout. Reads outside a buffer, elements left unwritten and
// padding lanes that are not zero are errors.
#pragma once

#include <vector>

#include "tests/reference/interpreter.h"

namespace emulsion::test {

// Values[node][output] of every node, from values of the sources by name. Throws
// std::runtime_error, or Halide::Error where a lowering reads outside its operands.
reference::Values run_graph(const Graph& graph, const reference::Sources& sources, int64_t samples);

// One op on given inputs.
std::vector<reference::Tensor> run_op(const Op& op, const std::vector<reference::Tensor>& inputs,
                                      int64_t samples);

// Whether every Func of the op's lowering is pure, so that it can be inlined into a reader.
bool is_inlinable(const Op& op, const std::vector<TensorType>& inputs);

}  // namespace emulsion::test
