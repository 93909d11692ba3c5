// Filters of the phases of a strided convolution's input.
#include "compiler/ops/phase_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> PhaseFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const size_t rank = inputs[0].shape.size();
    if (rank < 3 || rank > 5) expect_parameter(inputs[0], 4, "filter", "(out, in, kh, kw)");
    expect_parameter(inputs[0], rank, "filter", "(out, in, taps)");
    if (stride.size() != rank - 2 || bounded_product(stride) < 0) {
        fail("attribute",
             fmt::format("the stride is [{}], but {} needs {} numbers of 1 or more",
                         fmt::join(stride, ","), to_string(inputs[0]), rank - 2),
             "give the stride of the convolution");
    }
    const std::vector<int64_t>& w = inputs[0].shape;
    std::vector<int64_t> shape = {w[1], w[0]};
    for (size_t axis = 0; axis < stride.size(); axis++) {
        shape[0] *= stride[axis];
        shape.push_back((w[2 + axis] + stride[axis] - 1) / stride[axis]);
    }
    return {plain_type(shape)};
}

// Lowering

std::vector<Halide::Func> PhaseFilter::lower(const LowerContext& context,
                                             const std::vector<Halide::Func>& inputs) const {
    const std::vector<int64_t>& w = context.inputs[0].shape;
    const std::vector<int64_t>& r = context.outputs[0].shape;
    const int lanes = static_cast<int>(kBlock);
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);  // lane, o, kx, …, k
    const Expr first = first_axis(context.outputs[0], as_exprs(vars));
    Expr is_weight = first < to_int(r[0]);
    Expr phase = Halide::min(first, to_int(r[0] - 1));
    std::vector<Expr> at = {vars[1] % lanes, Expr()};
    for (size_t axis = stride.size(); axis-- > 0;) {  // the last one lies first in memory
        const int each = to_int(stride[axis]), taps = to_int(w[2 + axis]);
        const Expr turned = to_int(r[2 + axis] - 1) - vars[at.size()];
        const Expr tap = turned * each + phase % each;
        if (r[2 + axis] * each > taps) is_weight = is_weight && tap < taps;
        at.push_back(Halide::min(tap, taps - 1));
        phase = phase / each;
    }
    at[1] = phase;
    at.push_back(vars[1] / lanes);
    Halide::Func out(context.name);
    out(vars) = Halide::select(is_weight, inputs[0](at), 0.0F);
    return {out};
}

}  // namespace emulsion
