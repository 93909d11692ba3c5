// The transform of filters for Winograd convolution, U = G g G^T.
#include <vector>

#include "compiler/graph/limits.h"
#include "compiler/ops/winograd.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/winograd/winograd.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kLaneCount = 16;

}  // namespace

bool WinogradFilterTransform::applies(const Group& group, const Isa&) const {
    return anchor_as<WinogradFilter>(group) != nullptr && !group.has_epilogue();
}

std::vector<Tiling> WinogradFilterTransform::tilings(const Group&, const Isa&) const {
    return {{}};
}

double WinogradFilterTransform::cost(const Group& group, const Tiling&, const Isa&,
                                     const Machine& machine) const {
    return 1e-6 + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> WinogradFilterTransform::build(KernelContext& context, const Tiling&) const {
    const WinogradFilter& op = *anchor_as<WinogradFilter>(context.group());
    const auto kernel = to_int(context.group().anchor_input(0).shape[2]);
    const WinogradMatrices matrices = winograd_matrices(to_int(op.tile), kernel);
    const Func w = context.operand(0);
    Var lane("lane"), i("i"), x("x"), y("y"), k("k"), task("task");
    Func half("half"), out("out");
    std::vector<Expr> rows, columns;
    for (const auto& row : matrices.filter) {
        rows.push_back(
            combine(row, gather(kernel, [&](int q) -> Expr { return w(lane, i, x, q, k); })));
    }
    half(lane, i, x, y, k) = Halide::mux(y, rows);
    for (const auto& row : matrices.filter) {
        columns.push_back(
            combine(row, gather(kernel, [&](int q) -> Expr { return half(lane, i, q, y, k); })));
    }
    out(lane, i, x, y, k) = Halide::mux(x, columns);
    out.reorder(lane, x, y, i, k).vectorize(lane, kLaneCount).unroll(x).unroll(y);
    out.fuse(i, k, task);
    const auto inputs = to_int(context.group().anchor_output().shape[1]);
    if (inputs % 16 == 0) {
        Var inner("inner");
        out.split(task, task, inner, 16, TailStrategy::RoundUp);
        half.compute_at(out, inner);
    } else {
        half.compute_at(out, task);
    }
    out.parallel(task);
    half.vectorize(lane, kLaneCount).unroll(x).unroll(y);
    return {out};
}

}  // namespace emulsion
