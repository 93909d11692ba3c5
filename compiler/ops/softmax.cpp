// Softmax over the classes of a sample.
#include "compiler/ops/softmax.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Tuple;
using Halide::Var;

// Shape

std::vector<TensorType> Softmax::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_scores(inputs[0], "input");
    return {inputs[0]};
}

// Gradient

// dx = y * (dy - sum over c of dy * y)
std::vector<Value> Softmax::gradient(GradientContext& context) const {
    const Value y = context.outputs[0];
    const Value dy = context.gradients[0];
    auto sum = std::make_shared<Reduce>();
    sum->keep_samples = true;
    const Value products = context.add("products", std::make_shared<Multiply>(), {dy, y});
    const Value dot = context.add("dot", sum, {products});
    const Value centered = context.add("centered", std::make_shared<Subtract>(), {dy, dot});
    return {context.add("dx", std::make_shared<Multiply>(), {centered, y})};
}

// Lowering

Func softmax_sums(const std::string& name, const Func& scores, int64_t classes) {
    Var n("n");
    Func sums(name + "__sums");  // (n): largest, sum, first class
    sums(n) = Tuple(scores(0, n), 1.0F, 0);
    Halide::RDom r(1, to_int(classes - 1), name + "__r");
    const Expr score = scores(r, n);
    const Expr largest = Halide::max(sums(n)[0], score);
    const Strict old_sum =
        Strict(sums(n)[1]) * Strict(exp_f32(Strict(sums(n)[0]) - Strict(largest)));
    const Strict sum = old_sum + Strict(exp_f32(Strict(score) - Strict(largest)));
    sums(n) = Tuple(largest, sum, Halide::select(score > sums(n)[0], r, sums(n)[2]));
    return sums;
}

std::vector<Func> Softmax::lower(const LowerContext& context,
                                 const std::vector<Func>& inputs) const {
    Var f("f"), n("n");
    Func sums = softmax_sums(context.name, inputs[0], context.inputs[0].shape[0]);
    Func out(context.name);  // (f, n)
    out(f, n) =
        Strict(exp_f32(Strict(Expr(inputs[0](f, n))) - Strict(sums(n)[0]))) / Strict(sums(n)[1]);
    return {out};
}

}  // namespace emulsion
