// What the recipes of softmax share, on processors and on devices.
#pragma once

#include "compiler/ops/softmax_rows.h"
#include "compiler/recipe/kernel_context.h"

namespace emulsion {

// The anchor's results as one Func, a Tuple where it has several, over the coordinates of `row`,
// with that of the class in front where a result has one. REQUIRES: the anchor is a SoftmaxOp.
Halide::Func softmax_result(const KernelContext& context, SoftmaxRow& row);

}  // namespace emulsion
