// Maps seen as features, and back.
#include "compiler/ops/flatten.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Func;
using Halide::Var;

std::vector<int64_t> flat_factors(int64_t channels, int64_t height, int64_t width) {
    if (channels == 1 || height * width == 1) return {};
    return {channels, height, width};
}

// Shape

std::vector<TensorType> Flatten::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    if (inputs[0].batched && inputs[0].shape.size() == 1) return {inputs[0]};
    expect_map(inputs[0], "input");
    const std::vector<int64_t>& s = inputs[0].shape;
    TensorType type = batched_type({s[0] * s[1] * s[2]});
    type.factors = flat_factors(s[0], s[1], s[2]);
    return {type};
}

std::vector<TensorType> Unflatten::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_features(inputs[0], "input");
    if (shape.size() != 3 || shape[0] < 1 || shape[1] < 1 || shape[2] < 1) {
        fail("attribute",
             fmt::format("shape is [{}], but must name channels, height and width",
                         fmt::join(shape, ",")),
             "give shape=[channels,height,width]");
    }
    const int64_t count = bounded_product(shape);
    if (inputs[0].shape[0] != count) {
        fail("shape",
             fmt::format(
                 "input has {} features, but a {}x{}x{} map has {}", inputs[0].shape[0], shape[0],
                 shape[1], shape[2],
                 count < 0 ? fmt::format("more than {}", kMostElements) : fmt::to_string(count)),
             "choose channels, height and width whose product is the number of features");
    }
    expect_same_order(inputs[0].factors, "input", flat_factors(shape[0], shape[1], shape[2]),
                      "result");
    return {batched_type(shape)};
}

// Gradient

std::vector<Value> Flatten::gradient(GradientContext& context) const {
    const TensorType& x = context.type(context.inputs[0]);
    if (x.shape.size() == 1) return {context.gradients[0]};
    auto op = std::make_shared<Unflatten>();
    op->shape = x.shape;
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> Unflatten::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Flatten>(), {context.gradients[0]})};
}

// Lowering

std::vector<Func> Flatten::lower(const LowerContext& context,
                                 const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& s = context.inputs[0].shape;
    Var f("f"), n("n");
    Func out(context.name);  // (f, n)
    if (s.size() == 1) {
        out(f, n) = inputs[0](f, n);
        return {out};
    }
    const int channels = to_int(s[0]), width = to_int(s[2]);
    out(f, n) = inputs[0](f % channels, (f / channels) % width, f / (channels * width), n);
    return {out};
}

std::vector<Func> Unflatten::lower(const LowerContext& context,
                                   const std::vector<Func>& inputs) const {
    Var c("c"), x("x"), y("y"), n("n");
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = inputs[0](c + to_int(shape[0]) * (x + to_int(shape[2]) * y), n);
    return {out};
}

}  // namespace emulsion
