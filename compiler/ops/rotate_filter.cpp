// Filters turned round for the data gradient.
#include "compiler/ops/rotate_filter.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

// Shape

std::vector<TensorType> RotateFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_parameter(inputs[0], 4, "filter", "(out, in, kh, kw)");
    const std::vector<int64_t>& w = inputs[0].shape;
    if (groups < 1 || w[0] % groups != 0) {
        fail("groups", fmt::format("{} filters cannot be cut into {} equal groups", w[0], groups),
             "choose a number of groups that divides the filters");
    }
    return {plain_type({groups * w[1], w[0] / groups, w[2], w[3]})};
}

// Gradient

std::vector<Value> RotateFilter::gradient(GradientContext& context) const {
    return {context.add("dw", std::make_shared<RotateFilter>(groups), {context.gradients[0]})};
}

// Lowering

std::vector<Halide::Func> RotateFilter::lower(const LowerContext& context,
                                              const std::vector<Halide::Func>& inputs) const {
    const std::vector<int64_t>& w = context.inputs[0].shape;
    const int lanes = static_cast<int>(kBlock);
    Halide::Var lane("lane"), i("i"), kx("kx"), ky("ky"), k("k");
    const int count = to_int(groups * w[1]);
    const Halide::Expr first = k * lanes + lane;  // input channel of the forward filter
    const Halide::Expr channel = Halide::min(first, count - 1);
    Halide::Expr filter = i, of_filter = channel;
    if (groups > 1) {
        filter = channel / to_int(w[1]) * to_int(w[0] / groups) + i;
        of_filter = channel % to_int(w[1]);
    }
    const Halide::Expr value = inputs[0](filter % lanes, of_filter, to_int(w[3] - 1) - kx,
                                         to_int(w[2] - 1) - ky, filter / lanes);
    Halide::Func out(context.name);  // (lane, i, kx, ky, k)
    out(lane, i, kx, ky, k) = Halide::select(first < count, value, 0.0F);
    return {out};
}

}  // namespace emulsion
