// Channels that become positions, and positions that become channels.
#include "compiler/ops/depth_to_space.h"

#include <fmt/ranges.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/positions.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

std::vector<TensorType> DepthToSpace::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_any_map(inputs[0], "input");
    expect_extents("block", block, inputs[0]);
    TensorType type = inputs[0];
    const int64_t cells = bounded_product(block);
    if (cells < 1 || type.shape[0] % cells != 0) {
        fail("channels",
             fmt::format("the block {} does not divide the {} channels of {}", by(block),
                         type.shape[0], to_string(type)),
             "choose a block whose number of cells divides the channels");
    }
    type.shape[0] /= cells;
    for (size_t axis = 1; axis < type.shape.size(); axis++) type.shape[axis] *= block[axis - 1];
    return {type};
}

std::vector<TensorType> SpaceToDepth::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_any_map(inputs[0], "input");
    expect_extents("block", block, inputs[0]);
    TensorType type = inputs[0];
    for (size_t axis = 1; axis < type.shape.size(); axis++) {
        const int64_t extent = type.shape[axis], cells = block[axis - 1];
        if (extent % cells != 0) {
            fail("shape",
                 fmt::format("the block {} does not divide the {} {} of {}", by(block),
                             position_name(block.size(), axis - 1), extent, to_string(inputs[0])),
                 "choose a block that divides the map, or pad or crop the map");
        }
        type.shape[axis] = extent / cells;
        type.shape[0] *= cells;
    }
    return {type};
}

// Gradient

std::vector<Value> DepthToSpace::gradient(GradientContext& context) const {
    auto op = std::make_shared<SpaceToDepth>();
    op->block = block;
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> SpaceToDepth::gradient(GradientContext& context) const {
    auto op = std::make_shared<DepthToSpace>();
    op->block = block;
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

std::vector<Func> DepthToSpace::lower(const LowerContext& context,
                                      const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    for (size_t axis = 0; axis < block.size(); axis++) {
        Expr& place = at[coordinate_of(block.size() + 1, axis + 1)];
        const int cells = to_int(block[axis]);
        at[0] = at[0] * cells + place % cells;
        place = place / cells;
    }
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

std::vector<Func> SpaceToDepth::lower(const LowerContext& context,
                                      const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    for (size_t axis = block.size(); axis-- > 0;) {
        Expr& place = at[coordinate_of(block.size() + 1, axis + 1)];
        const int cells = to_int(block[axis]);
        place = place * cells + at[0] % cells;
        at[0] = at[0] / cells;
    }
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

}  // namespace emulsion
