// Proves a plan against the graphs that it was made of, by other means than it was made: the calls
// are run on symbols instead of numbers. Each kernel's body turns the symbols that its operands'
// bytes hold into those of its results; in the end outputs, gradients and updated tensors must hold
// what the graph says.
#pragma once

#include <string>
#include <vector>

#include "compiler/plan/plan.h"

namespace emulsion {

// The first thing that is wrong with the plan, or "". `graphs` has one graph for each batch of
// every variant. What is checked, beside the meaning:
//   - offsets are aligned, blocks lie inside their class and have the bytes of type and batch;
//   - some channels among others lie inside rows that their kernels were made for;
//   - stages stand in order; the first batch alone has `prepare` and `update`; what one entry of
//     the library left in the workspace is not read by the next; `prepare` and `forward` write
//     nothing that a refused loss must leave as it is;
//   - each output, gradient and prepared value is written once;
//   - a result lies over another of its call never, and over an operand only where the kernel reads
//     each element of it before it writes that element, this result is why, and its recipe writes
//     in place;
//   - a call's scratch lies over nothing else of it, and is read by no other.
std::string plan_fault(const std::vector<Graph>& graphs, const Plan& plan);

}  // namespace emulsion
