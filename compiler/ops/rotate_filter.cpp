// Filters turned round for the data gradient.
#include "compiler/ops/rotate_filter.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"

namespace emulsion {

// Shape

std::vector<TensorType> RotateFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_parameter(inputs[0], 4, "filter", "(out, in, kh, kw)");
    const std::vector<int64_t>& w = inputs[0].shape;
    return {plain_type({w[1], w[0], w[2], w[3]})};
}

// Gradient

std::vector<Value> RotateFilter::gradient(GradientContext& context) const {
    return {context.add("dw", std::make_shared<RotateFilter>(), {context.gradients[0]})};
}

// Lowering

std::vector<Halide::Func> RotateFilter::lower(const LowerContext& context,
                                              const std::vector<Halide::Func>& inputs) const {
    const std::vector<int64_t>& w = context.inputs[0].shape;
    const int lanes = static_cast<int>(kBlock);
    Halide::Var lane("lane"), i("i"), kx("kx"), ky("ky"), k("k");
    const Halide::Expr first = k * lanes + lane;  // input channel of the forward filter
    const Halide::Expr channel = Halide::min(first, to_int(w[1] - 1));
    const Halide::Expr value =
        inputs[0](i % lanes, channel, to_int(w[3] - 1) - kx, to_int(w[2] - 1) - ky, i / lanes);
    Halide::Func out(context.name);  // (lane, i, kx, ky, k)
    out(lane, i, kx, ky, k) = Halide::select(first < to_int(w[1]), value, 0.0F);
    return {out};
}

}  // namespace emulsion
