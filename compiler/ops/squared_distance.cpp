// The squares of distances from centers.
#include "compiler/ops/squared_distance.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

std::vector<TensorType> SquaredDistance::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_features(inputs[0], "input");
    expect_parameter(inputs[1], 2, "centers", "(out, in)");
    if (inputs[0].shape[0] != inputs[1].shape[1]) {
        fail("channels",
             fmt::format("input has {} features, but the centers have {}", inputs[0].shape[0],
                         inputs[1].shape[1]),
             fmt::format("give the centers {} features", inputs[0].shape[0]));
    }
    expect_same_order(inputs[0].factors, "input", inputs[1].factors, "centers");
    return {batched_type({inputs[1].shape[0]})};
}

int64_t SquaredDistance::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]);
}

// Gradient

// dx(i) = 2 (x(i) * sum over o of dy(o) - sum over o of dy(o) centers(o, i)); of the centers alike,
// with sums over the samples.
std::vector<Value> SquaredDistance::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value dy = context.gradients[0], x = context.inputs[0], centers = context.inputs[1];
    const auto twice_difference = [&](const std::string& name, Value of, bool of_samples,
                                      Value product) {
        auto sum = std::make_shared<Reduce>();
        (of_samples ? sum->keep_samples : sum->keep_channels) = true;
        const Value sums = context.add(name + ".sums", sum, {dy});
        const Value own = context.add(name + ".own", std::make_shared<Multiply>(), {of, sums});
        const Value apart =
            context.add(name + ".apart", std::make_shared<Subtract>(), {own, product});
        return context.add(name, std::make_shared<Scale>(2), {apart});
    };
    if (context.needed[0]) {
        result[0] = twice_difference(
            "dx", x, true,
            context.add("dx.product", std::make_shared<DenseBackwardData>(), {dy, centers}));
    }
    if (context.needed[1]) {
        result[1] = twice_difference(
            "dcenters", centers, false,
            context.add("dcenters.product", std::make_shared<DenseBackwardWeights>(), {x, dy}));
    }
    return result;
}

// Lowering

std::vector<Func> SquaredDistance::lower(const LowerContext& context,
                                         const std::vector<Func>& inputs) const {
    const int lanes = static_cast<int>(kBlock);
    Var f("f"), n("n");
    RDom r(0, to_int(context.inputs[0].shape[0]), context.name + "__r");
    const Strict apart = Strict(inputs[0](r, n)) - Strict(inputs[1](f % lanes, r, f / lanes));
    Func out(context.name);  // (o, n)
    out(f, n) = 0.0F;
    out(f, n) = Strict(out(f, n)) + apart * apart;
    return {out};
}

}  // namespace emulsion
