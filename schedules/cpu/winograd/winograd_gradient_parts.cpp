// Sizes and the adjoint of the filter transform.
#include "schedules/cpu/winograd/winograd_gradient_parts.h"

#include "compiler/ops/conv2d.h"
#include "schedules/common/anchor.h"
#include "schedules/common/winograd_transforms.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace {

constexpr int kBlockChannels = 16;

// Of a 3x3 filter 4, but 2 where that needs no more products: its transforms are cheaper. Bits
// depend on it, so it follows from the shape alone.
int tile_of(const ConvShape& s) {
    auto products = [&](int64_t tile) {
        return winograd_products(tile, s.kernel_w, s.out_height, s.out_width);
    };
    return s.kernel_w == 3 && products(4) < products(2) ? 4 : 2;
}

}  // namespace

WinogradGradientShape::WinogradGradientShape(const Group& group) : conv(conv_shape(group)) {
    tile = tile_of(conv), points = tile + conv.kernel_w - 1;
    columns = divide_up(conv.out_width, tile), rows = divide_up(conv.out_height, tile);
}

bool has_winograd_gradient(const Group& group, const Isa& isa) {
    const auto* op = anchor_as<Conv2dBackwardFilter>(group);
    if (op == nullptr || op->groups > 1) return false;
    const ConvShape s = conv_shape(group);
    const bool square = s.kernel_h == s.kernel_w && (s.kernel_w == 3 || s.kernel_w == 5);
    const bool plain = s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 && s.dilation_w == 1;
    return square && plain && isa.lanes >= 8 && s.channels % kBlockChannels == 0 &&
           s.out_channels % kBlockChannels == 0;
}

FilterAdjoint::FilterAdjoint(const WinogradGradientShape& shape, const Sum& sum) {
    const WinogradMatrices matrices = winograd_matrices(shape.tile, shape.conv.kernel_w);
    // Column j of G weighs point j.
    auto adjoint = [&](int row, const std::vector<Expr>& points) -> Expr {
        std::vector<double> factors;
        for (const auto& g : matrices.filter) factors.push_back(g[static_cast<size_t>(row)]);
        return combine(factors, points);
    };
    const std::vector<Expr> columns =
        gather(shape.points, [&](int point) -> Expr { return sum(k, c, j, point); });
    half(k, c, j, ky) = Halide::mux(
        ky, gather(shape.conv.kernel_h, [&](int row) -> Expr { return adjoint(row, columns); }));
    const std::vector<Expr> rows = gather(shape.points, [&](int point) -> Expr {
        return half(block * kBlockChannels + l, c, point, ky);
    });
    result(l, c, kx, ky, block) = Halide::mux(
        kx, gather(shape.conv.kernel_w, [&](int row) -> Expr { return adjoint(row, rows); }));
}

}  // namespace emulsion
