// The dense layer's contraction and its two gradients.
#include "compiler/ops/dense.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

std::vector<TensorType> Dense::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_features(inputs[0], "input");
    expect_parameter(inputs[1], 2, "weights", "(out, in)");
    if (inputs[0].shape[0] != inputs[1].shape[1]) {
        fail("channels",
             fmt::format("input has {} features, but the weights expect {}", inputs[0].shape[0],
                         inputs[1].shape[1]),
             fmt::format("give the weights {} input features", inputs[0].shape[0]));
    }
    expect_same_order(inputs[0].factors, "input", inputs[1].factors, "weights");
    return {batched_type({inputs[1].shape[0]})};
}

std::vector<TensorType> DenseBackwardData::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_features(inputs[0], "gradient");
    expect_parameter(inputs[1], 2, "weights", "(out, in)");
    expect_gradient_of(inputs[0], batched_type({inputs[1].shape[0]}));
    TensorType type = batched_type({inputs[1].shape[1]});
    type.factors = inputs[1].factors;
    return {type};
}

std::vector<TensorType> DenseBackwardWeights::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_features(inputs[0], "input");
    expect_features(inputs[1], "gradient");
    expect_same_order(inputs[1].factors, "gradient", {}, "result of dense");
    TensorType type = plain_type({inputs[1].shape[0], inputs[0].shape[0]});
    type.factors = inputs[0].factors;
    return {type};
}

int64_t Dense::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]);
}

int64_t DenseBackwardData::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]);
}

int64_t DenseBackwardWeights::multiply_adds(std::span<const TensorType> inputs) const {
    return inputs[0].shape[0] * inputs[1].shape[0];
}

// Gradient

std::vector<Value> Dense::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value dy = context.gradients[0];
    if (context.needed[0]) {
        result[0] =
            context.add("dx", std::make_shared<DenseBackwardData>(), {dy, context.inputs[1]});
    }
    if (context.needed[1]) {
        result[1] =
            context.add("dw", std::make_shared<DenseBackwardWeights>(), {context.inputs[0], dy});
    }
    return result;
}

// Lowering

namespace {

constexpr int kLanes = static_cast<int>(kBlock);

}  // namespace

std::vector<Func> Dense::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    Var f("f"), n("n");
    RDom r(0, to_int(context.inputs[0].shape[0]), context.name + "__r");
    Func out(context.name);  // (o, n)
    out(f, n) = 0.0F;
    out(f, n) += inputs[0](r, n) * inputs[1](f % kLanes, r, f / kLanes);
    return {out};
}

std::vector<Func> DenseBackwardData::lower(const LowerContext& context,
                                           const std::vector<Func>& inputs) const {
    Var f("f"), n("n");
    RDom r(0, to_int(context.inputs[0].shape[0]), context.name + "__r");
    Func out(context.name);  // (i, n)
    out(f, n) = 0.0F;
    out(f, n) += inputs[0](r, n) * inputs[1](r % kLanes, f, r / kLanes);
    return {out};
}

std::vector<Func> DenseBackwardWeights::lower(const LowerContext& context,
                                              const std::vector<Func>& inputs) const {
    const int features = to_int(context.inputs[1].shape[0]);
    Var lane("lane"), i("i"), k("k");
    RDom r(0, context.samples, context.name + "__r");
    const Expr o = k * kLanes + lane;
    const Expr gradient = inputs[1](Halide::min(o, features - 1), r);
    Func out(context.name);  // (lane, i, k)
    out(lane, i, k) = 0.0F;
    out(lane, i, k) = plus_product(out(lane, i, k), Expr(inputs[0](i, r)),
                                   Halide::select(o < features, gradient, 0.0F));
    return {out};
}

}  // namespace emulsion
