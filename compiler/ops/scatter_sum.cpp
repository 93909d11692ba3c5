// Sums of what has the same index.
#include "compiler/ops/scatter_sum.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/gather.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

std::vector<TensorType> ScatterSum::infer(std::span<const TensorType> inputs) const {
    const std::vector<int64_t> shape = scattered_shape(inputs, *this, columns);
    return {sum_samples ? plain_type(shape) : batched_type(shape)};
}

int64_t ScatterSum::index_limit(size_t operand, std::span<const TensorType>) const {
    return operand == 1 ? columns : 0;
}

std::optional<int64_t> ScatterSum::ignored_index(size_t operand) const {
    return operand == 1 ? ignored_number() : std::nullopt;
}

// Gradient

std::vector<Value> ScatterSum::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    if (!context.needed[0]) return result;
    result[0] = context.add("dvalues", std::make_shared<Gather>(*this),
                            {context.gradients[0], context.inputs[1]});
    return result;
}

// Lowering

// Every column looks at every place: what the definition says, and slow.
std::vector<Func> ScatterSum::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    const TensorType &values = context.inputs[0], &index = context.inputs[1];
    const int places = to_int(places_of(index)), channels = to_int(values.shape[0]);
    Func out(context.name);
    if (!sum_samples) {
        Var c("c"), x("x"), n("n");
        RDom r(0, places, context.name + "__r");
        const Column column = column_at(inputs[1], index, *this, columns, r, n);
        out(c, x, n) = 0.0F;
        out(c, x, n) = Strict(out(c, x, n)) +
                       choose(column.counts && column.at == x, Expr(inputs[0](c, r, n)), 0.0F);
        return {out};
    }
    Var lane("lane"), i("i"), k("k");
    RDom r(0, places, 0, context.samples, context.name + "__r");
    const Column column = column_at(inputs[1], index, *this, columns, r.x, r.y);
    const Expr c = k * to_int(kBlock) + lane;
    const Expr value = inputs[0](Halide::min(c, channels - 1), r.x, r.y);
    out(lane, i, k) = 0.0F;
    out(lane, i, k) = Strict(out(lane, i, k)) +
                      choose(c < channels && column.counts && column.at == i, value, 0.0F);
    return {out};
}

}  // namespace emulsion
