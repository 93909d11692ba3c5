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
    const size_t rank = inputs[0].shape.size();
    if (rank < 3 || rank > 5) expect_parameter(inputs[0], 4, "filter", "(out, in, kh, kw)");
    expect_parameter(inputs[0], rank, "filter", "(out, in, taps)");
    const std::vector<int64_t>& w = inputs[0].shape;
    if (groups < 1 || w[0] % groups != 0) {
        fail("groups", fmt::format("{} filters cannot be cut into {} equal groups", w[0], groups),
             "choose a number of groups that divides the filters");
    }
    TensorType type = inputs[0];
    type.shape[0] = groups * w[1];
    type.shape[1] = w[0] / groups;
    return {type};
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
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);  // lane, i, kx, …, k
    const int count = to_int(groups * w[1]);
    const Halide::Expr first =
        vars.back() * lanes + vars[0];  // input channel of the forward filter
    const Halide::Expr channel = Halide::min(first, count - 1);
    Halide::Expr filter = vars[1], of_filter = channel;
    if (groups > 1) {
        filter = channel / to_int(w[1]) * to_int(w[0] / groups) + vars[1];
        of_filter = channel % to_int(w[1]);
    }
    std::vector<Halide::Expr> at = {filter % lanes, of_filter};
    for (size_t i = 2; i < w.size(); i++)
        at.emplace_back(to_int(w[w.size() + 1 - i] - 1) - vars[i]);
    at.emplace_back(filter / lanes);
    Halide::Func out(context.name);
    out(vars) = Halide::select(first < count, inputs[0](at), 0.0F);
    return {out};
}

}  // namespace emulsion
